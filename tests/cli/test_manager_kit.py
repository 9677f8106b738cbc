"""The kit that judges Managers: a small Manager that works passes, and what it gets wrong is noticed."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from flawed_manager import managing

from flamenco_cli.commands.conformance_managers import judged
from flamenco_cli.conformance.check import Check, Outcome, Verdict
from flamenco_cli.conformance.host_server import HostServer
from flamenco_cli.conformance.manager_api import manager_checks
from flamenco_runtime.service import listening
from flamenco_runtime.settings import Address

CHECKS = manager_checks()
BY_NAME = {check.name: check for check in CHECKS}
SHORT_S = 1.5
"""How long a Manager that never does something is waited for."""


@asynccontextmanager
async def hosted(*flaws: str, patience_s: float = 30.0) -> AsyncIterator[HostServer]:
    """A Server that is played, and a Manager with these flaws that comes to it."""
    host = HostServer(patience_s=patience_s)
    async with listening(host.app(), Address("127.0.0.1", 0)) as address, managing(address.url, host.token, *flaws):
        yield host


async def verdicts(host: HostServer, checks: Sequence[Check]) -> list[Verdict]:
    return [verdict async for verdict in judged(host, checks)]


async def test_a_small_manager_that_works_passes_every_check() -> None:
    async with hosted() as host:
        found = await verdicts(host, CHECKS)
    assert {one.check.name: one.came for one in found if one.outcome is not Outcome.PASSED} == {}


FLAWS = [
    ("silent", "hello-comes-first"),
    ("no-hello", "hello-comes-first"),
    ("bad-hello", "hello-comes-first"),
    ("wrong-token", "every-call-carries-the-token"),
    ("no-feeds", "every-call-carries-both-feeds"),
    ("no-hello-again", "after-409-comes-hello"),
    ("no-hello-again", "a-report-outlives-a-409"),
    ("no-why", "unknown-orders-are-dropped-with-why"),
    ("no-why", "orders-about-nothing-are-dropped"),
    ("waits-long", "unknown-orders-are-dropped-with-why"),
    ("ignores-expires", "orders-that-come-too-late-are-expired"),
    ("does-twice", "an-order-is-not-done-twice"),
    ("skips-orders", "no-order-is-skipped"),
    ("gives-up", "a-server-that-is-unavailable-is-asked-again"),
    ("no-counts", "a-job-is-fetched-and-reported"),
    ("keeps-gone-jobs", "a-job-that-is-gone-is-dropped"),
    ("takes-half", "a-stream-that-breaks-off-is-gone-on-with"),
    ("ignores-requests", "a-job-that-was-cancelled-before-never-runs"),
    ("no-counts", "a-job-is-paused-resumed-and-cancelled"),
    ("believes-blobs", "a-blob-is-taken-only-for-what-it-is"),
    ("no-chain", "reports-are-numbered-and-chained"),
    ("skips-numbers", "reports-are-numbered-and-chained"),
    ("refreezes", "a-report-whose-answer-was-lost-is-sent-again"),
    ("refreezes", "a-report-that-cannot-be-taken-is-sent-again"),
    ("gives-up", "a-report-that-cannot-be-taken-is-sent-again"),
    ("rev-stands", "revs-grow"),
    ("two-at-once", "one-report-is-in-flight"),
    ("answers-twice", "reports-are-numbered-and-chained"),
    ("bad-order-digest", "a-report-outlives-a-409"),
    ("no-resync", "both-sides-begin-anew"),
    ("old-feed", "both-sides-begin-anew"),
    ("forgets-jobs", "both-sides-begin-anew"),
]


@pytest.mark.parametrize(("flaw", "name"), FLAWS)
async def test_what_a_manager_gets_wrong_is_noticed(flaw: str, name: str) -> None:
    async with hosted(flaw, patience_s=SHORT_S) as host:
        found = await verdicts(host, [BY_NAME[name]])
    assert [one.outcome for one in found] == [Outcome.FAILED], found


def test_every_check_was_seen_to_fail_and_cites_a_sentence() -> None:
    assert {name for _, name in FLAWS} == set(BY_NAME)
    assert all(check.says and check.asked and check.expected and check.mend for check in CHECKS)
