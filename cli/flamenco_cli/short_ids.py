"""Short ids: the first characters of an id, as far as they mean one thing."""

import re
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from typing import TypeVar

from flamenco_cli.client import Client
from flamenco_cli.records import Job, Task, Worker
from flamenco_core.errors import BadInput, NotFound
from flamenco_core.identifiers import is_uuid

SHORT = 8
"""How many characters of an id we show."""
SHORTEST = 4
"""How many characters of an id a person must write."""
MOST_JOBS = 2000
"""How many jobs, the newest first, a short id is looked for in."""
MOST_JOBS_WITH_TASKS = 20
"""How many jobs, the newest first, a task's short id is looked for in."""

_NEWEST_TASKS = f"those of the newest {MOST_JOBS_WITH_TASKS} jobs; 'flamenco tasks JOB' lists a job's tasks"
_BEGINNING = re.compile(r"[0-9a-f-]{4,36}")
T = TypeVar("T")


class NoSuchId(NotFound):
    """No id begins like this."""

    type = "no-such-id"


class AmbiguousId(BadInput):
    """Several ids begin like this."""

    type = "ambiguous-id"


async def job_id_of(client: Client, text: str) -> str:
    """Complete a job's id. Raises BadInput, NoSuchId, AmbiguousId."""
    where = f"the newest {MOST_JOBS} jobs; 'flamenco jobs' lists them"
    return text.lower() if is_uuid(text) else await _job_among(client.jobs(), text, where)


async def deleted_job_id_of(client: Client, text: str) -> str:
    """Complete the id of a job in the bin. Raises BadInput, NoSuchId, AmbiguousId."""
    where = "the deleted jobs; 'flamenco jobs --deleted' lists them"
    return text.lower() if is_uuid(text) else await _job_among(client.jobs(deleted=True), text, where)


async def _job_among(jobs: AsyncIterable[Job], text: str, where: str) -> str:
    beginning = checked_beginning(text)
    ids = [job["id"] async for job in _first(jobs, MOST_JOBS) if job["id"].startswith(beginning)]
    return only_one("job", beginning, ids, where=where)


async def task_id_of(client: Client, text: str) -> str:
    """Complete a task's id. Raises BadInput, NoSuchId, AmbiguousId."""
    if is_uuid(text):
        return text.lower()
    beginning = checked_beginning(text)
    ids = [
        task["id"]
        async for job in _first(client.jobs(), MOST_JOBS_WITH_TASKS)
        async for task in client.tasks(job["id"])
        if task["id"].startswith(beginning)
    ]
    return only_one("task", beginning, ids, where=_NEWEST_TASKS)


async def tasks_of_job(client: Client, job_id: str, texts: str) -> list[Task]:
    """Return tasks of a job by the beginnings of their ids, with commas between. Raises BadInput, NoSuchId."""
    beginnings = [checked_beginning(text.strip()) for text in texts.split(",") if text.strip()]
    if not beginnings:
        raise BadInput(f"{texts!r} names no task.")
    tasks = {task["id"]: task async for task in client.tasks(job_id)}
    where = f"the tasks of this job; 'flamenco tasks {job_id[:SHORT]}' lists them"
    ids = [
        only_one("task", beginning, [task_id for task_id in tasks if task_id.startswith(beginning)], where=where)
        for beginning in beginnings
    ]
    return [tasks[task_id] for task_id in dict.fromkeys(ids)]


def worker_named(workers: Iterable[Worker], text: str) -> Worker:
    """Choose a Worker by its name or the beginning of its id. Raises NoSuchId, AmbiguousId."""
    workers = list(workers)
    named = [worker for worker in workers if worker["name"] == text]
    if len(named) > 1:
        some = ", ".join(worker["id"][:SHORT] for worker in named[:5])
        raise AmbiguousId(f"{text!r} is the name of {len(named)} Workers. Write the id of one instead: {some}.")
    found = named or [worker for worker in workers if len(text) >= SHORTEST and worker["id"].startswith(text.lower())]
    chosen = only_one("Worker", text, [worker["id"] for worker in found], where="those that 'flamenco workers' lists")
    return next(worker for worker in found if worker["id"] == chosen)


def checked_beginning(text: str) -> str:
    """Check that a text can be the beginning of an id. Raises BadInput."""
    beginning = text.lower()
    if not _BEGINNING.fullmatch(beginning):
        raise BadInput(f"{text!r} is not an id. Write at least its first {SHORTEST} characters, for example 3f2a91c0.")
    return beginning


def only_one(noun: str, text: str, ids: list[str], *, where: str) -> str:
    """Return the one id that was found. Raises NoSuchId, AmbiguousId."""
    if not ids:
        raise NoSuchId(f"No {noun} {text!r} among {where}.")
    if len(ids) > 1:
        some = ", ".join(found[: len(text) + SHORT] for found in ids[:5])
        raise AmbiguousId(f"{text!r} could be {len(ids)} {noun}s: {some}. Write more of it.")
    return ids[0]


async def _first(items: AsyncIterable[T], most: int) -> AsyncIterator[T]:
    count = 0
    async for item in items:
        yield item
        count += 1
        if count == most:
            return
