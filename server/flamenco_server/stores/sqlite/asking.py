"""What people ask, in SQLite: an object's change and the orders that carry it are one transaction."""

from collections.abc import Callable, Iterable
from datetime import datetime

import apsw

from flamenco_core.wire.schema import rfc3339
from flamenco_runtime.journal import Journal
from flamenco_server.asking import Step, answered, shown
from flamenco_server.job_requests import after_answer
from flamenco_server.orders import NewOrder
from flamenco_server.reading import NoSuchTask, NoSuchWorker
from flamenco_server.records import Job, Task, Worker
from flamenco_server.stores.sqlite.issuing import issue_followers
from flamenco_server.stores.sqlite.orders import issue
from flamenco_server.stores.sqlite.reading import read_job
from flamenco_server.stores.sqlite.rows import as_json, erase_tasks, first, task_of, worker_of


class SqliteAsks:
    """Implements ``AskStore``."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def change_job(self, job_id: str, decide: Callable[[Job], Step[Job]]) -> Job:
        """Change a job. Raises NoSuchJob."""

        def work(db: apsw.Connection) -> Job:
            return take_job_step(db, decide(read_job(db, job_id)))

        return await self._journal.write(work)

    async def change_task(self, task_id: str, decide: Callable[[Task, Job], Step[Task]]) -> tuple[Task, Job]:
        """Change a task; ``decide`` gets its job, too. Raises NoSuchTask."""

        def work(db: apsw.Connection) -> tuple[Task, Job]:
            task = _read_task(db, task_id)
            job = read_job(db, task.job)
            step = decide(task, job)
            _write_asks(db, "tasks", step.object)
            _issue(db, job.manager_id, step.orders)
            return step.object, job

        return await self._journal.write(work)

    async def change_worker(self, worker_id: str, decide: Callable[[Worker], Step[Worker]]) -> Worker:
        """Change a Worker. Raises NoSuchWorker."""

        def work(db: apsw.Connection) -> Worker:
            return take_worker_step(db, decide(_read_worker(db, worker_id)))

        return await self._journal.write(work)


def take_job_step(db: apsw.Connection, step: Step[Job]) -> Job:
    """Write a change of a job, and issue its orders; returns the job with the status that people see."""
    job = write_job(db, step.object)
    if step.ends_tasks:
        _end_tasks(db, job)
        assert job.finished_at is not None
        issue_followers(db, job.id, job.finished_at)
    _issue(db, job.manager_id, step.orders)
    return job


def take_worker_step(db: apsw.Connection, step: Step[Worker]) -> Worker:
    """Write what is asked of a Worker, and issue its orders."""
    _write_asks(db, "workers", step.object)
    _issue(db, step.object.manager_id, step.orders)
    return step.object


def write_job(db: apsw.Connection, job: Job) -> Job:
    """Write what asking changes of a job, with the status that people see; returns it so."""
    job = shown(job)
    db.execute(
        "UPDATE jobs SET status = ?, reported_status = ?, activity = ?, priority = ?, tag = ?, start_paused = ?,"
        " asks = ?, refused = ?, deleted_at = ?, erased = ?, counts = ?, finished_at = ? WHERE id = ?",
        (
            *(str(job.status), str(job.reported_status), job.activity, job.priority, job.tag, job.start_paused),
            *(as_json(job.asks), job.refused, _text(job.deleted_at), job.erased, as_json(job.counts or {})),
            *(_text(job.finished_at), job.id),
        ),
    )
    return job


def note_answer(db: apsw.Connection, order_id: str, about: tuple[str, str], result: str, why: str) -> None:
    """Note what a Manager answered to an order about (``job``, ``task`` or ``worker``; its id), if that exists."""
    noun, thing_id = about
    row = first(db.execute(f"SELECT * FROM {_SOURCES[noun]} WHERE id = ?", (thing_id,)))  # noqa: S608 (our own names)
    if row is None:
        return
    if noun == "job":
        write_job(db, after_answer(read_job(db, thing_id), order_id, result, why))
    elif noun == "task":
        _write_asks(db, "tasks", answered(task_of(row), order_id, result, why))
    else:
        _write_asks(db, "workers", answered(worker_of(row), order_id, result, why))


_SOURCES = {"job": "job_rows", "task": "tasks", "worker": "worker_rows"}


def _write_asks(db: apsw.Connection, table: str, thing: Task | Worker) -> None:
    query = f"UPDATE {table} SET asks = ?, refused = ? WHERE id = ?"  # noqa: S608 (our own names)
    db.execute(query, (as_json(thing.asks), thing.refused, thing.id))


def _end_tasks(db: apsw.Connection, job: Job) -> None:
    """Cancel the tasks of a job that has ended before a Manager had it; those of a compile are not kept."""
    if job.task_count:
        db.execute("UPDATE tasks SET status = 'canceled' WHERE job = ?", (job.id,))
    else:
        erase_tasks(db, job.id)


def _issue(db: apsw.Connection, manager_id: str | None, orders: Iterable[NewOrder]) -> None:
    for order in orders:
        assert manager_id is not None
        issue(db, manager_id, order)


def _read_task(db: apsw.Connection, task_id: str) -> Task:
    row = first(db.execute("SELECT * FROM tasks WHERE id = ?", (task_id,)))
    if row is None:
        raise NoSuchTask(task_id)
    return task_of(row)


def _read_worker(db: apsw.Connection, worker_id: str) -> Worker:
    row = first(db.execute("SELECT * FROM worker_rows WHERE id = ?", (worker_id,)))
    if row is None:
        raise NoSuchWorker(worker_id)
    return worker_of(row)


def _text(moment: datetime | None) -> str | None:
    return rfc3339(moment) if moment else None
