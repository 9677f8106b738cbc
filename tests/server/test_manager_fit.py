"""Whether a Manager that says hello has the same past as the Server (manager-api.md, "When a store was lost")."""

from dataclasses import replace
from typing import Any

import pytest

from contracts.server_store import a_hello
from flamenco_core.identifiers import new_id
from flamenco_core.wire.manager_api import NO_DIGEST
from flamenco_server.managers import Link, why_not_fitting

FEED, SERVER, ORDER, REPORT = new_id(), new_id(), "1" * 64, "2" * 64
LINK = Link("id", "site", SERVER, FEED, last_order=9, order_acknowledged=5, last_report=7, last_report_digest=REPORT)
"""Five orders acknowledged of nine, seven reports applied."""
FITTING = {
    "feed": FEED,
    "server_feed": SERVER,
    "last_order": 5,
    "last_order_digest": ORDER,
    "first_report": 8,
    "previous_report_digest": REPORT,
}


def misfit(link: Link = LINK, order_digest: str | None = ORDER, **said: Any) -> str | None:
    return why_not_fitting(link, a_hello(**{**FITTING, **said}), order_digest)


def test_what_both_sides_remember_alike_fits() -> None:
    assert misfit() is None


@pytest.mark.parametrize(
    "said",
    [
        {"server_feed": None},  # it lost only what it knew of us
        {"last_order": 6},  # it applied more than it could acknowledge
        {"first_report": 7, "previous_report_digest": "f" * 64},  # our answer to report 7 was lost
    ],
)
def test_an_answer_that_was_lost_is_no_misfit(said: dict[str, Any]) -> None:
    assert misfit(**said) is None


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"server_feed": new_id()}, "another store of this Server"),
        ({"feed": new_id()}, "the Manager has another store"),
        ({"last_order": 4}, "has forgotten it"),
        ({"first_report": 9}, "report 8 is expected"),
        ({"previous_report_digest": "f" * 64}, "report 7 is not the one"),
        ({"first_report": 1_000, "previous_report_digest": "f" * 64}, "report 8 is expected"),
    ],
)
def test_trace_30_a_past_that_differs_is_noticed(said: dict[str, Any], words: str) -> None:
    why = misfit(**said)
    assert why is not None
    assert words in why


def test_an_order_that_is_not_ours_is_noticed() -> None:
    assert "is not ours" in (misfit(order_digest="f" * 64) or "")
    assert "was not issued" in (misfit(order_digest=None, last_order=12) or "")


def test_a_link_that_was_never_used_may_begin_with_another_store() -> None:
    unused = replace(LINK, order_acknowledged=0, last_report=0, last_report_digest=NO_DIGEST)
    fresh = {"feed": new_id(), "server_feed": None, "last_order": 0, "last_order_digest": NO_DIGEST}
    said = {**fresh, "first_report": 1, "previous_report_digest": NO_DIGEST}
    assert misfit(unused, NO_DIGEST, **said) is None
    assert misfit(replace(unused, last_report=1, last_report_digest=REPORT), NO_DIGEST, **said) is not None
    assert misfit(replace(unused, order_acknowledged=1), NO_DIGEST, **said) is not None
