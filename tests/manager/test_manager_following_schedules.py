"""What sleep schedules ask of Workers: the rules, with time as an argument."""

from datetime import timedelta

import pytest
from asked_workers import ask_to, history, nights, requests, says, set_schedule, until
from farm_builder import EPOCH, Site

from flamenco_core.statuses import WorkerStatus
from flamenco_core.wire.manager_api import SleepSchedule
from flamenco_manager import asked_of_workers, attempts, worker_rules
from flamenco_manager.attempts import HandOut, StatusWanted
from flamenco_manager.sleep_schedule import BadSchedule

AWAKE, ASLEEP, OFFLINE, RESTART, STARTING = (
    WorkerStatus.AWAKE,
    WorkerStatus.ASLEEP,
    WorkerStatus.OFFLINE,
    WorkerStatus.RESTART,
    WorkerStatus.STARTING,
)
DAY_S = 86400.0


def test_at_a_windows_start_a_worker_is_asked_to_sleep_after_its_task_and_at_its_end_to_wake() -> None:
    site = Site()
    site.job(((), ()))
    worker = site.worker()
    set_schedule(site, worker, nights())
    task = site.takes(worker)
    until(site, 21.999)
    assert requests(worker) == (None, False)
    until(site, 22)
    assert requests(worker) == (ASLEEP, True)
    assert attempts.may_run(site.farm, worker, task, task.attempt, site.now).yes
    site.says(worker, task, "completed")
    assert site.ask(worker) == StatusWanted(ASLEEP)
    says(site, worker, ASLEEP)
    assert requests(worker) == (None, False)
    until(site, 29.999)
    assert requests(worker) == (None, False)
    until(site, 30)
    assert requests(worker)[0] is AWAKE
    says(site, worker, AWAKE)
    until(site, 46)
    assert requests(worker) == (ASLEEP, True)


def test_a_persons_request_in_between_holds_until_the_next_change() -> None:
    site = Site()
    worker = site.worker()
    set_schedule(site, worker, nights())
    until(site, 22)
    says(site, worker, ASLEEP)
    ask_to(site, worker, AWAKE)
    says(site, worker, AWAKE)
    for hour in (22.1, 25, 29.9):
        until(site, hour)
        assert requests(worker) == (None, False)
    site.farm.take_changes()
    until(site, 30)
    assert requests(worker) == (None, False)  # it is awake already
    assert worker.id in site.farm.take_changes().workers  # which is not made up for after a restart
    ask_to(site, worker, ASLEEP)
    says(site, worker, ASLEEP)
    until(site, 45.9)
    assert requests(worker) == (None, False)
    until(site, 54)
    assert requests(worker)[0] is AWAKE


def test_a_schedule_gives_no_time_to_one_that_is_to_sleep_at_once() -> None:
    site = Site()
    site.job()
    worker = site.worker()
    set_schedule(site, worker, nights())
    task = site.takes(worker)
    ask_to(site, worker, ASLEEP, lazy=False)
    until(site, 22)
    assert attempts.may_run(site.farm, worker, task, task.attempt, site.now).status_wanted


def test_a_task_longer_than_the_window_is_not_followed_by_sleep() -> None:
    site = Site()
    site.job(((), ()))
    worker = site.worker()
    set_schedule(site, worker, nights("22:00", "23:00"))
    task = site.takes(worker)
    until(site, 22)
    assert requests(worker) == (ASLEEP, True)
    until(site, 23)
    assert requests(worker) == (AWAKE, True)
    assert attempts.may_run(site.farm, worker, task, task.attempt, site.now).yes
    site.says(worker, task, "completed")
    assert site.ask(worker) == StatusWanted(AWAKE)
    says(site, worker, AWAKE)
    assert isinstance(site.ask(worker), HandOut)


@pytest.mark.parametrize("wanted", [OFFLINE, RESTART])
def test_a_schedule_takes_no_shutdown_back(wanted: WorkerStatus) -> None:
    site = Site()
    worker = site.worker()
    worker.can_restart = True
    set_schedule(site, worker, nights())
    ask_to(site, worker, wanted, lazy=True)
    for hour in (22, 30):
        until(site, hour)
        assert requests(worker) == (wanted, True)


def test_at_sign_on_a_request_comes_first_then_the_schedule() -> None:
    site = Site()
    worker = site.worker()
    set_schedule(site, worker, nights())
    ask_to(site, worker, OFFLINE)
    worker_rules.sign_off(site.farm, worker, site.now)
    assert requests(worker) == (AWAKE, False)  # as it was before
    assert site.sign_on(worker) is AWAKE
    worker_rules.say_status(site.farm, worker, AWAKE, site.now)
    worker_rules.sign_off(site.farm, worker, site.now)
    until(site, 23)  # the next change: what it was before counts no more
    assert requests(worker) == (None, False)
    assert site.sign_on(worker) is ASLEEP
    assert requests(worker) == (None, False)
    ask_to(site, worker, AWAKE)
    assert site.sign_on(worker) is AWAKE
    assert requests(worker) == (AWAKE, False)  # until it says so


def test_a_silent_worker_follows_its_schedule_too() -> None:
    site = Site()
    worker = site.worker()
    set_schedule(site, worker, nights())
    site.passes(181)
    assert worker.status is WorkerStatus.ERROR
    until(site, 30)  # woken, which it was
    assert requests(worker) == (None, False)
    until(site, 46)
    assert site.ask(worker) == StatusWanted(ASLEEP)


def test_one_that_starts_inside_a_window_sleeps_however_it_was_told() -> None:
    site = Site()
    worker = site.worker(awake=False)
    set_schedule(site, worker, nights())
    until(site, 22)
    says(site, worker, AWAKE)  # it had signed on before
    assert site.ask(worker) == StatusWanted(ASLEEP)


def test_a_schedule_that_is_set_is_followed_where_it_wants_something_else() -> None:
    site = Site()
    worker, sleeper = site.worker(), site.worker()
    ask_to(site, sleeper, ASLEEP)
    says(site, sleeper, ASLEEP)
    for each in (worker, sleeper):
        set_schedule(site, each, nights("18:00", "19:00"))
        assert requests(each) == (None, False)  # a person put the one to sleep; that holds until the next change
    set_schedule(site, worker, nights("11:00", "13:00"))
    assert requests(worker) == (ASLEEP, True)
    says(site, worker, ASLEEP)
    ask_to(site, worker, AWAKE)
    says(site, worker, AWAKE)
    set_schedule(site, worker, nights("11:30", "12:30"))
    assert requests(worker) == (None, False)
    says(site, worker, ASLEEP)
    set_schedule(site, worker, None)
    assert requests(worker)[0] is AWAKE
    assert (worker.schedule, worker.schedule_at) == (None, None)


def test_a_schedule_that_is_off_asks_for_nothing() -> None:
    site = Site()
    worker = site.worker()
    set_schedule(site, worker, nights("11:00", "13:00", is_active=False))
    assert (requests(worker), worker.schedule_at) == ((None, False), None)
    set_schedule(site, worker, nights("11:00", "13:00"))
    says(site, worker, ASLEEP)
    set_schedule(site, worker, nights("11:00", "13:00", is_active=False))
    assert requests(worker)[0] is AWAKE


def test_a_bad_schedule_changes_nothing() -> None:
    site = Site()
    worker = site.worker()
    set_schedule(site, worker, nights())
    before, at = worker.schedule, worker.schedule_at
    site.farm.take_changes()
    with pytest.raises(BadSchedule):
        set_schedule(site, worker, nights(time_zone="Europe/Atlantis"))
    assert (worker.schedule, worker.schedule_at) == (before, at)
    assert not site.farm.take_changes()


def test_changes_that_were_missed_are_made_up_for_by_the_last_one() -> None:
    site = Site()
    worker = site.worker()
    set_schedule(site, worker, nights())
    until(site, 24 * 3 + 23)
    assert requests(worker) == (ASLEEP, True)
    assert worker.schedule_at == EPOCH.replace(hour=6) + timedelta(days=4)


def test_a_clock_that_was_wrong_does_not_hold_a_schedule_up() -> None:
    site = Site()
    worker = site.worker()
    site.passed_s = 400 * DAY_S
    set_schedule(site, worker, nights())
    until(site, 13)
    assert worker.schedule_at == EPOCH.replace(hour=22)
    assert requests(worker) == (None, False)


def test_a_time_zone_that_is_not_known_any_more_turns_the_schedule_off() -> None:
    site = Site()
    worker, other = site.worker(), site.worker()
    for each in (worker, other):
        set_schedule(site, each, nights())
    assert worker.schedule is not None
    worker.schedule = SleepSchedule(True, "Europe/Atlantis", worker.schedule.windows)
    site.farm.take_changes()
    asked_of_workers.resume_schedules(site.farm, site.now)
    assert (worker.schedule.is_active, worker.schedule_at) == (False, None)
    ((_, why),) = history(site.farm.take_changes())
    assert "Europe/Atlantis" in why
    until(site, 23)
    assert (requests(worker), requests(other)) == ((None, False), (ASLEEP, True))


def test_a_worker_that_awaits_approval_sleeps_whatever_its_schedule_says() -> None:
    site = Site()
    worker = site.worker(awake=False)
    worker.is_approved = False
    set_schedule(site, worker, nights("11:00", "13:00"))
    assert site.sign_on(worker) is ASLEEP
    says(site, worker, ASLEEP)
    until(site, 13)
    assert requests(worker) == (None, False)


def test_an_approved_worker_wakes_up_unless_its_schedule_or_a_person_lets_it_sleep() -> None:
    site = Site()
    workers = [site.worker(awake=False) for _ in range(3)]
    plain, scheduled, sent_to_sleep = workers
    for worker in workers:
        worker.is_approved = False
        says(site, worker, ASLEEP)
    set_schedule(site, scheduled, nights("11:00", "13:00"))
    says(site, sent_to_sleep, STARTING)
    ask_to(site, sent_to_sleep, ASLEEP)
    for worker in workers:
        asked_of_workers.approve(site.farm, worker, site.now)
    assert [worker.status_requested for worker in workers] == [AWAKE, None, ASLEEP]
    says(site, plain, AWAKE)
    ask_to(site, plain, ASLEEP)
    says(site, plain, ASLEEP)
    asked_of_workers.approve(site.farm, plain, site.now)  # once more
    assert requests(plain) == (None, False)
