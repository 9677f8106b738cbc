"""Following a job: events from the Server, and patience while it is away."""

import asyncio
from collections.abc import Callable

from cli_world import Flamenco, RealServer, Running

from flamenco_cli.client import open_client
from flamenco_cli.connection import connection_in
from flamenco_cli.following import Change, follow

Background = Callable[..., Running]


async def test_what_is_known_comes_first_and_the_end_last(own_server: RealServer) -> None:
    job_id = own_server.submit()
    own_server.compiled(job_id)
    changes = list[Change]()
    async with open_client(connection_in(own_server.data)) as client:
        async for change in follow(client, job_id, lambda why: None):
            if not changes:
                await asyncio.to_thread(own_server.cancel, job_id)
            changes.append(change)
    assert changes[0].job["cancel_requested"] is False
    assert changes[-1].job["status"] == "canceled"


async def test_a_job_that_has_ended_is_told_once(own_server: RealServer) -> None:
    job_id = own_server.submit()
    own_server.compiled(job_id)
    own_server.cancel(job_id)
    async with open_client(connection_in(own_server.data)) as client:
        changes = [change async for change in follow(client, job_id, lambda why: None)]
    assert [change.job["status"] for change in changes] == ["canceled"]


def test_watching_survives_a_server_that_stops_and_starts_again(
    flamenco: Flamenco, own_server: RealServer, background: Background
) -> None:
    job_id = own_server.submit()
    own_server.compiled(job_id)
    watching = background("watch", job_id)
    watching.until("Preparing: 0 of 2 tasks (Waiting for a Manager)")
    own_server.stop()
    watching.until("No connection, trying again: ")
    own_server.start()
    assert flamenco("cancel", job_id).status == 0
    outcome = watching.ended()
    assert (outcome.status, outcome.out) == (1, "")
    assert "Canceled: 0 of 2 tasks" in outcome.err
    assert outcome.err.count("No connection") == 1


def test_watching_a_job_when_the_server_is_not_there_ends_at_once(flamenco: Flamenco, own_server: RealServer) -> None:
    job_id = own_server.submit()
    own_server.stop()
    outcome = flamenco("watch", job_id)
    own_server.start()
    assert (outcome.status, outcome.out) == (3, "")
    assert "Connection refused" in outcome.message
