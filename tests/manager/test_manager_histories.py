"""Random histories of a whole farm, against a naive model of it: the invariants of quality.md 4.1 hold after each step.

``make chaos`` tries many more of them; a history that fails is shrunk to the few steps that matter.
"""

import contextlib
import logging
import os
import secrets
from collections import Counter
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
import structlog
from history import History
from history_deeds import Deeds
from history_end import bring_to_an_end
from history_happenings import DEEDS, happenings
from history_plans import SETTINGS, job_plans
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

HISTORIES, STEPS = 300, 50
WORKERS = 3
"""So many are there at the beginning."""
UNHEARD_OF = st.sets(st.sampled_from([deed.name for deed in DEEDS if not deed.is_work]), max_size=12)
"""What never happens in one history: so others happen more often, and together."""


class Histories(RuleBasedStateMachine):
    """What may happen in a farm, in any order."""

    tally: ClassVar[Counter[str]] = Counter()
    """What happened, and how often, in all histories together."""

    @initialize(
        chosen=st.fixed_dictionaries({}, optional=SETTINGS), jobs=st.lists(job_plans(), max_size=3), without=UNHEARD_OF
    )
    def begin(self, chosen: dict[str, Any], jobs: list[Any], without: set[str]) -> None:
        self.history = History(self.tally)
        self.deeds = Deeds(self.history)
        self.possible = [deed for deed in DEEDS for _ in range(deed.often) if deed.name not in without]
        self.history.order("settings", chosen)
        for number in range(WORKERS):
            self.deeds.new_worker(number)
        for plan in jobs:
            self.deeds.submit(plan)

    @rule(data=st.data())
    def something_happens(self, data: st.DataObject) -> None:
        happening = data.draw(happenings([deed for deed in self.possible if deed.when(self.deeds)]))
        happening.deed.does(self.deeds, **happening.arguments)

    def teardown(self) -> None:
        if not hasattr(self, "history"):
            return
        try:
            if not self.history.is_broken:
                bring_to_an_end(self.history)
        finally:
            self.history.close()


def run_histories(histories: int, steps: int, number: int) -> None:
    """Try so many histories of so many steps; the same seed gives the same ones."""
    chosen = settings(
        max_examples=histories,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        print_blob=False,
        report_multiple_bugs=False,
    )
    machine = seed(number)(type("Histories", (Histories,), {}))
    with _without_log_lines():
        run_state_machine_as_test(machine, settings=chosen)


@contextlib.contextmanager
def _without_log_lines() -> Iterator[None]:
    """Leave out what the Manager logs: of many thousand histories nobody could read it."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.configure(**before)


@pytest.mark.timeout(900)
def test_whatever_happens_the_farm_does_as_the_design_says() -> None:
    number = int(os.environ.get("FLAMENCO_SEED") or secrets.randbelow(10**9))
    print(f"{HISTORIES} histories of {STEPS} steps; try them again with FLAMENCO_SEED={number}")
    run_histories(HISTORIES, STEPS, number)
