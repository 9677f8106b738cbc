"""Jobs: fetched, reported, steered."""

from flamenco_cli.conformance.host_server import HostServer, order
from flamenco_cli.conformance.manager_api import MANAGER, an_unknown_id
from flamenco_cli.conformance.peer import Differs

SUBMIT = (
    "`job.submit` counts as applied when it is noted; fetching comes after, at its own pace; a job that is gone (404) "
    "is reported as dropped"
)
STEERED = "a job's status, activity, counts per task status, steps done and total"


@MANAGER.declare(
    "jobs",
    says=SUBMIT,
    asked="job.submit of a job with three tasks",
    expected="GET jobs/ID and its tasks; the order is done, the job reported as queued with three tasks in its counts",
    mend="Fetch a job that is ordered, and report it with the counts of all its tasks.",
)
async def _a_job_is_fetched_and_reported(host: HostServer) -> None:
    job = host.add_job(tasks=3)
    (number,) = await host.issue(order("job.submit", job=job))
    reported = await host.until_job(job, "queued")
    if sum(reported["counts"].values()) != 3:
        raise Differs(f"the counts were {reported['counts']}")
    await host.until(lambda: number in host.results, "a result of job.submit")
    if host.results[number]["result"] != "done":
        raise Differs(f"the result was {host.results[number]}")


@MANAGER.declare(
    "jobs",
    says=SUBMIT,
    asked="job.submit of a job that there is not",
    expected="the order is reported as dropped",
    mend="Give a job up that is answered with 404.",
)
async def _a_job_that_is_gone_is_dropped(host: HostServer) -> None:
    (result,) = await host.answered(order("job.submit", job=an_unknown_id()))
    if result["result"] != "dropped":
        raise Differs(f"the result was {result}")


@MANAGER.declare(
    "jobs",
    says="its tasks as JSON lines, compressed, resumable with `?after=INDEX`",
    asked="a stream of 50 tasks that breaks off in the second one",
    expected="the stream is asked for again, and the job reported as queued with 50 tasks",
    mend="Ask for the rest of a stream that broke off, and take no line that is not whole.",
)
async def _a_stream_that_breaks_off_is_gone_on_with(host: HostServer) -> None:
    job = host.add_job(tasks=50)
    host.cut_tasks = True
    await host.issue(order("job.submit", job=job))
    reported = await host.until_job(job, "queued")
    if sum(reported["counts"].values()) != 50:
        raise Differs(f"the counts were {reported['counts']}")


@MANAGER.declare(
    "jobs",
    says="`GET jobs/ID` carries the present request",
    asked="job.submit of a job whose definition says cancel_requested",
    expected="it is reported as canceled",
    mend="Look at what people asked before the Manager had the job.",
)
async def _a_job_that_was_cancelled_before_never_runs(host: HostServer) -> None:
    job = host.add_job(cancel_requested=True)
    await host.issue(order("job.submit", job=job))
    await host.until_job(job, "canceled")


@MANAGER.declare(
    "jobs",
    says=STEERED,
    asked="job.pause, job.resume, job.cancel",
    expected="done each time; the job is reported as paused, active, canceled, with counts to fit",
    mend="Report what became of a job whenever that changes.",
)
async def _a_job_is_paused_resumed_and_cancelled(host: HostServer) -> None:
    job = await host.submitted()
    for kind, status, of_tasks in (
        ("job.pause", "paused", "paused"),
        ("job.resume", "active", "queued"),
        ("job.cancel", "canceled", "canceled"),
    ):
        (result,) = await host.answered(order(kind, job=job))
        if result["result"] != "done":
            raise Differs(f"the result of {kind} was {result}")
        reported = await host.until_job(job, status)
        if reported["counts"].get(of_tasks) != 3:
            raise Differs(f"the counts of a job that is {status} were {reported['counts']}")


@MANAGER.declare(
    "blobs",
    says="file contents by hash, with ranges; how files sent to the Server reach the site",
    asked="job.submit of a job with a file, whose blob comes with other contents at first",
    expected="GET blobs/SHA256 until the contents fit their name; only then is the job reported as queued",
    mend="Compare the SHA-256 of what was fetched, and fetch it again if it differs.",
)
async def _a_blob_is_taken_only_for_what_it_is(host: HostServer) -> None:
    host.wrong_blob = True
    job = host.add_job(contents=b"BLENDER-v405 conformance")
    await host.issue(order("job.submit", job=job))
    await host.until_job(job, "queued")
    fetched = [call for call in host.since("blobs/SHA256") if call.status in (200, 206)]
    if len(fetched) < 2:
        raise Differs(
            f"the job was queued after {len(fetched)} calls for its file, the first of which had other contents"
        )
