import pytest

from flamenco_core.statuses import JobStatus, TaskStatus, WorkerStatus


def test_the_words_are_those_of_the_flamenco_3_protocol() -> None:
    assert [str(status) for status in TaskStatus] == [
        "queued", "active", "soft-failed", "failed", "paused", "canceled", "completed",
    ]  # fmt: skip
    assert [str(status) for status in JobStatus] == [
        "under-construction", "queued", "active", "requeueing", "pause-requested", "paused", "cancel-requested",
        "canceled", "completed", "failed",
    ]  # fmt: skip
    assert [str(status) for status in WorkerStatus] == [
        "starting", "awake", "asleep", "error", "testing", "offline", "restart",
    ]  # fmt: skip


@pytest.mark.parametrize("status", [*TaskStatus, *JobStatus, *WorkerStatus])
def test_a_status_is_its_own_wire_text_however_it_is_written(status: TaskStatus | JobStatus | WorkerStatus) -> None:
    assert status == status.value == str(status) == f"{status}" == f"{status}"
    assert type(status)(status.value) is status
    assert {status.value: 1}[status] == {status: 1}[status.value] == 1  # type: ignore[index]


def test_a_task_waits_only_when_queued_or_to_be_tried_again() -> None:
    assert {status for status in TaskStatus if status.is_waiting} == {TaskStatus.QUEUED, TaskStatus.SOFT_FAILED}


def test_a_task_has_ended_when_nothing_more_happens_by_itself() -> None:
    assert {status for status in TaskStatus if status.is_ended} == {
        TaskStatus.FAILED,
        TaskStatus.CANCELED,
        TaskStatus.COMPLETED,
    }


def test_no_task_waits_and_has_ended_at_once() -> None:
    assert not any(status.is_waiting and status.is_ended for status in TaskStatus)


def test_a_job_has_ended_when_nothing_more_happens_by_itself() -> None:
    assert {status for status in JobStatus if status.is_ended} == {
        JobStatus.CANCELED,
        JobStatus.COMPLETED,
        JobStatus.FAILED,
    }


def test_tasks_are_handed_out_only_of_jobs_that_are_queued_or_active() -> None:
    assert {status for status in JobStatus if status.is_runnable} == {JobStatus.QUEUED, JobStatus.ACTIVE}
