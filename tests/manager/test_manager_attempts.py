"""The life of an attempt: hand-out, silence, loss, failure, late words. Names of traces are those of traces.md."""

import pytest
from farm_builder import Site

from flamenco_core.statuses import JobStatus, TaskStatus, WorkerStatus
from flamenco_core.wire.worker_api import TaskUpdate
from flamenco_manager import attempts, job_rules, leases, worker_rules
from flamenco_manager.attempts import BadTaskStatus, NotAwake, StatusWanted, Verdict


def test_jobs_by_priority_then_age_and_tasks_by_priority_then_order() -> None:
    site = Site()
    worker = site.worker()
    site.job([(), ()])
    site.job(priority=90)
    site.job([(), (), ()], priorities=[50, 80, 50])
    order = []
    while (answer := site.ask(worker)) is not None:
        order.append((answer.task.job.key, answer.task.index))  # type: ignore[union-attr]
        site.says(worker, answer.task, "completed")  # type: ignore[union-attr]
    assert order == [(3, 0), (2, 0), (2, 1), (4, 1), (4, 0), (4, 2)]


def test_a_task_waits_until_what_it_depends_on_is_completed() -> None:
    site = Site()
    job, w0, w1 = site.job([(), (0,)]), site.worker(), site.worker()
    first = site.takes(w0)
    assert site.ask(w1) is None
    site.says(w0, first, "completed")
    assert site.takes(w1) is job.tasks[1]


def test_a_worker_gets_only_tasks_of_its_types() -> None:
    site = Site()
    site.job(type="blender")
    assert site.ask(site.worker(types=("ffmpeg",))) is None


def test_a_sleeping_worker_gets_no_task_and_an_unapproved_one_is_sent_to_sleep() -> None:
    site = Site()
    site.job()
    worker = site.worker(awake=False)
    assert site.ask(worker) is NotAwake.NOT_AWAKE
    worker.is_approved = False
    assert site.ask(worker) == StatusWanted(WorkerStatus.ASLEEP)


def test_trace_1_a_frame_that_always_fails_on_one_worker_ends_as_failed_within_a_minute() -> None:
    site = Site()
    job, worker = site.job(frames="12"), site.worker()
    for _ in range(3):
        task = site.takes(worker)
        site.says(worker, task, "failed", activity="no camera")
        site.passes(30, worker)
    assert site.passed_s <= 90
    assert (job.status, job.activity) == (JobStatus.FAILED, "1 of 1 frame failed: 12")
    assert [entry.reason for entry in job.tasks[0].failed_by] == ["no camera"] * 3


def test_the_same_worker_waits_longer_after_each_failure() -> None:
    site = Site(failed_attempts=9)
    job, worker = site.job(), site.worker()
    for pause_s in (5, 30, 120, 120):
        site.says(worker, site.takes(worker), "failed")
        site.passes(pause_s - 1, worker)
        assert site.ask(worker) is None
        site.passes(1, worker)
    assert job.tasks[0].status is TaskStatus.SOFT_FAILED


def test_the_next_attempt_goes_to_a_worker_that_has_not_failed_it() -> None:
    site = Site()
    site.job()
    w0, w1 = site.worker(), site.worker()
    task = site.takes(w0)
    site.says(w0, task, "failed")
    site.passes(100, w0, w1)
    assert site.ask(w0) is None
    assert site.takes(w1) is task


def test_trace_16_the_task_does_not_wait_for_a_worker_that_sleeps() -> None:
    site = Site()
    job, w0, w1, w2 = site.job(), site.worker(), site.worker(), site.worker()
    worker_rules.say_status(site.farm, w2, WorkerStatus.ASLEEP, site.now)
    for worker in (w0, w1, w1):
        site.says(worker, site.takes(worker), "failed")
        site.passes(31, w0, w1, w2)
    assert job.status is JobStatus.FAILED


def test_trace_2_a_worker_that_dies_of_its_task_ends_it_after_three_times() -> None:
    site = Site()
    job, worker = site.job(), site.worker()
    site.takes(worker)
    for _ in range(3):
        site.says(worker, job.tasks[0], "active")
        site.comes_back(worker)
    assert job.status is JobStatus.FAILED
    assert job.tasks[0].activity == "Its Worker disappeared 3 times."


def test_trace_3_a_task_that_kills_machines_does_not_walk_through_the_farm() -> None:
    site = Site()
    job, workers = site.job(), [site.worker() for _ in range(4)]
    for worker in workers[:3]:
        task = site.takes(worker)
        site.says(worker, task, "active")
        site.passes(62, *[other for other in workers if other is not worker and other.status is WorkerStatus.AWAKE])
        assert worker.status is WorkerStatus.ERROR
    assert site.ask(workers[3]) is None
    assert job.status is JobStatus.FAILED
    site.check()


def test_trace_4_a_silent_worker_goes_on_if_nobody_else_took_its_task() -> None:
    site = Site()
    job, worker = site.job(), site.worker()
    task = site.takes(worker)
    site.says(worker, task, "active")
    site.passes(62)
    assert (worker.status, task.status, task.is_suspended) == (WorkerStatus.ERROR, TaskStatus.QUEUED, True)
    worker_rules.heard(site.farm, worker, site.now)
    assert attempts.may_run(site.farm, worker, task, 1, site.now).yes
    assert (worker.status, task.status, task.attempt) == (WorkerStatus.AWAKE, TaskStatus.ACTIVE, 1)
    assert site.says(worker, task, "completed") is Verdict.APPLIED
    assert (job.status, task.lost) == (JobStatus.COMPLETED, 0)


def test_a_suspended_attempt_is_resumed_also_by_its_result() -> None:
    site = Site()
    job, worker = site.job(), site.worker()
    task = site.takes(worker)
    site.passes(181)
    assert task.is_suspended
    assert site.says(worker, task, "completed") is Verdict.APPLIED
    assert job.status is JobStatus.COMPLETED


def test_a_task_given_away_counts_as_lost_until_its_first_worker_turns_out_to_live() -> None:
    site = Site()
    site.job()
    w0, w1 = site.worker(), site.worker()
    task = site.takes(w0)
    site.says(w0, task, "active")
    site.passes(62, w1)
    assert site.takes(w1) is task
    assert (task.attempt, task.lost) == (2, 1)
    assert site.says(w0, task, "completed", attempt=1) is Verdict.STALE
    assert (task.lost, task.status, task.worker) == (0, TaskStatus.ACTIVE, w1)


def test_a_sign_on_does_not_take_back_a_lost_attempt() -> None:
    site = Site()
    site.job()
    w0, w1 = site.worker(), site.worker()
    task = site.takes(w0)
    site.says(w0, task, "active")
    site.passes(62, w1)
    site.takes(w1)
    site.comes_back(w0)
    assert task.lost == 1


def test_a_worker_that_asks_gets_its_own_task_again_with_a_new_attempt() -> None:
    site = Site()
    site.job()
    worker = site.worker()
    task = site.takes(worker)
    assert site.takes(worker) is task
    assert (task.attempt, task.lost) == (2, 0)
    assert site.says(worker, task, "completed", attempt=1) is Verdict.STALE


def test_a_silent_worker_that_asks_gets_its_own_task_again_before_anything_else() -> None:
    site = Site()
    site.job()
    worker = site.worker()
    task = site.takes(worker)
    site.passes(181)
    site.job(priority=90)
    assert task.is_suspended
    assert site.takes(worker) is task
    assert (task.attempt, task.lost) == (2, 0)
    site.check()


def test_signing_off_gives_the_task_back_and_counts_as_lost_unless_it_was_asked_for() -> None:
    site = Site()
    site.job()
    worker = site.worker()
    task = site.takes(worker)
    worker_rules.sign_off(site.farm, worker, site.now)
    assert (task.status, task.lost, worker.status_requested) == (TaskStatus.QUEUED, 1, WorkerStatus.AWAKE)
    site.comes_back(worker)
    worker.status_requested = WorkerStatus.RESTART
    worker_rules.sign_off(site.farm, worker, site.now)
    assert (task.status, task.lost, worker.status_requested) == (TaskStatus.QUEUED, 1, WorkerStatus.AWAKE)


def test_any_status_but_awake_gives_the_task_back() -> None:
    for status in (WorkerStatus.ASLEEP, WorkerStatus.ERROR, WorkerStatus.STARTING):
        site = Site()
        site.job()
        worker = site.worker()
        task = site.takes(worker)
        worker_rules.say_status(site.farm, worker, status, site.now)
        assert (task.status, task.lost, worker.task) == (TaskStatus.QUEUED, 0, None)


def test_cancel_ends_attempts_and_a_late_word_changes_nothing() -> None:
    site = Site()
    job, worker = site.job([(), ()]), site.worker()
    task = site.takes(worker)
    job_rules.cancel(site.farm, job, site.now)
    assert site.says(worker, task, "active") is Verdict.STALE
    assert site.says(worker, task, "completed") is Verdict.STALE
    assert {one.status for one in job.tasks} == {TaskStatus.CANCELED}
    assert not attempts.may_run(site.farm, worker, task, None, site.now).yes


def test_cancel_reaches_a_suspended_attempt() -> None:
    site = Site()
    job, worker = site.job(), site.worker()
    task = site.takes(worker)
    site.passes(200)
    assert task.is_suspended
    job_rules.cancel(site.farm, job, site.now)
    assert site.says(worker, task, "completed") is Verdict.STALE
    assert (task.status, job.status) == (TaskStatus.CANCELED, JobStatus.CANCELED)


def test_trace_20_updates_in_any_order_and_repeated_end_alike() -> None:
    site = Site()
    job, worker = site.job(steps_total=5), site.worker()
    task = site.takes(worker)
    assert site.says(worker, task, "completed", seq=3) is Verdict.APPLIED
    assert site.says(worker, task, seq=2, steps_completed=1) is Verdict.REPEATED
    assert site.says(worker, task, "active", seq=1) is Verdict.REPEATED
    assert site.says(worker, task, "completed", seq=3) is Verdict.REPEATED
    assert (task.status, task.steps_completed, job.status) == (TaskStatus.COMPLETED, 5, JobStatus.COMPLETED)


def test_a_lower_seq_does_not_set_steps_back() -> None:
    site = Site()
    site.job(steps_total=9)
    worker = site.worker()
    task = site.takes(worker)
    site.says(worker, task, seq=5, steps_completed=5)
    assert site.says(worker, task, seq=4, steps_completed=4) is Verdict.REPEATED
    assert task.steps_completed == 5


def test_trace_18_a_flamenco_3_worker_cannot_end_run_2_with_the_result_of_run_1() -> None:
    site = Site()
    site.job()
    old, ours = site.worker(ours=False), site.worker()
    task = site.takes(old)
    site.says(old, task, "active")
    site.passes(62, ours)
    assert site.takes(ours) is task
    worker_rules.sign_off(site.farm, ours, site.now)
    site.passes(30, old)
    assert site.ask(old) is None  # it may still have the result of run 1 in its queue
    assert site.says(old, task, "completed") is Verdict.STALE
    site.passes(59, old)
    assert site.ask(old) is None  # and within 60 s of its last word about it
    site.passes(2, old)
    assert site.takes(old) is task
    assert site.says(old, task, "completed") is Verdict.STALE  # before its own "active"
    assert site.says(old, task, log="line") is Verdict.APPLIED
    assert site.says(old, task, "active") is Verdict.APPLIED
    assert site.says(old, task, "completed") is Verdict.APPLIED


def test_a_re_hand_of_its_own_task_lets_a_flamenco_3_worker_finish_it() -> None:
    site = Site()
    site.job()
    old = site.worker(ours=False)
    task = site.takes(old)
    site.says(old, task, "active")
    assert site.takes(old) is task
    assert site.says(old, task, "completed") is Verdict.APPLIED
    assert site.says(old, task, "completed") is Verdict.REPEATED


def test_a_task_of_which_nothing_is_heard_fails_although_its_worker_is_there() -> None:
    site = Site()
    site.job()
    worker = site.worker()
    task = site.takes(worker)
    site.passes(601, worker)
    assert task.status is TaskStatus.SOFT_FAILED
    assert "10 minutes" in task.failed_by[0].reason


def test_a_starting_worker_has_three_minutes_a_working_one_a_minute() -> None:
    site = Site()
    site.job([(), ()])
    w0, w1 = site.worker(), site.worker()
    site.says(w0, site.takes(w0), "active")
    site.takes(w1)
    site.passes(61)
    assert (w0.status, w1.status) == (WorkerStatus.ERROR, WorkerStatus.AWAKE)
    site.passes(121)
    assert w1.status is WorkerStatus.ERROR


def test_trace_23_nobody_times_out_when_the_manager_itself_was_stopped() -> None:
    site = Site()
    site.job()
    worker = site.worker()
    site.says(worker, site.takes(worker), "active")
    site.passed_s += 120
    leases.tick(site.farm, site.now)
    assert worker.status is WorkerStatus.AWAKE
    site.passes(59)
    assert worker.status is WorkerStatus.AWAKE
    site.passes(3)
    assert worker.status is WorkerStatus.ERROR


def test_nothing_times_out_in_the_first_minutes() -> None:
    site = Site()
    site.farm.policy = type(site.farm.policy)()
    site.farm.started_s = site.now.monotonic_s
    site.job()
    worker = site.worker()
    site.says(worker, site.takes(worker), "active")
    site.passes(119)
    assert worker.status is WorkerStatus.AWAKE
    site.passes(2)
    assert worker.status is WorkerStatus.ERROR


def test_an_assignment_that_could_not_be_delivered_is_taken_back_without_blame() -> None:
    site = Site()
    site.job()
    worker = site.worker()
    handed = site.ask(worker)
    assert isinstance(handed, attempts.HandOut)
    attempts.take_back(site.farm, handed, site.now)
    assert (handed.task.status, handed.task.lost, worker.task) == (TaskStatus.QUEUED, 0, None)
    attempts.take_back(site.farm, handed, site.now)
    assert site.takes(worker) is handed.task


@pytest.mark.parametrize("status", ["queued", "soft-failed", "paused", "canceled"])
def test_a_worker_cannot_set_what_only_the_manager_sets(status: str) -> None:
    site = Site()
    site.job()
    worker = site.worker()
    task = site.takes(worker)
    with pytest.raises(BadTaskStatus, match=status):
        site.says(worker, task, status, seq=1, steps_completed=1)
    assert (task.status, task.seq, task.steps_completed) == (TaskStatus.ACTIVE, 0, 0)


def test_a_report_about_an_attempt_never_handed_out_is_stale() -> None:
    site = Site()
    site.job()
    worker = site.worker()
    task = site.takes(worker)
    said = TaskUpdate(task_status=TaskStatus.COMPLETED, attempt=7)
    assert attempts.update(site.farm, worker, task, said, site.now) is Verdict.STALE
