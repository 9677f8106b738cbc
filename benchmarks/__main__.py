"""Print the benchmarks' figures beside their targets (quality.md, sections 1 and 3): ``python -m benchmarks``."""

import argparse
import gc
import os
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from big_jobs import CHANGES, arriving, changing
from farm_processes import pin_to
from restarts import killed_at_work, starting
from rich.console import Console
from rich.table import Table
from workloads import Figures, Workload, chains, drain, many_jobs, steady, updates, waiting, wide_graph


@dataclass(frozen=True)
class Measured:
    """A workload with its name and the figures' targets, by the figures' names."""

    workload: str
    name: str
    run: Workload
    targets: dict[str, str]


def everything(seconds: float) -> Iterator[Measured]:
    """Yield all that is measured, in the order in which it is printed."""
    for tasks in (1_000, 10_000, 100_000):
        for workers in (1, 10, 100):
            rate = {10: "≥ 1,000", 100: "≥ 1,500"}.get(workers, "")
            targets = {"life cycles/s": rate, "stored after s": "≤ 5", "memory MiB": "≤ 150", "database MiB": "≤ 15"}
            name = f"drain {tasks:,} tasks, W = {workers}"
            yield Measured("B2", name, partial(drain, workers, tasks, seconds), targets)
    name = "drain 100,000 tasks, W = 100, in batches"
    yield Measured(
        "B2",
        name,
        partial(drain, 100, 100_000, seconds, batches=True),
        {"life cycles/s": "≥ 2,000"},
    )
    for workers, rate in ((10, "≥ 1,000"), (100, "≥ 1,500")):
        name = f"drain 100,000 tasks beside 1,000,000 finished ones, W = {workers}"
        yield Measured(
            "B3", name, partial(drain, workers, 100_000, seconds, history=1_000_000), {"life cycles/s": rate}
        )
    for rate in (250, 500):
        name = f"100,000 tasks, W = 100, {rate} life cycles/s in an open loop"
        yield Measured("B2", name, partial(steady, 100, 100_000, rate, seconds), {"ask p99 ms": "≤ 50"})
    for tasks in (100, 10_000, 100_000, 300_000):
        targets = {"stored after s": "≤ 5", "others waited at most ms": "≤ 50"} if tasks == 100_000 else {}
        yield Measured("B1", f"a job of {tasks:,} tasks comes", partial(arriving, tasks), targets)
    targets = {f"{change[0]}: others waited at most ms": "≤ 100" for change in CHANGES}
    yield Measured("B9", "a job of 100,000 tasks is changed while others work", partial(changing, 100_000), targets)
    for finished, waits in ((1_000_000, 0), (900_000, 100_000), (0, 1_000_000)):
        name = f"start with {finished:,} finished and {waits:,} waiting tasks"
        yield Measured("B11", name, partial(starting, finished, waits), {"first answer s": "≤ 3"})
    none = {"tasks lost": "0", "done again though acknowledged": "0"}
    yield Measured("B11", "kill -9 at work, 3,000 tasks, W = 20", partial(killed_at_work, 20, 3_000, 1.0), none)
    for workers in (100, 1_000):
        targets = {"waiting: % of a core": "< 5", "submit to first ms": "≤ 50"}
        yield Measured("B4", f"{workers:,} Workers wait", partial(waiting, workers, seconds), targets)
    for workers, log_bytes in ((10, 400), (100, 400), (10, 10_000), (100, 10_000), (10, 1_000_000)):
        name = f"updates, W = {workers}, log of {log_bytes:,} bytes"
        yield Measured("B6", name, partial(updates, workers, log_bytes, seconds), {"update p99 ms": "≤ 100"})
    yield Measured("B7", "100,000 tasks → 1, W = 10", partial(wide_graph, 10, 100_000, seconds), {})
    yield Measured("B7", "1,000 chains of 100, W = 10", partial(chains, 10, 1_000, 100, seconds), {})
    yield Measured("B7", "50 jobs of 2,000, W = 10", partial(many_jobs, 10, 50, 2_000, seconds), {})


def main() -> None:
    """Measure, and print a table per workload."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("workloads", nargs="*", help="only these: B1 B2 B3 B4 B6 B7 B9 B11")
    parser.add_argument("--only", metavar="WORDS", default="", help="only those whose name has these words")
    parser.add_argument("--seconds", type=float, default=6.0, help="how long each is measured (6)")
    parser.add_argument(
        "--repeat", type=int, default=3, help="how often each is measured; median and range are printed"
    )
    chosen = parser.parse_args()
    gc.disable()  # what measures must not keep itself waiting
    pin_to(set(range(1, os.cpu_count() or 1)) or {0})
    console = Console(width=None if sys.stdout.isatty() else 150)
    console.print(f"{os.cpu_count()} cores; each figure: median (lowest to highest) of {chosen.repeat}")
    for measured in everything(chosen.seconds):
        if (chosen.workloads and measured.workload not in chosen.workloads) or chosen.only not in measured.name:
            continue
        runs = []
        for number in range(chosen.repeat):
            print(f"{measured.workload} {measured.name}: {number + 1} of {chosen.repeat} …", file=sys.stderr)
            runs.append(measured.run())
        console.print(_table(measured, runs))


def _table(measured: Measured, runs: Sequence[Figures]) -> Table:
    table = Table(title=f"{measured.workload}: {measured.name}", title_justify="left", min_width=64)
    table.add_column("")
    table.add_column("measured", justify="right")
    table.add_column("target", justify="right")
    for name in runs[0]:
        values = sorted(run[name] for run in runs if name in run)
        spread = f" ({_short(values[0])} to {_short(values[-1])})" if len(values) > 1 else ""
        table.add_row(name, _short(statistics.median(values)) + spread, measured.targets.get(name, ""))
    return table


def _short(figure: float) -> str:
    return f"{figure:,.0f}" if figure >= 100 else f"{figure:.3g}"


if __name__ == "__main__":
    main()
