"""POST reports."""

from collections import deque

from flamenco_cli.conformance.host_server import LOSE, HostServer, order
from flamenco_cli.conformance.manager_api import MANAGER
from flamenco_cli.conformance.peer import Differs

FROZEN = (
    "A report's bytes are frozen and stored with its number before it is first sent; later changes go into the next "
    "one, so a resent report is the same report."
)


@MANAGER.declare(
    "reports",
    says='a batch `{"report": R, "jobs": [...], "tasks": [...], "workers": [...]}`, numbered by the Manager',
    asked="two orders, one after the other",
    expected="reports that fit the schema, numbered from 1 without gaps, each with the SHA-256 of the one before; "
    "each order answered once",
    mend="Number reports, and chain them by their digests.",
)
async def _reports_are_numbered_and_chained(host: HostServer) -> None:
    for _ in range(2):
        await host.answered(order("conformance.nothing"))
    for rule in ("reports", "numbers", "previous", "results"):
        host.must_keep(rule)


async def _came_again(host: HostServer, times: int) -> None:
    """Expect that a report came so many times, each time the same. Raises Differs."""
    sent: dict[int, list[bytes]] = {}
    for call in host.since("reports"):
        sent.setdefault(call.document["report"], []).append(call.body)
    if max((len(bodies) for bodies in sent.values()), default=0) < times:
        raise Differs(f"no report came {times} times")
    host.must_keep("frozen")


@MANAGER.declare(
    "reports",
    says=FROZEN,
    asked="no answer to the next two reports, which are applied; meanwhile more happens",
    expected="the same report again, the same bytes",
    mend="Store a report's bytes before it is sent, and send those until they are acknowledged.",
)
async def _a_report_whose_answer_was_lost_is_sent_again(host: HostServer) -> None:
    host.faults["reports"] = deque([LOSE, LOSE])
    await host.issue(order("conformance.nothing"))
    await host.until(lambda: len(host.faults["reports"]) < 2, "a report")
    job = await host.submitted()
    await host.answered(order("job.cancel", job=job))
    await _came_again(host, 2)
    host.must_keep("numbers")
    host.must_keep("results")


@MANAGER.declare(
    "reports",
    says=FROZEN,
    asked="503 to the next three reports",
    expected="the same report again, the same bytes, until it is acknowledged",
    mend="Try again after errors of 500 and more, with growing pauses.",
)
async def _a_report_that_cannot_be_taken_is_sent_again(host: HostServer) -> None:
    host.faults["reports"] = deque([503, 503, 503])
    await host.answered(order("conformance.nothing"))
    await _came_again(host, 4)


@MANAGER.declare(
    "reports",
    says="Every object carries `rev` = (epoch, commit number of the Manager)",
    asked="job.pause and job.resume, twice each",
    expected="the job's rev grows from one report to the next, and so do those of all others",
    mend="Give an object a new rev with each change that is reported.",
)
async def _revs_grow(host: HostServer) -> None:
    job = await host.submitted()
    for kind, status in (("job.pause", "paused"), ("job.resume", "active")) * 2:
        await host.answered(order(kind, job=job))
        await host.until_job(job, status)
    await host.answered(order("job.cancel", job=job))
    host.must_keep("rev")


@MANAGER.declare(
    "reports",
    says="at most one batch in flight",
    asked="nothing: the reports that came so far",
    expected="none before the one before it was answered, and no order answered twice",
    mend="Send the next report when the last one is acknowledged.",
)
async def _one_report_is_in_flight(host: HostServer) -> None:
    await host.answered(order("conformance.nothing"))
    host.must_keep("in-flight")
    host.must_keep("results")
