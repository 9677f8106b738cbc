"""Which new Workers a Manager takes in, and which of them it forgets. Time is an argument."""

import pytest
from farm_builder import Site

from flamenco_core.statuses import WorkerStatus
from flamenco_core.wire.worker_api import WorkerRegistration
from flamenco_manager import worker_rules
from flamenco_manager.model import Worker
from flamenco_manager.newcomers import HOUR_S, NewcomerLimits, Newcomers, TooManyNewcomers, forget_gone

DAY_S = 86_400.0


def registered(site: Site, name: str, *, is_approved: bool = False) -> Worker:
    worker = Worker(name, b"", name, "linux", "192.0.2.1", ())
    said = WorkerRegistration("secret", "linux", ("misc",), name)
    worker_rules.register(site.farm, worker, said, site.now, is_approved=is_approved)
    return worker


def test_one_that_never_signed_on_is_forgotten_after_an_hour() -> None:
    site = Site()
    worker = registered(site, "w")
    site.passed_s += HOUR_S
    assert not forget_gone(site.farm, site.now)
    site.passed_s += 1
    assert forget_gone(site.farm, site.now) == [worker]
    assert worker.is_forgotten
    assert worker.id not in site.farm.workers


def test_one_that_signed_on_and_awaits_approval_is_forgotten_seven_days_after_it_was_last_heard_of() -> None:
    site = Site()
    worker = registered(site, "w")
    site.sign_on(worker)
    site.passed_s += 6 * DAY_S
    worker_rules.heard(site.farm, worker, site.now)
    site.passed_s += 7 * DAY_S
    assert not forget_gone(site.farm, site.now)
    site.passed_s += 1
    assert forget_gone(site.farm, site.now) == [worker]
    [state] = [state for state in site.farm.take_changes().worker_states if state.status is WorkerStatus.OFFLINE]
    assert "Nobody approved it" in state.why


def test_one_that_is_approved_is_kept_for_ever() -> None:
    site = Site()
    worker = registered(site, "w", is_approved=True)
    site.passed_s += 1000 * DAY_S
    assert not forget_gone(site.farm, site.now)
    assert worker.id in site.farm.workers


def test_after_the_manager_was_away_for_long_workers_get_an_hour_to_come_back() -> None:
    site = Site()
    worker = registered(site, "w")
    site.sign_on(worker)
    site.passed_s += 30 * DAY_S
    worker.seen_s = site.now.monotonic_s  # as every Worker is taken to be when the Manager starts
    site.passed_s += HOUR_S
    assert not forget_gone(site.farm, site.now)
    site.passed_s += 1
    assert forget_gone(site.farm, site.now) == [worker]


def test_what_was_refused_does_not_count_and_an_hour_is_counted_from_each() -> None:
    site, newcomers = Site(), Newcomers(NewcomerLimits(most_per_hour=2))

    def comes() -> None:
        newcomers.check_room(site.farm, "192.0.2.1", site.now, is_approved=True)

    comes()
    site.passed_s += 1800
    comes()
    for _ in range(3):
        with pytest.raises(TooManyNewcomers):
            comes()
    site.passed_s += 1800
    comes()
    with pytest.raises(TooManyNewcomers):
        comes()


def test_nothing_is_remembered_of_addresses_from_which_nobody_came_for_an_hour() -> None:
    site, newcomers = Site(), Newcomers(NewcomerLimits())
    for number in range(100):
        newcomers.check_room(site.farm, f"192.0.2.{number}", site.now, is_approved=True)
    site.passed_s += HOUR_S
    newcomers.check_room(site.farm, "198.51.100.1", site.now, is_approved=True)
    assert list(newcomers._came) == ["198.51.100.1"]
