"""A job's progress: a live bar on a terminal, plain lines elsewhere."""

import io
from typing import Any

import pytest
from api_objects import a_job, a_task
from rich.cells import cell_len
from rich.console import Console

from flamenco_cli.following import Change
from flamenco_cli.job_progress import MOST_TASKS_SHOWN, JobProgress
from flamenco_cli.terminal import THEME

EVIL = "[red]\x1b[31m:boom:\n"
SHOWN = r"[red]\x1b[31m:boom:\n"


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def a_console(*, is_terminal: bool, width: int = 100) -> Console:
    return Console(
        file=io.StringIO(),
        force_terminal=is_terminal,
        width=width,
        theme=THEME,
        color_system=None,
        markup=False,
        emoji=False,
        highlight=False,
    )


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def plain_lines(*changes: dict[str, Any], every_s: float = 10.0) -> list[str]:
    """What is written off a terminal when a job changes so, some seconds apart."""
    console, clock = a_console(is_terminal=False), Clock()
    with JobProgress(console, show_tasks=True, now_s=clock) as progress:
        for change in changes:
            clock.now_s += every_s
            progress.show(Change(a_job(**change)))
    return written(console).splitlines()


def last_picture(*changes: Change, width: int = 100, away: str | None = None) -> list[str]:
    """What stands on a terminal at the end."""
    console = a_console(is_terminal=True, width=width)
    with JobProgress(console, show_tasks=True, now_s=Clock()) as progress:
        for change in changes:
            progress.show(change)
        if away is not None:
            progress.away(away)
    return written(console).rpartition("\x1b[2K")[2].splitlines()


def test_off_a_terminal_a_line_tells_each_state_once() -> None:
    queued = {"status": "queued", "task_counts": {"queued": 4}}
    done = {"status": "completed", "frames_done": 10}
    assert plain_lines(queued, queued, {}, {}, done) == [
        "Waiting: 0 of 10 frames",
        "Running: 0 of 10 frames",
        "Done: 10 of 10 frames",
    ]


def test_off_a_terminal_every_tenth_is_told_and_not_every_frame() -> None:
    lines = plain_lines(*({"frame_count": 100, "frames_done": done} for done in range(101)))
    assert [line.split(" of ")[0] for line in lines] == [f"Running: {done}" for done in range(0, 101, 10)]


def test_off_a_terminal_the_time_left_is_told_once_it_is_known() -> None:
    lines = plain_lines(*({"frames_done": done} for done in range(5)))
    assert lines[-1] == "Running: 4 of 10 frames, 60 s left"
    assert lines[1] == "Running: 1 of 10 frames"


def test_off_a_terminal_no_time_is_left_for_a_job_that_has_failed() -> None:
    failed = {"status": "failed", "frames_done": 5, "finished_at": "2026-01-01T00:00:00.000Z"}
    lines = plain_lines(*({"frames_done": done} for done in range(6)), failed)
    assert "left" in lines[-2]
    assert lines[-1] == "Failed: 5 of 10 frames"


@pytest.mark.parametrize("status", ["under-construction", "queued", "paused"])
def test_off_a_terminal_a_job_that_stands_still_tells_why(status: str) -> None:
    lines = plain_lines({"status": status, "activity": "Waiting for a Manager"}, {"activity": "never told"})
    assert lines[0].endswith(": 0 of 10 frames (Waiting for a Manager)")
    assert lines[1] == "Running: 0 of 10 frames"


def test_off_a_terminal_a_reason_that_only_counts_is_told_once() -> None:
    counting = [{"status": "queued", "activity": f"Fetching files: {done} of 90"} for done in range(90)]
    assert plain_lines(*counting, {"status": "queued", "activity": "Laying out"}) == [
        "Waiting: 0 of 10 frames (Fetching files: 0 of 90)",
        "Waiting: 0 of 10 frames (Laying out)",
    ]


def test_off_a_terminal_a_job_that_has_no_tasks_yet_has_no_numbers() -> None:
    job = {"status": "under-construction", "activity": "Compiling", "frame_count": 0, "task_count": 0}
    assert plain_lines({**job, "task_counts": {}}) == ["Preparing (Compiling)"]


def test_off_a_terminal_a_server_that_is_away_is_told_once_until_it_is_back() -> None:
    console = a_console(is_terminal=False)
    with JobProgress(console, show_tasks=False) as progress:
        progress.show(Change(a_job()))
        for _ in range(3):
            progress.away("Connection refused")
        progress.show(Change(a_job(frames_done=10)))
        progress.away("Connection refused")
    assert [line for line in written(console).splitlines() if "No connection" in line] == [
        "No connection, trying again: Connection refused"
    ] * 2


def test_off_a_terminal_hostile_texts_do_nothing() -> None:
    assert plain_lines({"status": "queued", "activity": EVIL}) == [f"Waiting: 0 of 10 frames ({SHOWN})"]


def test_on_a_terminal_the_picture_has_state_bar_and_count() -> None:
    (line,) = last_picture(Change(a_job(frames_done=5)))
    assert line.startswith("◐ Running ")
    assert "━" * 12 in line
    assert "5 of 10 frames" in line


def test_on_a_terminal_a_job_whose_pace_is_not_known_is_being_measured() -> None:
    (line,) = last_picture(Change(a_job(frames_done=1)), Change(a_job(frames_done=2)))
    assert line.rstrip().endswith("measuring…")


def test_on_a_terminal_a_job_that_nobody_works_on_tells_why_instead_of_a_time() -> None:
    (line,) = last_picture(Change(a_job(status="queued", task_counts={"queued": 4}, activity="All Workers asleep")))
    assert line.rstrip().endswith("All Workers asleep")


def test_on_a_terminal_the_tasks_at_work_are_listed_in_their_order() -> None:
    tasks = [Change(a_job(), a_task(id=f"t{index}", index=index, name=f"render-{index}")) for index in (2, 1)]
    lines = last_picture(*tasks)
    assert [line.strip() for line in lines[1:]] == ["node-01: render-1  frame 2", "node-01: render-2  frame 2"]


def test_on_a_terminal_a_task_that_has_ended_is_no_longer_listed() -> None:
    running, ended = a_task(), a_task(status="completed")
    assert len(last_picture(Change(a_job(), running), Change(a_job(), ended))) == 1


def test_on_a_terminal_a_job_that_has_ended_has_no_task_at_work() -> None:
    ended = a_job(status="completed", frames_done=10, finished_at="2026-01-01T00:00:00.000Z")
    lines = last_picture(Change(a_job(), a_task()), Change(ended))
    assert len(lines) == 1
    assert "Done" in lines[0]


def test_on_a_terminal_many_tasks_are_counted_beyond_a_few() -> None:
    many = [Change(a_job(), a_task(id=f"t{index}", index=index)) for index in range(MOST_TASKS_SHOWN + 3)]
    assert last_picture(*many)[-1].strip() == "and 3 more"
    assert len(last_picture(*many)) == MOST_TASKS_SHOWN + 2


def test_on_a_terminal_a_server_that_is_away_is_told_below_what_was_known_last() -> None:
    bar, away = last_picture(Change(a_job(frames_done=5), a_task()), away="Connection refused")
    assert "5 of 10" in bar
    assert away.strip() == "No connection, trying again: Connection refused"


def test_on_a_terminal_before_anything_is_known_something_moves() -> None:
    assert last_picture() != []


@pytest.mark.parametrize("width", [20, 40, 60, 100])
def test_on_a_terminal_no_line_is_wider_than_it_is(width: int) -> None:
    task = a_task(name="render-" + "1-5," * 60, activity="x" * 200)
    job = a_job(frames_done=5, activity="y" * 200, status="queued", task_counts={})
    assert max(cell_len(line) for line in last_picture(Change(job, task), width=width)) <= width


def test_on_a_terminal_hostile_texts_do_nothing() -> None:
    task = a_task(name=EVIL, activity=EVIL, worker={"id": "w", "name": EVIL})
    bar, line = last_picture(Change(a_job(activity=EVIL, status="queued", task_counts={}), task), width=200)
    assert SHOWN in bar
    assert line.strip() == f"{SHOWN}: {SHOWN}  {SHOWN}"
    assert SHOWN in last_picture(Change(a_job()), away=EVIL)[1]


@pytest.mark.parametrize("is_terminal", [True, False])
def test_an_end_by_an_error_leaves_the_terminal_as_it_was(is_terminal: bool) -> None:
    console = a_console(is_terminal=is_terminal)

    def fail() -> None:
        with JobProgress(console, show_tasks=False) as progress:
            progress.show(Change(a_job()))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    hidden, shown = "\x1b[?25l", "\x1b[?25h"
    assert written(console).count(hidden) == written(console).count(shown)
