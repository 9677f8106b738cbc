"""Try what breaks farms, at the sizes that are asked for: each section prints its seed, what it tried, what came of it.

Each is what a test of tests/manager or tests/faults does in small; what fails here is to become one.
"""

import argparse
import asyncio
import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import structlog

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "manager"), str(ROOT / "tests" / "faults")]

ROUND = 250
"""Histories of one round."""

Asked = argparse.Namespace


def histories(asked: Asked, _: Path) -> None:
    """Random histories of a farm against its naive model, in rounds that can be tried again alone."""
    from test_manager_histories import Histories, run_histories

    print(f"histories: {asked.histories} of {asked.steps} steps, seed {asked.seed}", flush=True)
    began, tried = time.monotonic(), 0
    while tried < asked.histories:
        seed, count = asked.seed + tried // ROUND, min(ROUND, asked.histories - tried)
        try:
            run_histories(count, asked.steps, seed)
        except BaseException:
            print(f"once more: make chaos ONLY=histories SEED={seed} HISTORIES={count} STEPS={asked.steps}", flush=True)
            raise
        tried += count
        print(f"{tried} histories, {time.monotonic() - began:.0f} s", flush=True)
    for what, times in sorted(Histories.tally.items()):
        print(f"{times:12,}  {what}")


def kills(asked: Asked, folder: Path) -> None:
    """``kill -9`` of a Manager at random instants with Workers at work."""
    from kills import survive_kills

    _run(survive_kills(folder, kills=asked.kills, tasks=asked.tasks, workers=asked.workers, seed=asked.seed))


def cuts(asked: Asked, folder: Path) -> None:
    """Let the power fail at random points; it takes along what was not synced."""
    from cuts import survive_cuts

    _run(survive_cuts(folder, cuts=asked.cuts, tasks=120, workers=5, seed=asked.seed))


def crashes(asked: Asked, folder: Path) -> None:
    """Crash at every write step of what a Manager does."""
    from crash_points import SCENARIOS, crash_everywhere

    for scenario in SCENARIOS:
        _run(crash_everywhere(folder / scenario.__name__, scenario, asked.seed))


def links(asked: Asked, folder: Path) -> None:
    """Lose, double, delay and re-order messages on both links."""
    from links import survive_a_bad_line_to_the_server, survive_bad_lines_to_workers

    for number in range(asked.links):
        one, other, seed = folder / f"workers-{number}", folder / f"server-{number}", asked.seed + number
        one.mkdir()
        other.mkdir()
        _run(survive_bad_lines_to_workers(one, tasks=200, workers=8, seed=seed))
        _run(survive_a_bad_line_to_the_server(other, jobs=15, workers=3, seed=seed))


def away(asked: Asked, folder: Path) -> None:
    """Have the Server away for days while much changes at the site."""
    from days_away import survive_days_away

    _run(survive_days_away(folder, changes=asked.changes, workers=asked.workers))


SECTIONS: dict[str, Callable[[Asked, Path], None]] = {
    "histories": histories,
    "kills": kills,
    "cuts": cuts,
    "crashes": crashes,
    "links": links,
    "away": away,
}


def main() -> int:
    """Run the sections; tells how it went by the exit status."""
    asked = _arguments()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    for name in asked.only or SECTIONS:
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="flamenco-chaos-", ignore_cleanup_errors=True) as folder:
            try:
                SECTIONS[name](asked, Path(folder))
            except BaseException:
                print(f"{name}: wrong, seed {asked.seed}", flush=True)
                raise
        print(f"{name}: nothing went wrong, {time.monotonic() - began:.0f} s\n", flush=True)
    return 0


def _run(work: Coroutine[Any, Any, object]) -> None:
    asyncio.run(work)


def _arguments() -> Asked:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", choices=SECTIONS, help="this section; may be given several times")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**9), help="the same seed tries the same")
    parser.add_argument("--histories", type=int, default=10_000)
    parser.add_argument("--steps", type=int, default=50, help="of each history")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--tasks", type=int, default=20_000, help="over which the kills are spread")
    parser.add_argument("--workers", type=int, default=20, help="at work on them")
    parser.add_argument("--cuts", type=int, default=500)
    parser.add_argument("--links", type=int, default=50, help="farms with bad lines, of each kind")
    parser.add_argument("--changes", type=int, default=1_000_000, help="while the Server is away")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
