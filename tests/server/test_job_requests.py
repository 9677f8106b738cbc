"""What people may ask of a job: the rules alone (jobs.md, "What people may ask of a job")."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.server_store import ADA, NOON, a_job, job_report
from flamenco_core.errors import Conflict
from flamenco_core.statuses import JobStatus
from flamenco_core.wire.manager_api import Rev
from flamenco_server import job_requests
from flamenco_server.asking import Asker, JobInBin, NoManagerYet, Step, shown, shown_status
from flamenco_server.job_requests import BIN_LIFE, JobEnded, JobIsErased, after_answer, after_drop, after_report
from flamenco_server.orders import NewOrder
from flamenco_server.records import Job

Ask = Callable[[Job, Asker], Step[Job]]

ENDED = [JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELED]
REQUESTS: dict[str, Ask] = {
    "cancel": job_requests.cancel,
    "pause": job_requests.pause,
    "resume": job_requests.resume,
    "requeue": lambda job, by: job_requests.requeue(job, by, "failed"),
    "delete": job_requests.delete,
    "undelete": job_requests.undelete,
}


def issued(status: JobStatus = JobStatus.ACTIVE, **changes: Any) -> Job:
    """Build a job that a Manager has."""
    return a_job(manager_id="site", reported_status=status, status=status, **changes)


def asked(job: Job, *names: str) -> Job:
    """Ask several things of a job, one after the other."""
    for name in names:
        job = shown(REQUESTS[name](job, ADA).object)
    return job


def only_order(step: Step[Job]) -> NewOrder:
    (order,) = step.orders
    return order


class TestOfAJobThatAManagerHas:
    @pytest.mark.parametrize(
        ("name", "status", "seen"),
        [
            ("cancel", JobStatus.ACTIVE, JobStatus.CANCEL_REQUESTED),
            ("cancel", JobStatus.PAUSED, JobStatus.CANCEL_REQUESTED),
            ("cancel", JobStatus.UNDER_CONSTRUCTION, JobStatus.CANCEL_REQUESTED),
            ("pause", JobStatus.QUEUED, JobStatus.PAUSE_REQUESTED),
            ("pause", JobStatus.ACTIVE, JobStatus.PAUSE_REQUESTED),
            ("resume", JobStatus.PAUSED, JobStatus.PAUSED),
            ("resume", JobStatus.ACTIVE, JobStatus.ACTIVE),
            ("requeue", JobStatus.FAILED, JobStatus.REQUEUEING),
            ("requeue", JobStatus.COMPLETED, JobStatus.REQUEUEING),
            ("requeue", JobStatus.ACTIVE, JobStatus.REQUEUEING),
            ("delete", JobStatus.ACTIVE, JobStatus.CANCEL_REQUESTED),
            ("delete", JobStatus.COMPLETED, JobStatus.COMPLETED),
        ],
    )
    def test_it_becomes_an_order_and_is_shown_until_that_is_answered(
        self, name: str, status: JobStatus, seen: JobStatus
    ) -> None:
        step = REQUESTS[name](issued(status), ADA)
        order = only_order(step)
        assert (order.kind, order.details["job"], order.asked_by) == (f"job.{name}", step.object.id, "ada")
        assert (order.asked_at, order.expires) == (NOON, None)
        job = shown(step.object)
        assert (job.status, job.reported_status) == (seen, status)
        (ask,) = job.asks.values()
        assert (ask.order, ask.by) == (order.id, "ada")
        answered = after_answer(job, order.id, "done", "")
        assert (answered.status, answered.asks) == (status, {})

    @pytest.mark.parametrize("name", ["cancel", "pause", "resume", "delete"])
    def test_asking_twice_is_asking_once(self, name: str) -> None:
        job = asked(issued(), name)
        again = REQUESTS[name](job, Asker("grace", NOON))
        assert (again.orders, again.object) == ([], job) or again == Step(job)

    @pytest.mark.parametrize("name", ["cancel", "pause", "resume"])
    @pytest.mark.parametrize("status", ENDED)
    def test_what_has_ended_goes_on_no_more(self, name: str, status: JobStatus) -> None:
        with pytest.raises(JobEnded, match=f"'shot' is {status} already; there is nothing left to {name}"):
            REQUESTS[name](issued(status), ADA)

    @pytest.mark.parametrize("status", [JobStatus.PAUSED, JobStatus.PAUSE_REQUESTED])
    def test_a_job_that_is_paused_need_not_be_paused(self, status: JobStatus) -> None:
        assert job_requests.pause(issued(status), ADA).orders == ()

    def test_what_makes_sense_is_judged_by_what_was_asked_before(self) -> None:
        with pytest.raises(JobEnded, match="cancel-requested"):
            asked(issued(), "cancel", "pause")
        assert asked(issued(JobStatus.PAUSED), "resume", "pause").asked_state == "pause"
        assert asked(issued(), "pause", "resume").status is JobStatus.ACTIVE
        assert asked(issued(), "cancel", "requeue").status is JobStatus.REQUEUEING
        assert asked(issued(), "cancel", "requeue", "cancel").status is JobStatus.CANCEL_REQUESTED
        assert asked(issued(), "pause", "requeue").asked_state == "pause"
        assert asked(issued(JobStatus.COMPLETED), "requeue", "pause").status is JobStatus.PAUSE_REQUESTED

    def test_a_job_that_ended_meanwhile_is_not_taken_for_one_that_goes_on(self) -> None:
        job = asked(issued(), "pause")
        job = after_report(job, job_report(job.id, Rev(1, 2), JobStatus.COMPLETED), NOON)
        assert job.status is JobStatus.COMPLETED
        with pytest.raises(JobEnded):
            job_requests.resume(job, ADA)

    def test_requeueing_says_which_tasks_and_what_was_known_of_them(self) -> None:
        job = issued(rev=Rev(2, 345))
        order = only_order(job_requests.requeue(job, ADA, "chosen", ["one", "two"]))
        assert order.details == {"job": job.id, "which": "chosen", "tasks": ["one", "two"], "rev": [2, 345]}
        order = only_order(job_requests.requeue(issued(), ADA, "not-completed"))
        assert (order.details["which"], "tasks" in order.details, "rev" in order.details) == (
            "not-completed",
            False,
            False,
        )

    def test_priority_and_tag_are_asked_for_beside_what_is_so(self) -> None:
        step = job_requests.change(issued(), ADA, {"priority": 80, "tag": "gpu"})
        assert [(order.kind, order.details) for order in step.orders] == [
            ("job.priority", {"job": step.object.id, "priority": 80}),
            ("job.tag", {"job": step.object.id, "tag": "gpu"}),
        ]
        assert (step.object.priority, step.object.tag) == (50, None)
        job = after_answer(step.object, step.orders[0].id, "done", "")
        assert (job.priority, job.tag, list(job.asks)) == (80, None, ["tag"])
        job = after_answer(job, step.orders[1].id, "done", "")
        assert (job.priority, job.tag, job.asks) == (80, "gpu", {})

    def test_a_change_to_what_it_is_or_will_be_is_none(self) -> None:
        assert job_requests.change(issued(priority=80, tag="gpu"), ADA, {"priority": 80, "tag": "gpu"}).orders == ()
        job = job_requests.change(issued(), ADA, {"priority": 80}).object
        assert job_requests.change(job, ADA, {"priority": 80}).orders == ()
        assert len(job_requests.change(job, ADA, {"priority": 50}).orders) == 1

    def test_what_was_dropped_leaves_all_as_it_is_and_tells_why(self) -> None:
        step = job_requests.change(issued(), ADA, {"priority": 80})
        job = after_answer(step.object, step.orders[0].id, "dropped", "The job is deleted.")
        assert (job.priority, job.asks, job.refused) == (50, {}, "The job is deleted.")
        assert asked(job, "pause").refused == ""

    def test_an_answer_to_something_older_does_not_settle_what_was_asked_since(self) -> None:
        first = job_requests.pause(issued(), ADA)
        second = job_requests.cancel(first.object, ADA)
        job = after_answer(second.object, first.orders[0].id, "done", "")
        assert (job.status, job.asked_state) == (JobStatus.CANCEL_REQUESTED, "cancel")
        assert after_answer(job, first.orders[0].id, "dropped", "too late").refused == "too late"


class TestOfAJobThatNoManagerHas:
    def test_it_is_canceled_at_once(self) -> None:
        step = job_requests.cancel(a_job(task_count=3), Asker("ada", NOON))
        job = shown(step.object)
        assert (job.status, job.activity, job.finished_at) == (JobStatus.CANCELED, "Canceled by ada", NOON)
        assert (job.counts, step.ends_tasks, step.orders) == ({"canceled": 3}, True, ())

    def test_pausing_and_resuming_change_what_will_be_issued(self) -> None:
        paused = asked(a_job(), "pause")
        assert (paused.start_paused, paused.status, paused.asks["state"].order) == (
            True,
            JobStatus.PAUSE_REQUESTED,
            None,
        )
        resumed = asked(paused, "resume")
        assert (resumed.start_paused, resumed.status, resumed.asks) == (False, JobStatus.UNDER_CONSTRUCTION, {})

    def test_a_job_that_starts_paused_may_be_resumed_before_it_starts(self) -> None:
        assert asked(a_job(start_paused=True), "resume").start_paused is False

    def test_priority_and_tag_change_at_once(self) -> None:
        step = job_requests.change(a_job(), ADA, {"priority": 80, "tag": "gpu"})
        assert (step.object.priority, step.object.tag, step.orders, step.object.asks) == (80, "gpu", (), {})

    def test_the_first_report_answers_what_was_asked_before(self) -> None:
        job = replace(asked(a_job(), "pause"), manager_id="site")
        job = after_report(job, job_report(job.id, Rev(1, 1), JobStatus.UNDER_CONSTRUCTION), NOON)
        assert (job.status, job.asks) == (JobStatus.UNDER_CONSTRUCTION, {})

    @pytest.mark.parametrize("status", [JobStatus.UNDER_CONSTRUCTION, JobStatus.CANCELED, JobStatus.FAILED])
    def test_nothing_of_it_can_be_requeued(self, status: JobStatus) -> None:
        with pytest.raises(NoManagerYet, match="No Manager has the job 'shot'"):
            job_requests.requeue(a_job(status=status, reported_status=status), ADA, "all")

    def test_deleting_cancels_it_too(self) -> None:
        step = job_requests.delete(a_job(), ADA)
        job = shown(step.object)
        assert (job.status, job.activity, job.deleted_at) == (JobStatus.CANCELED, "Deleted by ada", NOON)
        assert step.ends_tasks
        failed = a_job(reported_status=JobStatus.FAILED, activity="no camera", finished_at=NOON)
        step = job_requests.delete(failed, ADA)
        assert (step.object.activity, step.ends_tasks, step.object.deleted_at) == ("no camera", False, NOON)

    def test_undeleting_leaves_it_canceled(self) -> None:
        job = asked(a_job(), "delete", "undelete")
        assert (job.status, job.deleted_at) == (JobStatus.CANCELED, None)


class TestOfADeletedJob:
    @pytest.mark.parametrize("name", ["cancel", "pause", "resume", "requeue"])
    @pytest.mark.parametrize("job", [issued(), a_job()], ids=["issued", "not issued"])
    def test_it_hears_of_nothing_else(self, name: str, job: Job) -> None:
        with pytest.raises(JobInBin, match="undelete it first"):
            asked(job, "delete", name)

    def test_its_priority_stays(self) -> None:
        with pytest.raises(JobInBin):
            job_requests.change(asked(issued(), "delete"), ADA, {"priority": 1})

    def test_it_can_be_undeleted(self) -> None:
        step = job_requests.undelete(asked(issued(), "delete"), ADA)
        assert (only_order(step).kind, step.object.deleted_at) == ("job.undelete", None)

    def test_what_is_not_deleted_is_left_as_it_is_by_undelete(self) -> None:
        assert job_requests.undelete(issued(), ADA).orders == ()

    def test_it_is_erased_when_it_was_in_the_bin_for_a_week_and_not_before(self) -> None:
        job = asked(issued(), "delete")
        almost = NOON + BIN_LIFE - timedelta(milliseconds=1)
        assert job_requests.erase(job, almost) == Step(job)
        step = job_requests.erase(job, NOON + BIN_LIFE)
        assert (only_order(step).kind, step.object.erased) == ("job.erase", False)
        assert job_requests.erase(step.object, NOON + 2 * BIN_LIFE).orders == ()
        assert timedelta(days=7) == BIN_LIFE

    def test_a_job_that_no_manager_has_is_erased_without_asking(self) -> None:
        step = job_requests.erase(asked(a_job(), "delete"), NOON + BIN_LIFE)
        assert (step.orders, step.object.erased) == ((), True)

    def test_a_job_that_is_not_deleted_is_never_erased(self) -> None:
        assert job_requests.erase(issued(), NOON + 100 * BIN_LIFE).object.erased is False

    @pytest.mark.parametrize("result", ["done", "dropped"])
    def test_whatever_its_manager_answers_nothing_is_left_there(self, result: str) -> None:
        step = job_requests.erase(asked(issued(), "delete"), NOON + BIN_LIFE)
        assert after_answer(step.object, step.orders[0].id, result, "").erased is True

    def test_while_it_is_erased_it_is_too_late_to_undelete(self) -> None:
        erasing = job_requests.erase(asked(issued(), "delete"), NOON + BIN_LIFE).object
        for job in (erasing, replace(erasing, erased=True, asks={})):
            with pytest.raises(JobIsErased):
                job_requests.undelete(job, ADA)

    def test_a_manager_that_still_has_it_brings_it_back_to_the_lists(self) -> None:
        step = job_requests.delete(issued(), ADA)
        report = job_report(step.object.id, Rev(1, 1), priority=50)
        assert after_report(step.object, report, NOON).deleted_at == NOON  # said before it knew
        answered = after_answer(step.object, step.orders[0].id, "done", "")
        assert after_report(answered, replace(report, deleted=True), NOON).deleted_at == NOON
        assert after_report(answered, replace(report, priority=None), NOON).deleted_at == NOON  # it does not tell
        assert after_report(answered, report, NOON).deleted_at is None

    def test_one_that_we_have_forgotten_to_have_deleted_is_in_the_bin_from_now_on(self) -> None:
        report = job_report(issued().id, Rev(1, 1), priority=50, deleted=True)
        assert after_report(issued(), report, NOON + BIN_LIFE).deleted_at == NOON + BIN_LIFE


def test_a_job_that_its_manager_drops_has_failed_and_answers_what_it_fetched() -> None:
    job = job_requests.change(replace(asked(a_job(), "pause"), manager_id="site"), ADA, {"priority": 9}).object
    dropped = after_drop(job, "no room", NOON)
    assert (dropped.status, dropped.finished_at, list(dropped.asks)) == (JobStatus.FAILED, NOON, ["priority"])
    assert "no room" in dropped.activity
    done = issued(JobStatus.COMPLETED)
    assert after_drop(done, "no room", NOON) == done


def test_a_job_that_is_paused_before_that_is_answered_is_shown_as_paused() -> None:
    assert shown_status(JobStatus.PAUSED, "pause") is JobStatus.PAUSED


def test_a_manager_that_tells_priority_and_tag_is_believed() -> None:
    job = issued(tag="gpu")
    told = after_report(job, job_report(job.id, Rev(1, 1), priority=7), NOON)
    assert (told.priority, told.tag) == (7, None)
    silent = after_report(job, job_report(job.id, Rev(1, 1)), NOON)
    assert (silent.priority, silent.tag) == (50, "gpu")


@given(st.sampled_from(list(JobStatus)), st.sampled_from([None, *REQUESTS, "erase"]), st.booleans())
def test_an_ended_job_is_shown_as_ended_but_for_a_requeue(
    reported: JobStatus, asked_state: str | None, requeued: bool
) -> None:
    seen = shown_status(reported, asked_state, requeued=requeued)
    if requeued:
        assert not seen.is_ended
    elif reported.is_ended or asked_state is None:
        assert seen is reported


@given(st.lists(st.sampled_from([*REQUESTS, "answer", "report"]), max_size=20), st.data())
def test_once_all_is_answered_what_is_shown_is_what_is_reported(names: list[str], data: st.DataObject) -> None:
    """Orders are answered in their order, late, and with either result; reports come in between."""
    job, waiting, commit = issued(), list[NewOrder](), 0
    for name in [*names, *["answer"] * len(names)]:
        if name == "answer":
            if waiting:
                result = data.draw(st.sampled_from(["done", "dropped", "expired"]))
                job = after_answer(job, waiting.pop(0).id, result, "")
        elif name == "report":
            commit += 1
            status = data.draw(st.sampled_from(list(JobStatus)))
            job = after_report(job, job_report(job.id, Rev(1, commit), status, priority=commit), NOON)
        else:
            try:
                step = REQUESTS[name](job, ADA)
            except Conflict:
                continue
            job = shown(step.object)
            waiting.extend(step.orders)
    assert waiting == []
    assert job.asks == {}
    assert job.status is job.reported_status
