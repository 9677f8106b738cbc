"""Lists for people: what they show, at every width, and that no text in them can do anything."""

import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from api_objects import (
    CREATED,
    JOB_ID,
    WORKER_ID,
    a_frame,
    a_job,
    a_job_type,
    a_manager,
    a_setting,
    a_task,
    a_worker,
)
from rich.cells import cell_len
from rich.console import Console, RenderableType

from flamenco_cli.columns import Column, Rows
from flamenco_cli.records import Job
from flamenco_cli.tables import (
    bar,
    frames_table,
    job_sheet,
    job_types_list,
    jobs_table,
    managers_table,
    noun_of,
    progress_of,
    reasons_of,
    tasks_table,
    workers_table,
)
from flamenco_cli.terminal import THEME, results

NOW = datetime.fromisoformat(CREATED).astimezone(UTC) + timedelta(minutes=5)
EVIL = "[red]:boom:[/red]\x1b[31m\x07\r\n\u202e\x9b1m"
SHOWN = r"[red]:boom:[/red]\x1b[31m\x07\r\n\u202e\x9b1m"


def printed(what: RenderableType, capsys: pytest.CaptureFixture[str], width: int = 200) -> str:
    """Print it to our console of standard output, as if that were so wide."""
    console = results()
    console.width = width
    console.print(what)
    return capsys.readouterr().out


def lines(text: str) -> list[list[str]]:
    """The rows of a table, as texts between gaps."""
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in text.splitlines()]


Printed = Callable[[RenderableType], str]

EVERY_LIST: list[tuple[str, RenderableType]] = [
    ("jobs", jobs_table([a_job(name=EVIL, owner=EVIL, status=EVIL)], NOW)),
    ("job", job_sheet(a_job(name=EVIL, activity=EVIL, output=EVIL, owner=EVIL, settings={EVIL: EVIL}), EVIL, NOW)),
    ("tasks", tasks_table([a_task(name=EVIL, activity=EVIL, frames=EVIL, worker={"id": "w", "name": EVIL})], {})),
    ("failed tasks", tasks_table([a_task(failed_by=[{"worker": WORKER_ID, "reason": EVIL}])], {WORKER_ID: EVIL})),
    ("frames", frames_table([a_frame(path=EVIL, worker_name=EVIL)])),
    (
        "workers",
        workers_table(
            [
                a_worker(
                    name=EVIL,
                    status=EVIL,
                    manager={"id": "m", "name": EVIL},
                    current_task={"id": "t", "name": EVIL, "job": "j", "job_name": EVIL},
                    blocked=[{"job": EVIL, "task_type": EVIL}],
                    programs=[{"name": EVIL, "version": EVIL, "path": EVIL}],
                )
            ],
            NOW,
        ),
    ),
    ("managers", managers_table([a_manager(name=EVIL, software=EVIL, platform=EVIL)], NOW)),
    ("job types", job_types_list([a_job_type(a_setting(key=EVIL, description=EVIL, choices=[EVIL], default=EVIL))])),
]


@pytest.mark.parametrize(("_name", "what"), EVERY_LIST, ids=[name for name, _ in EVERY_LIST])
def test_hostile_texts_are_shown_and_do_nothing(
    _name: str, what: RenderableType, capsys: pytest.CaptureFixture[str]
) -> None:
    text = printed(what, capsys, width=1000)
    assert SHOWN in text
    assert all(char == "\n" or char.isprintable() for char in text)


@pytest.mark.parametrize("width", [1, 20, 40, 60, 80, 132])
@pytest.mark.parametrize(("_name", "what"), EVERY_LIST, ids=[name for name, _ in EVERY_LIST])
def test_no_line_is_wider_than_the_terminal(
    _name: str, what: RenderableType, width: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert max(cell_len(line) for line in printed(what, capsys, width).splitlines()) <= width


def test_a_row_tells_a_job_with_state_bar_and_counts(capsys: pytest.CaptureFixture[str]) -> None:
    assert lines(printed(jobs_table([a_job(frames_done=5)], NOW), capsys)) == [
        ["Id", "State", "Name", "Progress", "Frames", "Priority", "Owner", "Submitted"],
        ["3f2a91c0", "◐ Running", "sh010", "██████░░░░░░", "5/10", "50", "kim", "5 min"],
    ]


@pytest.mark.parametrize(
    ("width", "headings"),
    [
        (76, ["Id", "State", "Name", "Progress", "Frames", "Priority", "Owner", "Submitted"]),
        (75, ["Id", "State", "Name", "Progress", "Frames", "Owner", "Submitted"]),
        (65, ["Id", "State", "Name", "Progress", "Frames", "Submitted"]),
        (58, ["Id", "State", "Name", "Progress", "Frames"]),
        (47, ["Id", "State", "Name", "Frames"]),
        (33, ["Id", "State", "Name"]),
    ],
)
def test_a_narrow_terminal_loses_the_columns_that_matter_least_and_no_id(
    width: int, headings: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    head, row = printed(jobs_table([a_job()], NOW), capsys, width).splitlines()
    assert head.split() == headings
    assert row.startswith("3f2a91c0  ◐ Running  sh010")
    assert "…" not in head + row


def test_long_prose_wraps_in_its_column_and_loses_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    path = "/render/" + "a-very-long-folder-name/" * 6 + "000001.png"
    text = printed(frames_table([a_frame(path=path)]), capsys, 80)
    column = text.splitlines()[0].index("Where")
    assert "".join(line[column:].strip() for line in text.splitlines()[1:]) == path


def test_a_table_without_rows_is_its_headings(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(Rows(Column("Id"), Column("Name", prose=True)), capsys).split() == ["Id", "Name"]


def test_wide_characters_are_counted_as_the_cells_they_fill(capsys: pytest.CaptureFixture[str]) -> None:
    rows = Rows(Column("Name"), Column("Next"))
    rows.add("山田太郎", "x")
    rows.add("ab", "y")
    _, first, second = printed(rows, capsys, 40).splitlines()
    assert cell_len(first[: first.index("x")]) == second.index("y")


def test_a_task_that_failed_tells_each_reason_once_with_the_names_of_those_that_met_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    failures = [
        {"worker": WORKER_ID, "reason": "No Blender."},
        {"worker": "0" * 36, "reason": "No Blender."},
        {"worker": WORKER_ID, "reason": "No Blender."},
        {"worker": WORKER_ID, "reason": "No disk."},
    ]
    assert reasons_of(failures, {WORKER_ID: "node-01"}) == "node-01, 00000000: No Blender.; node-01: No disk."
    assert "node-01: No disk." in printed(tasks_table([a_task(failed_by=failures)], {WORKER_ID: "node-01"}), capsys)


def test_a_task_that_has_not_failed_tells_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    row = lines(printed(tasks_table([a_task()], {}), capsys))[1]
    assert row == ["90ab17e4", "0", "◐ Running", "render-1-5", "1-5", "node-01", "1", "frame 2"]


def test_a_frame_that_is_not_done_has_nothing_invented(capsys: pytest.CaptureFixture[str]) -> None:
    frame = a_frame(status="queued", path=None, size_bytes=None, seconds=None, worker_name=None)
    assert lines(printed(frames_table([frame]), capsys))[1] == ["1", "○ Waiting"]


def test_a_frame_that_is_done_tells_time_size_worker_and_path(capsys: pytest.CaptureFixture[str]) -> None:
    row = lines(printed(frames_table([a_frame()]), capsys))[1]
    assert row == ["1", "● Done", "3.3 s", "412 kB", "node-01", "/render/sh010/000001.png"]


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, "● Awake"),
        ({"status": "asleep"}, "‖ Asleep"),
        ({"status": "error"}, "■ Not heard of"),
        ({"status": "awake", "approved": False}, "▲ Awaits approval"),
        ({"status": "testing"}, "? testing"),
        ({"blocked": [{"job": "3f2a77c0-1", "task_type": "misc"}]}, "● Awake, blocked from misc of 3f2a77c0"),
    ],
)
def test_the_state_of_a_worker_in_shape_and_word(
    changes: dict[str, object], state: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lines(printed(workers_table([a_worker(**changes)], NOW), capsys))[1][1] == state


@pytest.mark.parametrize(
    ("changes", "state", "seen"),
    [
        ({}, "● Connected", "5 min"),
        ({"away": True}, "■ Away", "5 min"),
        ({"away": True, "last_seen": None, "software": None, "platform": None}, "○ Never seen", "–"),
    ],
)
def test_a_manager_that_was_never_here_is_not_called_away(
    changes: dict[str, object], state: str, seen: str, capsys: pytest.CaptureFixture[str]
) -> None:
    row = lines(printed(managers_table([a_manager(**changes)], NOW), capsys))[1]
    assert (row[1], row[-1]) == (state, seen)


def test_job_types_tell_what_may_be_set_and_hide_what_may_not(capsys: pytest.CaptureFixture[str]) -> None:
    settings = [
        a_setting(key="format", choices=["PNG", "JPEG"], default="PNG"),
        a_setting(key="frames", required=True, default=None),
        a_setting(key="video", type="bool", default=False),
        a_setting(key="secret", visibility="hidden"),
    ]
    text = printed(job_types_list([a_job_type(*settings)]), capsys)
    assert lines(text)[:2] == [["some-type"], ["Does it."]]
    assert ["format", "PNG | JPEG", "PNG", "A knob."] in lines(text)
    assert ["frames", "string", "required", "A knob."] in lines(text)
    assert ["video", "bool", "false", "A knob."] in lines(text)
    assert "secret" not in text


def test_a_job_s_sheet_tells_everything_and_leaves_out_what_is_empty(capsys: pytest.CaptureFixture[str]) -> None:
    job = a_job(frames_done=4, task_counts={"active": 1, "completed": 3, "failed": 0})
    told = {line[0]: line[1:] for line in lines(printed(job_sheet(job, "http://farm/jobs/1", NOW), capsys)) if line}
    assert told["State"] == ["◐ Running"]
    assert told["Progress"] == ["█████░░░░░░░ 4 of 10 frames"]
    assert told["Tasks"] == ["1 running, 3 done"]
    assert told["Submitted"] == ["5 min ago by kim"]
    assert told["Page"] == ["http://farm/jobs/1"]
    assert told["Id"] == [JOB_ID]
    assert (told["fps"], told["preview_video"]) == (["24.0"], ["true"])
    assert "Doing" not in told
    assert "scene" not in told


@pytest.mark.parametrize(
    ("job", "progress", "noun"),
    [
        (a_job(frame_count=10, frames_done=3), (3, 10), "frames"),
        (a_job(frame_count=1, frames_done=0), (0, 1), "frame"),
        (a_job(frame_count=0, frames_done=0, task_count=4, task_counts={"completed": 2}), (2, 4), "tasks"),
        (a_job(frame_count=0, frames_done=0, task_count=1, task_counts={}), (0, 1), "task"),
        (a_job(frame_count=0, frames_done=0, task_count=0, task_counts={}), (0, 0), "tasks"),
    ],
)
def test_progress_counts_frames_where_there_are_any(job: Job, progress: tuple[int, int], noun: str) -> None:
    assert progress_of(job) == progress
    assert noun_of(job) == noun


@pytest.mark.parametrize(
    ("done", "total", "drawn"),
    [(0, 0, "░" * 12), (0, 5, "░" * 12), (1, 2, "█" * 6 + "░" * 6), (5, 5, "█" * 12), (1, 10**6, "░" * 12)],
)
def test_the_bar_is_as_full_as_the_job(done: int, total: int, drawn: str) -> None:
    assert bar(done, total).plain == drawn


def test_states_have_colours_on_a_terminal_and_none_where_no_color_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def shown() -> str:
        console = Console(file=io.StringIO(), force_terminal=True, width=100, theme=THEME)
        console.print(jobs_table([a_job()], NOW))
        assert isinstance(console.file, io.StringIO)
        return console.file.getvalue()

    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[34m" in shown()
    monkeypatch.setenv("NO_COLOR", "1")
    assert "◐ Running" in shown()
    assert "\x1b[34m" not in shown()
