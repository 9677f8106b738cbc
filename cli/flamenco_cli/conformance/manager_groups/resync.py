"""POST resync, the last of all: it changes both feeds."""

from flamenco_cli.conformance.host_server import HostServer, order
from flamenco_cli.conformance.manager_api import MANAGER
from flamenco_cli.conformance.peer import Differs


@MANAGER.declare(
    "resync",
    says="both sides start new feeds; the Manager says all that it holds",
    asked="a job; 409 to the next call, and resync: true to the hello that follows; then an order",
    expected="POST resync that names the job; hello with both new feeds; the job reported again, under a higher epoch",
    mend="Begin anew when the Server says so: a new feed, the epoch of the answer, all objects reported again.",
)
async def _both_sides_begin_anew(host: HostServer) -> None:
    job = await host.submitted()
    old_feed, epoch = host.manager_feed, host.revs[job][0]
    host.wants_resync = True
    host.feed = "00000000-0000-4000-8000-00000000beef"  # so that every call gets 409 until there was a hello
    await host.until(lambda: host.resynced is not None, "POST resync")
    host.must_keep("resync")
    assert host.resynced is not None
    if job not in host.resynced.get("jobs", []):
        raise Differs(f"POST resync did not name the job {job}, which the Manager has")
    if host.resynced["feed"] == old_feed:
        raise Differs("POST resync named the feed that there was")
    reported = await host.until_job(job, "queued")
    if reported["rev"][0] <= epoch:
        raise Differs(f"the job was reported again with rev {reported['rev']}, whose epoch is not above {epoch}")
    await host.answered(order("job.cancel", job=job))
    await host.until_job(job, "canceled")
    host.must_keep("order-digest")
