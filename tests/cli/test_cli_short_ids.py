"""Short ids: one thing, several, or none."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from api_objects import a_worker
from cli_world import Flamenco, RealServer

from flamenco_cli.short_ids import (
    MOST_JOBS,
    MOST_JOBS_WITH_TASKS,
    AmbiguousId,
    NoSuchId,
    checked_beginning,
    job_id_of,
    only_one,
    task_id_of,
    worker_named,
)
from flamenco_core.errors import BadInput


class Farm:
    """Jobs, the newest first, each with the ids of its tasks; answers as the client does."""

    def __init__(self, jobs: dict[str, list[str]]) -> None:
        self._jobs = jobs

    async def jobs(self, **_: object) -> AsyncIterator[Any]:
        for job_id in self._jobs:
            yield {"id": job_id}

    async def tasks(self, job_id: str) -> AsyncIterator[Any]:
        for task_id in self._jobs[job_id]:
            yield {"id": task_id}


def an_id(beginning: str) -> str:
    return beginning + "00000000-0000-4000-8000-000000000000"[len(beginning) :]


FARM: Any = Farm({an_id("aaaa11"): [an_id("bbbb1"), an_id("cccc")], an_id("aaaa22"): [an_id("bbbb2")]})


async def test_a_beginning_that_fits_one_job_is_that_job() -> None:
    assert await job_id_of(FARM, "aaaa1") == an_id("aaaa11")
    assert await job_id_of(FARM, "AAAA2") == an_id("aaaa22")


async def test_a_beginning_that_fits_several_names_them_and_asks_for_more() -> None:
    with pytest.raises(AmbiguousId, match=r"'aaaa' could be 2 jobs: aaaa11.*, aaaa22.*Write more of it"):
        await job_id_of(FARM, "aaaa")
    with pytest.raises(AmbiguousId, match="'bbbb' could be 2 tasks"):
        await task_id_of(FARM, "bbbb")


async def test_a_beginning_that_fits_nothing_says_where_to_look() -> None:
    with pytest.raises(NoSuchId, match=r"No job 'dddd'.*'flamenco jobs' lists them"):
        await job_id_of(FARM, "dddd")
    with pytest.raises(NoSuchId, match=r"No task 'aaaa11'.*'flamenco tasks JOB'"):
        await task_id_of(FARM, "aaaa11")


async def test_a_task_is_found_in_whichever_job_it_is() -> None:
    assert await task_id_of(FARM, "cccc") == an_id("cccc")
    assert await task_id_of(FARM, "bbbb2") == an_id("bbbb2")


async def test_a_whole_id_is_taken_as_it_is_and_looked_up_by_the_server() -> None:
    assert await job_id_of(FARM, an_id("EEEE")) == an_id("eeee")
    assert await task_id_of(FARM, an_id("EEEE")) == an_id("eeee")


async def test_only_so_many_of_the_newest_jobs_are_looked_through() -> None:
    many: Any = Farm({an_id(f"{number:08x}"): [an_id(f"f{number:07x}")] for number in range(MOST_JOBS + 1)})
    assert await job_id_of(many, f"{MOST_JOBS - 1:08x}")
    with pytest.raises(NoSuchId):
        await job_id_of(many, f"{MOST_JOBS:08x}")
    assert await task_id_of(many, f"f{MOST_JOBS_WITH_TASKS - 1:07x}")
    with pytest.raises(NoSuchId):
        await task_id_of(many, f"f{MOST_JOBS_WITH_TASKS:07x}")


@pytest.mark.parametrize("text", ["", "abc", "xyzw", "abcd\n", "[red]", "../..", "a" * 37, "ａｂｃｄ", "%61bcd"])
def test_what_no_id_begins_with_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(BadInput, match=r"is not an id.*3f2a91c0"):
        checked_beginning(text)


@pytest.mark.parametrize("text", ["abcd", "ABCD", "3f2a91c0-7d2e", "-abc"])
def test_four_characters_of_an_id_are_enough(text: str) -> None:
    assert checked_beginning(text) == text.lower()


def test_many_that_fit_are_counted_and_a_few_are_named() -> None:
    with pytest.raises(AmbiguousId, match="could be 9 jobs") as caught:
        only_one("job", "aaaa", [an_id(f"aaaa{number}") for number in range(9)], where="here")
    assert str(caught.value).count("aaaa") == 6


WORKERS = [
    a_worker(id=an_id("aaaa1"), name="node-01"),
    a_worker(id=an_id("aaaa2"), name="node-02"),
    a_worker(id=an_id("bbbb"), name="node-02"),
    a_worker(id=an_id("cccc"), name="aaaa1"),
]


@pytest.mark.parametrize(("text", "chosen"), [("node-01", 0), ("aaaa2", 1), ("BBBB", 2), ("cccc", 3), ("aaaa1", 3)])
def test_a_worker_is_named_by_its_name_before_its_id(text: str, chosen: int) -> None:
    assert worker_named(WORKERS, text) == WORKERS[chosen]


def test_two_workers_of_one_name_are_told_apart_by_id() -> None:
    with pytest.raises(AmbiguousId, match=r"name of 2 Workers. Write the id of one instead: aaaa2\w{3}, bbbb\w{4}\."):
        worker_named(WORKERS, "node-02")


@pytest.mark.parametrize("text", ["", "nod", "node-03", "aaa", "dddd"])
def test_a_worker_that_is_not_there_says_where_to_look(text: str) -> None:
    with pytest.raises(NoSuchId, match="flamenco workers"):
        worker_named(WORKERS, text)


@pytest.mark.usefixtures("signed_in")
@pytest.mark.parametrize("verb", ["job", "watch", "cancel", "tasks", "frames"])
def test_every_verb_of_a_job_takes_a_short_id_and_refuses_a_wrong_one(
    flamenco: Flamenco, server: RealServer, verb: str
) -> None:
    job_id = server.submit()
    if verb != "watch":  # that one waits
        assert flamenco(verb, job_id[:8]).status == 0
    for wrong, says in (("ffffffff", "No job 'ffffffff'"), ("zz", "is not an id"), (an_id("ffff"), "There is no job")):
        outcome = flamenco(verb, wrong)
        assert outcome.status == 2
        assert says in outcome.message
        assert outcome.out == ""


@pytest.mark.usefixtures("signed_in")
def test_a_task_s_log_takes_a_short_id_and_refuses_a_wrong_one(flamenco: Flamenco, server: RealServer) -> None:
    job_id = server.submit()
    server.compiled(job_id)
    task_id = server.api.get(f"jobs/{job_id}/tasks")["tasks"][0]["id"]
    outcome = flamenco("log", task_id[:8])
    assert (outcome.status, outcome.out) == (0, "")
    assert "no log yet" in outcome.message
    assert "No task 'ffffffff'" in flamenco("log", "ffffffff").message
