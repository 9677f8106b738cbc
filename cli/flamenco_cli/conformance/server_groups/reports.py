"""POST reports."""

import orjson

from flamenco_cli.conformance.check import Needs
from flamenco_cli.conformance.guest_manager import REFUSED, GuestManager, must_be_problem
from flamenco_cli.conformance.manager_api import SERVER, an_unknown_id
from flamenco_cli.conformance.peer import Differs
from flamenco_core.wire.manager_api import NO_DIGEST

ONCE = (
    "The Server applies a number once; an old number is acknowledged and ignored; a gap is refused with the number "
    "that it expects"
)
NEVER_CREATE = "Reports change jobs and tasks; they never create any."
REV = "the Server writes an object only where `rev` is newer than what it has"


@SERVER.declare(
    "reports",
    says=ONCE,
    asked="POST reports with the next number; the very same bytes twice more; then hello",
    expected="200 and its number each time; hello expects the one after it",
    mend="Keep the number together with what the report says, and acknowledge a report that is sent again.",
)
async def _a_report_is_acknowledged_however_often_it_is_sent(guest: GuestManager) -> None:
    await guest.linked()
    number = guest.next_report
    body = guest.frozen()
    for _ in range(3):
        (await guest.send(body)).must_be(200).must_have(acknowledged=number)
    (await guest.say_hello()).must_be(200).must_have(next_report=number + 1, resync=False)


@SERVER.declare(
    "reports",
    says=ONCE,
    asked="POST reports with a number that is five too high; then with the right one",
    expected="409 with the number that is expected; then 200",
    mend="Refuse a gap with a problem document that has 'expected', and apply nothing of it.",
)
async def _a_gap_is_refused_with_what_is_expected(guest: GuestManager) -> None:
    await guest.linked()
    body = orjson.dumps({"report": guest.next_report + 5, "previous": guest.last_report_digest})
    must_be_problem(await guest.send(body, "POST reports, five too high"), 409, expected=guest.next_report)
    await guest.report()


@SERVER.declare(
    "reports",
    says="`hello` and every report also carry the digest of the report, and of the order, before",
    asked="POST reports with the right number and another digest of the one before; then the right one",
    expected="409; then 200",
    mend="Refuse a report that follows another one than was applied.",
)
async def _a_report_that_follows_another_is_refused(guest: GuestManager) -> None:
    await guest.linked()
    await guest.report()
    body = orjson.dumps({"report": guest.next_report, "previous": NO_DIGEST})
    must_be_problem(await guest.send(body, "POST reports, after another one"), 409)
    await guest.report()


@SERVER.declare(
    "reports",
    says='a batch `{"report": R, "jobs": [...], "tasks": [...], "workers": [...]}`, numbered by the Manager',
    asked="POST reports without a number, with a job without rev, with a status that there is not; then a right one",
    expected="a 4xx problem each time, and the number is still free",
    mend="Refuse what breaks the schema as a whole.",
)
async def _a_report_that_cannot_be_meant_changes_nothing(guest: GuestManager) -> None:
    await guest.linked()
    start = {"report": guest.next_report, "previous": guest.last_report_digest}
    job = {"id": an_unknown_id(), "status": "queued", "activity": "", "counts": {}, "steps_completed": 0}
    for wrong in (
        {"previous": guest.last_report_digest},
        {**start, "jobs": [{**job, "steps_total": 0}]},
        {**start, "jobs": [{**job, "steps_total": 0, "rev": [1, 1], "status": "dancing"}]},
        {**start, "jobs": {}},
    ):
        must_be_problem(await guest.send(orjson.dumps(wrong), "POST reports, malformed"), *REFUSED)
    await guest.report()


@SERVER.declare(
    "reports",
    says=NEVER_CREATE,
    asked="POST reports about a job and a task that there are not; then GET jobs/ID",
    expected="200: the rest of the report counts; then 404",
    mend="Pass over what is not there, or is another Manager's.",
)
async def _a_report_creates_no_job(guest: GuestManager) -> None:
    await guest.linked()
    job, task = an_unknown_id(), an_unknown_id()
    state = {"rev": guest.rev(), "activity": "", "steps_completed": 0, "steps_total": 0, "status": "active"}
    await guest.report(
        jobs=[{**state, "id": job, "counts": {}}], tasks=[{**state, "id": task, "job": job, "attempt": 1}]
    )
    must_be_problem(await guest.call("GET", f"jobs/{job}"), 404)


async def _is_shown(guest: GuestManager, status: str, activity: str) -> None:
    assert guest.farm is not None
    assert guest.job is not None
    job = await guest.farm.job(guest.job.id)
    shown = (job["status"], job["activity"])
    if shown != (status, activity):
        raise Differs(f"the job is shown as {shown[0]!r}, {shown[1]!r}, not as {status!r}, {activity!r}")


@SERVER.declare(
    "reports",
    says=REV,
    asked="POST reports with a job's state; then with an older rev of it; then with the same rev and another text",
    expected="200 each time; people see the first state",
    mend="Write an object only where its rev is newer.",
    needs=Needs.FARM,
)
async def _an_older_rev_changes_nothing(guest: GuestManager) -> None:
    await guest.with_job()
    older, same = guest.rev(), guest.rev()
    await guest.report(jobs=[guest.job_state("active", rev=same, activity="newer")])
    await _is_shown(guest, "active", "newer")
    for rev in (older, same):
        await guest.report(jobs=[guest.job_state("queued", rev=rev, activity="older")])
        await _is_shown(guest, "active", "newer")


@SERVER.declare(
    "reports",
    says=ONCE,
    asked="POST reports with a job's state; the next one with another; then the first again, with a newer rev in it",
    expected="200 each time; people see the second state",
    mend="Look at the number before anything else: an old one is not applied, whatever stands in it.",
    needs=Needs.FARM,
)
async def _an_old_number_is_not_applied(guest: GuestManager) -> None:
    await guest.with_job()
    number, previous = guest.next_report, guest.last_report_digest
    await guest.report(jobs=[guest.job_state("active", activity="first")])
    await guest.report(jobs=[guest.job_state("active", activity="second")])
    late = guest.job_state("active", activity="first, once more")
    body = orjson.dumps({"report": number, "previous": previous, "jobs": [late]})
    answer = (await guest.send(body, "POST reports, an old number")).must_be(200)
    if answer.must_have(acknowledged=int)["acknowledged"] < number:
        raise answer.differs(f"where {number} had been acknowledged before")
    await _is_shown(guest, "active", "second")
