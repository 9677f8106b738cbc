"""Following a log: only what was added is fetched, and each character is printed once, whole."""

from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
from cli_world import Flamenco, RealServer, Running
from played_manager import PlayedManager

from end_to_end.farm import eventually
from flamenco_cli.client import Client
from flamenco_cli.connection import connection_in
from flamenco_core.identifiers import task_id
from flamenco_runtime.http_client import Reply

Background = Callable[..., Running]


@pytest.fixture
def task(manager: PlayedManager) -> str:
    """A task that runs; returns its id."""
    job = manager.running_job()
    manager.report(tasks=[manager.task(job, 0, "active")])
    return task_id(job, 0)


class Weighing(Client):
    """A client that notes how many bytes each answer had."""

    weights: list[int]

    async def call(self, *arguments: Any, **options: Any) -> Reply:
        reply = await super().call(*arguments, **options)
        self.weights.append(len(reply.body))
        return reply


async def test_only_what_was_added_is_fetched(own_server: RealServer, manager: PlayedManager, task: str) -> None:
    async with aiohttp.ClientSession() as session:
        client = Weighing(session, connection_in(own_server.data))
        client.weights = []
        assert await client.log_behind(task, 1, 0) == (b"", False)
        manager.put_log(task, b"one\n", 0)
        assert await client.log_behind(task, 1, 0) == (b"one\n", False)
        assert await client.log_behind(task, 1, 4) == (b"", False)
        manager.put_log(task, b"two\n", 4, is_whole=True)
        client.weights.clear()
        assert await client.log_behind(task, 1, 4) == (b"two\n", True)
        assert client.weights == [len(b"\ntwo\n")]
        assert await client.log_behind(task, 1, 0) == (b"one\ntwo\n", True)
        reply = await client.call("GET", f"tasks/{task}/log?attempt=1", headers={"Range": "bytes=3-"})
        assert (reply.status, reply.body) == (206, b"\ntwo\n")


def test_a_log_is_followed_until_it_is_whole_and_no_character_is_cut(
    flamenco: Flamenco, manager: PlayedManager, task: str, background: Background
) -> None:
    line = "Grün 🎬\n".encode()
    following = background("log", task, "-f", PYTHONIOENCODING="utf-8")
    manager.until_ordered("task.log")
    manager.put_log(task, line[:3], 0)  # in the middle of ü
    following.until("Gr", where="out")
    manager.put_log(task, line[3:8], 3)  # in the middle of the picture
    following.until("Grün ", where="out")
    manager.put_log(task, line[8:], 8, is_whole=True)
    outcome = following.ended()
    assert (outcome.status, outcome.out, outcome.err) == (0, "Grün 🎬\n", "")
    assert flamenco("log", task).out == "Grün 🎬\n"


def test_following_a_task_that_was_had_ahead_and_never_begun_ends(flamenco: Flamenco, manager: PlayedManager) -> None:
    job = manager.running_job()
    manager.report(tasks=[manager.task(job, 0, "canceled")])
    outcome = flamenco("log", task_id(job, 0), "-f")
    assert (outcome.status, outcome.out) == (0, "")
    assert "never begun" in outcome.message


def test_a_log_that_is_not_utf_8_is_shown_all_the_same(flamenco: Flamenco, manager: PlayedManager, task: str) -> None:
    manager.put_log(task, b"caf\xe9\xc3", 0, is_whole=True)
    eventually(lambda: flamenco("log", task).out == "caf\ufffd\ufffd", "all of it is shown", deadline_s=20)
