"""Jobs on their way in: definitions, tasks and commands, as they come from the Server."""

import asyncio
import zlib
from collections import OrderedDict
from collections.abc import Sequence

import apsw
import orjson

from flamenco_core.wire.manager_api import JobDefinition, JobDefinitionSchema, TaskDefinition
from flamenco_core.wire.worker_api import Command
from flamenco_manager.model import Job, Task
from flamenco_manager.stores import rows
from flamenco_manager.stores.farm_store import Also
from flamenco_manager.stores.known import take_kept
from flamenco_runtime.journal import Journal, executing

SLICE_TASKS = rows.SLICE_TASKS
CACHED_SLICES = 64

_NEW_TASK = (
    "INSERT INTO tasks (key, id, name, type, priority, steps_total, frames, depends_on, needs) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_DEFINITION = JobDefinitionSchema()


class ArrivalStore:
    """Keeps what was fetched of a job, so that fetching goes on after a restart where it stopped."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._slices: OrderedDict[tuple[int, int], list[bytes]] = OrderedDict()

    async def new_job_key(self) -> int:
        """Return the number of the next job in this store: above those of all that it has and had."""
        query = "SELECT max(erased_job_key, (SELECT coalesce(max(key), 0) FROM jobs)) + 1 FROM link"
        return await self._journal.read(lambda connection: int(connection.execute(query).get))

    async def change_begun(self, order_id: str) -> int | None:
        """Return the number of the first change of a requeue that was begun and cut short, None if it was not."""
        query = "SELECT begun_change FROM link WHERE begun_order = ?"
        return await self._journal.read(lambda connection: connection.execute(query, (rows.id_bytes(order_id),)).get)

    @staticmethod
    def begin_requeue(order_id: str, change: int) -> Also:
        """Make the part of a transaction that notes that a requeue has begun; only the newest is remembered."""
        return executing("UPDATE link SET begun_order = ?, begun_change = ?", [(rows.id_bytes(order_id), change)])

    async def job_status(self, job_id: str) -> str | None:
        """Return the stored status of a job, or None if it never came here."""
        query = "SELECT status FROM jobs WHERE id = ?"
        return await self._journal.read(lambda connection: connection.execute(query, (rows.id_bytes(job_id),)).get)

    async def definition(self, job: Job) -> JobDefinition | None:
        """Return the definition that was fetched of a job."""
        query = "SELECT definition FROM jobs WHERE key = ?"
        stored = await self._journal.read(lambda connection: connection.execute(query, (job.key,)).get)
        return None if stored is None else _DEFINITION.load(orjson.loads(stored))

    async def keep_definition(self, job: Job, definition: JobDefinition) -> None:
        """Store the definition of a job."""
        body = orjson.dumps(_DEFINITION.dump(definition))
        await self._journal.write(executing("UPDATE jobs SET definition = ? WHERE key = ?", [(body, job.key)]))

    async def tasks_stored(self, job: Job) -> int:
        """Return how many of a job's tasks are here: they come in order, so the next index."""
        keys = (rows.task_key(job.key, 0), rows.task_key(job.key + 1, 0))
        query = "SELECT count(*) FROM tasks WHERE key >= ? AND key < ?"
        return await self._journal.read(lambda connection: int(connection.execute(query, keys).get))

    def keep_tasks(self, job: Job, tasks: Sequence[TaskDefinition]) -> "asyncio.Future[None]":
        """Store the next tasks of a job: a whole slice, or its last tasks; the future waits for the disk."""
        new = [rows.new_task_row(job.key, task) for task in tasks]
        lines = b"\n".join([orjson.dumps(task.commands) for task in tasks])

        def work(connection: apsw.Connection) -> None:
            body = zlib.compress(lines, 1)
            connection.executemany(_NEW_TASK, new)
            connection.execute("INSERT INTO command_slices VALUES (?, ?, ?)", (job.key, tasks[0].index, body))
            take_kept(connection, [(row[0], row[1]) for row in new])

        return self._journal.write(work)

    async def commands_of(self, task: Task) -> Sequence[Command]:
        """Return the commands of a task; those of its neighbours are at hand after that."""
        key = (task.job.key, task.index - task.index % SLICE_TASKS)
        lines = self._slices.get(key)
        if lines is None:
            query = "SELECT body FROM command_slices WHERE job = ? AND first_index = ?"
            body = await self._journal.read(lambda connection: connection.execute(query, key).get)
            lines = self._slices[key] = zlib.decompress(body).split(b"\n")
        self._slices.move_to_end(key)
        while len(self._slices) > CACHED_SLICES:
            self._slices.popitem(last=False)
        return [Command(**command) for command in orjson.loads(lines[task.index % SLICE_TASKS])]
