"""What the page says of things."""

from datetime import UTC, datetime, timedelta

import pytest
from page_farm import a_frame, a_job, a_task, a_worker

from flamenco_core.statuses import JobStatus, TaskStatus, WorkerStatus
from flamenco_core.wire.schema import rfc3339
from flamenco_server.web import words

NOW = datetime(2026, 3, 5, 14, 2, tzinfo=UTC)


@pytest.mark.parametrize("status", [*JobStatus, *TaskStatus])
def test_every_status_has_a_look_of_its_own(status: str) -> None:
    assert words.look(status) is not words.UNKNOWN


@pytest.mark.parametrize("status", WorkerStatus)
def test_every_status_of_a_worker_has_a_look(status: str) -> None:
    assert words.worker_look(a_worker(status=status)) is not words.UNKNOWN


def test_a_status_of_a_newer_server_is_called_unknown() -> None:
    assert words.look("hibernating").word == "Unknown"


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (-3, "0 s"),
        (0.84, "0.8 s"),
        (4, "4 s"),
        (9.96, "10 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (72, "1 min 12 s"),
        (7500, "2 h 5 min"),
        (7201, "2 h"),
        (190_000, "2 d 4 h"),
    ],
)
def test_a_duration_has_its_two_largest_units(seconds: float, written: str) -> None:
    assert words.duration(seconds) == written


@pytest.mark.parametrize(
    ("size_bytes", "written"),
    [(812, "812 B"), (1000, "1 kB"), (1_440_000, "1.4 MB"), (48_213_554, "48 MB"), (999_600, "1 MB")],
)
def test_a_size_is_short(size_bytes: int, written: str) -> None:
    assert words.size(size_bytes) == written


def test_a_bar_shows_what_is_done_runs_and_failed() -> None:
    counts = {"completed": 5, "active": 2, "failed": 1, "queued": 2}
    job = a_job(task_count=10, task_counts=counts, steps_completed=50, steps_total=100)
    assert words.bar(job) == words.Bar(percent=50, done=5000, running=2000, failed=1000)


def test_a_bar_is_full_only_when_all_is_done() -> None:
    assert words.bar(a_job(steps_completed=999, steps_total=1000)).percent == 99


def test_a_single_failure_of_thousands_is_seen_in_the_bar() -> None:
    job = a_job(task_count=5000, task_counts={"completed": 4999, "failed": 1}, steps_completed=4999, steps_total=5000)
    assert words.bar(job).failed == words.LEAST_FAILED
    assert words.bar(job).done + words.bar(job).failed <= words.BAR_LENGTH


def test_a_job_without_tasks_has_an_empty_bar() -> None:
    job = a_job(task_count=0, task_counts={}, steps_total=0)
    assert words.bar(job) == words.Bar(percent=0, done=0, running=0, failed=0)


def test_a_job_without_frames_counts_tasks() -> None:
    assert words.amount(a_job(frame_count=0, task_count=1, task_counts={"completed": 1})) == "1 of 1 task"


@pytest.mark.parametrize(
    ("done", "running_s", "said"),
    [
        (2, 60, "measuring…"),
        (12, 60, "50–75 s"),
        (12, 600, "9–13 min"),
        (23, 23, "about 5 s"),
        (4, 3600, "4.5–6.5 h"),
    ],
)
def test_time_left_is_a_range_once_it_can_be_told(done: int, running_s: float, said: str) -> None:
    started = rfc3339(NOW - timedelta(seconds=running_s))
    job = a_job(status="active", started_at=started, steps_completed=done, steps_total=24)
    assert words.time_left(job, NOW) == said


def test_a_job_that_nobody_works_on_has_no_time_left() -> None:
    assert words.time_left(a_job(), NOW) == ""


@pytest.mark.parametrize(
    ("when", "written"),
    [
        (NOW - timedelta(minutes=2), "14:00"),
        (NOW - timedelta(days=2), "3 Mar 14:02"),
        (NOW - timedelta(days=90), "5 Dec 2025"),
    ],
)
def test_a_time_is_as_short_as_it_is_clear(when: datetime, written: str) -> None:
    assert words.clock_time(rfc3339(when), NOW) == written


def test_what_is_asked_and_not_true_yet_is_said() -> None:
    assert words.requested(a_job(status="active", cancel_requested=True)) == "canceling"
    assert words.requested(a_job(status="canceled", cancel_requested=True)) == ""
    assert words.requested(a_worker(status_requested="asleep")) == "going to sleep"
    assert words.requested(a_worker(status="asleep", status_requested="asleep")) == ""
    assert words.requested(a_worker(status="offline", status_requested="awake")) == ""
    assert words.requested(a_worker(status="offline", status_requested="asleep")) == "asleep when it is back"


def test_a_job_is_cancelled_once() -> None:
    assert words.can_be_canceled(a_job())
    assert not words.can_be_canceled(a_job(cancel_requested=True))
    assert not words.can_be_canceled(a_job(status="completed"))


def test_an_unapproved_worker_says_so_first() -> None:
    assert words.worker_look(a_worker(approved=False, status="awake")).word == "Awaits approval"


def test_a_machine_is_described_by_what_it_has() -> None:
    gpu = {"backend": "CUDA", "name": "A6000", "memory_bytes": 1}
    hardware = {"cpu_count": 1, "memory_bytes": 32 * 2**30, "gpus": [gpu, gpu]}
    assert words.machine(a_worker(hardware=hardware)) == "1 core, 32 GiB, 2 × A6000"
    assert words.machine(a_worker(hardware=None)) == ""


def test_a_failed_task_tells_why() -> None:
    task = a_task(a_job(), 0, status="soft-failed", failed_by=[{"worker": "w", "reason": "Out of memory"}])
    assert words.task_activity(task) == "Out of memory"


def test_a_frame_is_described_for_those_who_cannot_see_it() -> None:
    assert words.frame_label(a_frame(a_job(), 47, status="completed", seconds=72)) == "Frame 47, done, 1 min 12 s"


@pytest.mark.parametrize(
    ("value", "written"), [(True, "yes"), ("PNG", "PNG"), (24, "24"), (None, "not set"), ([1, 2], "[1,2]")]
)
def test_values_of_settings_are_written_plainly(value: object, written: str) -> None:
    assert words.plain(value) == written
