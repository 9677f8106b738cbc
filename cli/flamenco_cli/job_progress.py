"""A job's progress on standard error: a live bar on a terminal, plain lines elsewhere."""

import re
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from flamenco_cli.following import Change
from flamenco_cli.records import Job, Task
from flamenco_cli.tables import noun_of, progress_of
from flamenco_cli.terminal import harmless
from flamenco_cli.time_left import TimeLeftEstimate
from flamenco_cli.words import look_of
from flamenco_core.statuses import JobStatus, TaskStatus

REPAINTS_PER_S = 4
MOST_TASKS_SHOWN = 8
MOST_BAR_CELLS = 32
_NUMBER = re.compile(r"\d+")
"""Off a terminal "Fetching files: 3 of 90" is said once, not 90 times."""
PLAIN_STEPS = 10
"""Off a terminal a line is printed whenever another tenth is done, and when the state changes."""


_IDLE = {JobStatus.UNDER_CONSTRUCTION, JobStatus.QUEUED, JobStatus.PAUSED}
"""Where a job's activity says why nothing runs."""


class JobProgress:
    """Shows a job that runs. A context manager; feed it changes."""

    def __init__(self, console: Console, *, show_tasks: bool, now_s: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._show_tasks = show_tasks
        self._now_s = now_s
        self._job: Job | None = None
        self._tasks: dict[str, Task] = {}
        self._estimate: TimeLeftEstimate | None = None
        self._away: str | None = None
        self._printed: tuple[str, int, str] | None = None
        self._spinner = Spinner("dots", style="busy")
        self._live = Live(
            console=console, get_renderable=self._render, refresh_per_second=REPAINTS_PER_S, transient=True
        )

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._live.stop()
            self._console.print(self._render())

    def show(self, change: Change) -> None:
        """Take in a change; a terminal is repainted a few times per second."""
        self._job, self._away = change.job, None
        done, total = progress_of(change.job)
        if total and self._estimate is None:
            self._estimate = TimeLeftEstimate(total, done, self._now_s())
        if self._estimate is not None:
            self._estimate.update(done, self._now_s())
        if change.task is not None:
            self._tasks[change.task["id"]] = change.task
            if change.task["status"] != TaskStatus.ACTIVE:
                del self._tasks[change.task["id"]]
        if not self._console.is_terminal:
            self._print_plain(change.job, done, total)

    def away(self, why: str) -> None:
        """Say that the Server cannot be reached, and that it is tried again."""
        if self._away is None and not self._console.is_terminal:
            self._console.print(f"No connection, trying again: {harmless(why)}", soft_wrap=True)
        self._away = why

    def _print_plain(self, job: Job, done: int, total: int) -> None:
        tenth = PLAIN_STEPS * done // total if total else 0
        why = harmless(job["activity"]) if job["status"] in _IDLE else ""
        told = (job["status"], tenth, _NUMBER.sub("#", why))
        if told != self._printed:
            self._printed = told
            counted = f": {done} of {total} {noun_of(job)}{self._left_words(job)}" if total else ""
            self._console.print(f"{look_of(job['status']).word}{counted}{f' ({why})' if why else ''}", soft_wrap=True)

    def _left_words(self, job: Job) -> str:
        left = self._estimate.at(self._now_s()) if self._estimate and job["finished_at"] is None else None
        return f", {left} left" if left and left.most_s > 0 else ""

    def _render(self) -> RenderableType:
        if self._job is None:
            return self._spinner
        lines: list[RenderableType] = [self._bar_line(self._job)]
        if self._away:
            lines.append(Text(f"  No connection, trying again: {harmless(self._away)}", style="doubtful"))
        elif self._show_tasks and self._job["finished_at"] is None:  # it may end before its last task's news come
            lines.extend(self._task_lines())
        return Group(*lines)

    def _bar_line(self, job: Job) -> Table:
        done, total = progress_of(job)
        look = look_of(job["status"])
        ended = job["finished_at"] is not None
        line = Table.grid(padding=(0, 1, 0, 0))
        for _ in range(4):
            line.add_column(no_wrap=True, overflow="ellipsis")
        line.add_row(
            look.text(),
            ProgressBar(total or 1, done, width=self._bar_cells(), complete_style=look.style, finished_style="good"),
            f"{done} of {total} {noun_of(job)}",
            Text("" if ended else harmless(self._left_column(job, done, total)), style="quiet"),
        )
        return line

    def _bar_cells(self) -> int:
        return min(MOST_BAR_CELLS, self._console.width // 4)

    def _left_column(self, job: Job, done: int, total: int) -> str:
        if not total or not job["task_counts"].get(TaskStatus.ACTIVE, 0):
            return job["activity"]
        if done >= total:
            return job["activity"] or "finishing"
        left = self._estimate.at(self._now_s()) if self._estimate else None
        return f"{left} left" if left else "measuring…"

    def _task_lines(self) -> Iterator[Text]:
        running = sorted(self._tasks.values(), key=lambda task: task["index"])
        for task in running[:MOST_TASKS_SHOWN]:
            worker = harmless(task["worker"]["name"]) if task["worker"] else ""
            name, activity = harmless(task["name"]), harmless(task["activity"])
            yield Text.assemble(
                "  ", (f"{worker}: ", "quiet"), name, ("  " + activity, "quiet"), no_wrap=True, overflow="ellipsis"
            )
        if len(running) > MOST_TASKS_SHOWN:
            yield Text(f"  and {len(running) - MOST_TASKS_SHOWN} more", style="quiet")
