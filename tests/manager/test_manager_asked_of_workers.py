"""What people ask of Workers: the rules, with time as an argument."""

from datetime import UTC, datetime

import pytest
from asked_workers import ask_to, history, nights, requests, says, set_schedule, until
from farm_builder import Site

from flamenco_core.errors import Forbidden
from flamenco_core.statuses import TaskStatus, WorkerStatus
from flamenco_core.wire.worker_api import WorkerSignOn
from flamenco_manager import asked_of_workers, attempts, worker_rules
from flamenco_manager.asked_of_workers import BadRequest, BadTag, MakesNoSense
from flamenco_manager.attempts import HandOut, StatusWanted

AWAKE, ASLEEP, OFFLINE, RESTART, STARTING = (
    WorkerStatus.AWAKE,
    WorkerStatus.ASLEEP,
    WorkerStatus.OFFLINE,
    WorkerStatus.RESTART,
    WorkerStatus.STARTING,
)


# Requests.


def test_an_immediate_request_stops_the_task_and_a_lazy_one_lets_it_end() -> None:
    site = Site()
    site.job(((), ()))
    worker = site.worker()
    task = site.takes(worker)
    ask_to(site, worker, ASLEEP, lazy=True)
    assert attempts.may_run(site.farm, worker, task, task.attempt, site.now).yes
    ask_to(site, worker, ASLEEP, lazy=False)
    answer = attempts.may_run(site.farm, worker, task, task.attempt, site.now)
    assert (answer.yes, answer.status_wanted) == (False, True)
    site.says(worker, task, "completed")
    assert site.ask(worker) == StatusWanted(ASLEEP)
    site.check()


def test_a_lazy_request_keeps_new_tasks_away_and_takes_back_those_handed_out_ahead() -> None:
    site = Site()
    job = site.job(((), (), (), ()))
    worker = site.worker()
    first = site.takes(worker)
    site.passes(1, worker)
    site.says(worker, first, "active", seq=1)
    site.says(worker, first, "completed", seq=2)
    answer = attempts.ask(site.farm, worker, site.now, most=3)
    assert isinstance(answer, HandOut)
    assert len(answer.ahead) == 2
    ask_to(site, worker, ASLEEP, lazy=True)
    assert (worker.task, worker.reserved) == (answer.task, [])
    assert [task.status for task in job.tasks].count(TaskStatus.QUEUED) == 2
    site.says(worker, answer.task, "completed", seq=1)
    assert site.ask(worker) == StatusWanted(ASLEEP)
    site.check()


def test_the_later_request_replaces_the_earlier_one() -> None:
    site = Site()
    worker = site.worker()
    ask_to(site, worker, ASLEEP, lazy=True)
    ask_to(site, worker, OFFLINE, lazy=False)
    assert requests(worker) == (OFFLINE, False)
    ask_to(site, worker, OFFLINE, lazy=True)
    assert requests(worker) == (OFFLINE, True)


def test_what_a_worker_is_already_is_not_asked() -> None:
    site = Site()
    worker = site.worker()
    site.farm.take_changes()
    ask_to(site, worker, AWAKE)
    assert requests(worker) == (None, False)
    assert not site.farm.take_changes()


def test_a_worker_that_was_just_told_to_sleep_is_woken_and_loses_no_task_by_it() -> None:
    site = Site()
    site.job()
    worker = site.worker()
    task = site.takes(worker)
    ask_to(site, worker, ASLEEP, lazy=True)
    ask_to(site, worker, AWAKE, lazy=False)
    assert attempts.may_run(site.farm, worker, task, task.attempt, site.now).yes
    says(site, worker, ASLEEP)  # it had been told, and only now says so
    assert requests(worker)[0] is AWAKE
    says(site, worker, AWAKE)
    assert requests(worker) == (None, False)
    site.check()


@pytest.mark.parametrize("status", [STARTING, WorkerStatus.ERROR, WorkerStatus.TESTING])
def test_what_no_worker_can_be_asked(status: WorkerStatus) -> None:
    site = Site()
    with pytest.raises(BadRequest, match="awake, asleep, offline, restart"):
        ask_to(site, site.worker(), status)


def test_requests_that_make_no_sense_change_nothing() -> None:
    site = Site()
    awake, gone, new, stranger = site.worker(), site.worker(), site.worker(awake=False), site.worker()
    worker_rules.sign_off(site.farm, gone, site.now)
    new.status = None
    stranger.is_approved = False
    site.farm.take_changes()
    for worker, status, why in (
        (awake, RESTART, "cannot restart: nobody would start it again"),
        (gone, OFFLINE, "offline"),
        (gone, RESTART, "offline"),
        (new, OFFLINE, "offline"),
        (stranger, AWAKE, "awaits approval"),
    ):
        before = requests(worker)
        with pytest.raises(MakesNoSense, match=why):
            ask_to(site, worker, status)
        assert requests(worker) == before
    assert not site.farm.take_changes()


def test_one_that_can_restart_is_asked_to() -> None:
    site = Site()
    worker = site.worker()
    worker_rules.sign_on(site.farm, worker, WorkerSignOn("w", ("misc",), "4", can_restart=True), site.now)
    ask_to(site, worker, RESTART, lazy=True)
    assert requests(worker) == (RESTART, True)
    worker_rules.sign_off(site.farm, worker, site.now)
    assert requests(worker) == (None, False)


def test_a_silent_worker_is_asked_once_it_is_heard_of_again() -> None:
    site = Site()
    worker = site.worker()
    site.passes(181)
    assert worker.status is WorkerStatus.ERROR
    ask_to(site, worker, OFFLINE)
    assert site.ask(worker) == StatusWanted(OFFLINE)


# Tags.


def test_tags_are_names_and_replace_those_before() -> None:
    site = Site()
    worker = site.worker()
    asked_of_workers.set_tags(site.farm, worker, [" GPU ", "big", "GPU"])
    assert worker.tags == {"GPU", "big"}
    asked_of_workers.set_tags(site.farm, worker, ["gpu"])
    assert worker.tags == {"gpu"}
    site.farm.take_changes()
    asked_of_workers.set_tags(site.farm, worker, ["gpu"])
    assert not site.farm.take_changes()


@pytest.mark.parametrize(
    "tags", [None, "GPU", {"GPU": 1}, [""], ["  "], [7], ["a" * 65], ["a\nb"], ["ok", "\x1b[31m"], ["a"] * 101]
)
def test_what_is_no_tag_is_refused(tags: object) -> None:
    site = Site()
    worker = site.worker()
    asked_of_workers.set_tags(site.farm, worker, ["big"])
    with pytest.raises(BadTag):
        asked_of_workers.set_tags(site.farm, worker, tags)
    assert worker.tags == {"big"}


def test_a_deleted_tag_leaves_all_workers() -> None:
    site = Site()
    workers = [site.worker() for _ in range(3)]
    for worker, tags in zip(workers, (["GPU", "big"], ["big"], ["GPU"]), strict=True):
        asked_of_workers.set_tags(site.farm, worker, tags)
    site.farm.take_changes()
    asked_of_workers.delete_tag(site.farm, " GPU ")
    assert [worker.tags for worker in workers] == [{"big"}, {"big"}, frozenset()]
    assert set(site.farm.take_changes().workers) == {workers[0].id, workers[2].id}
    with pytest.raises(BadTag):
        asked_of_workers.delete_tag(site.farm, "")


def test_a_worker_gets_a_task_by_the_tag_that_it_is_given_and_none_by_one_that_it_lost() -> None:
    site = Site()
    site.job(((), ()), asked={"tag": "GPU"})
    worker = site.worker()
    assert site.ask(worker) is None
    asked_of_workers.set_tags(site.farm, worker, ["GPU"])
    assert worker.id in site.farm.take_changes().touched_workers
    task = site.takes(worker)
    asked_of_workers.delete_tag(site.farm, "GPU")
    site.says(worker, task, "completed")
    assert site.ask(worker) is None


def test_a_worker_that_signs_on_with_other_types_gets_other_tasks() -> None:
    site = Site()
    site.job(type="blender")
    worker = site.worker(types=("misc",))
    assert site.ask(worker) is None
    worker.task_types = ("blender",)
    site.sign_on(worker)
    says(site, worker, AWAKE)
    assert site.takes(worker).type == "blender"


# Forgetting.


def test_a_forgotten_worker_gives_its_task_back_and_is_gone() -> None:
    site = Site()
    job = site.job()
    worker, other = site.worker(), site.worker()
    task = site.takes(worker)
    site.farm.take_changes()
    asked_of_workers.forget(site.farm, worker, site.now)
    changes = site.farm.take_changes()
    assert (task.status, task.lost, job.live) == (TaskStatus.QUEUED, 0, 1)
    assert worker.id not in site.farm.workers
    assert (changes.workers[worker.id].is_forgotten, worker.id in changes.touched_workers) == (True, True)
    assert history(changes) == [("offline", "Removed from the farm.")]
    assert site.takes(other) is task
    site.check()


def test_what_a_forgotten_worker_was_just_about_to_say_is_refused() -> None:
    site = Site()
    worker = site.worker()
    asked_of_workers.forget(site.farm, worker, site.now)
    site.farm.take_changes()
    for call in (
        lambda: worker_rules.say_status(site.farm, worker, AWAKE, site.now),
        lambda: worker_rules.sign_off(site.farm, worker, site.now),
        lambda: site.sign_on(worker),
    ):
        with pytest.raises(Forbidden, match="removed"):
            call()
    assert not site.farm.take_changes()


def test_a_call_of_a_forgotten_worker_that_still_waits_disturbs_nobody() -> None:
    site = Site()
    worker, other = site.worker(), site.worker()
    asked_of_workers.forget(site.farm, worker, site.now)
    site.passes(400, worker, other)
    assert other.status is AWAKE


def test_who_failed_a_task_may_be_the_only_one_left_after_another_is_forgotten() -> None:
    site = Site()
    site.job()
    worker, other = site.worker(), site.worker()
    task = site.takes(worker)
    site.says(worker, task, "failed")
    site.passes(6, worker, other)
    assert site.ask(worker) is None
    asked_of_workers.forget(site.farm, other, site.now)
    assert site.farm.take_changes().new_work
    assert site.takes(worker) is task


# History.


def test_every_change_and_every_request_is_in_the_history_with_why() -> None:
    site = Site()
    worker = site.worker()
    set_schedule(site, worker, nights())
    ask_to(site, worker, ASLEEP, lazy=True)
    says(site, worker, ASLEEP)
    ask_to(site, worker, AWAKE, lazy=True)
    says(site, worker, AWAKE)
    site.passes(181)
    site.ask(worker)
    ask_to(site, worker, OFFLINE)
    worker_rules.sign_off(site.farm, worker, site.now)
    site.sign_on(worker)
    says(site, worker, ASLEEP)
    worker_rules.sign_off(site.farm, worker, site.now)
    until(site, 22)
    assert history(site.farm.take_changes()) == [
        ("starting", "Signed on."),
        ("awake", "Says so."),
        ("awake", "Asked to sleep after its task."),
        ("asleep", "As asked."),
        ("asleep", "Asked to wake up."),
        ("awake", "As asked."),
        ("error", "Not heard of for 181 seconds."),
        ("awake", "Heard of again."),
        ("awake", "Asked to shut down."),
        ("offline", "Signed off, as asked."),
        ("starting", "Signed on."),
        ("asleep", "Says so."),
        ("offline", "Signed off."),
        ("offline", "Its sleep schedule decides what it is when it signs on."),
    ]


def test_a_request_that_is_fulfilled_without_a_change_is_in_the_history_too() -> None:
    site = Site()
    worker = site.worker()
    ask_to(site, worker, ASLEEP, lazy=True)
    ask_to(site, worker, AWAKE)
    says(site, worker, AWAKE)
    says(site, worker, AWAKE)
    assert history(site.farm.take_changes())[-2:] == [("awake", "Asked to wake up."), ("awake", "As asked.")]


def test_history_has_the_time_of_the_clock() -> None:
    site = Site()
    site.passes(5)
    site.worker()
    states = site.farm.take_changes().worker_states
    assert {state.at for state in states} == {datetime(2026, 1, 31, 12, 0, 5, tzinfo=UTC)}
