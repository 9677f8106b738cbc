"""Workers in SQLite, as their Managers report them."""

from collections.abc import Iterator

import apsw

from flamenco_core.wire.manager_api import WorkerReport
from flamenco_core.wire.schema import rfc3339
from flamenco_server.events import Change
from flamenco_server.stores.sqlite.rows import as_json, first

_COLUMNS = [
    "name",
    "address",
    "platform",
    "software",
    "task_types",
    "status",
    "status_requested",
    "approved",
    "current_task",
    "last_seen",
    "node",
    "slot",
    "hardware",
    "programs",
    "tags",
    "lazy",
    "schedule",
    "can_restart",
    "blocked",
    "secret_sha256",
    "features",
    "rev_epoch",
    "rev_commit",
]


def apply_worker(db: apsw.Connection, manager_id: str, worker: WorkerReport) -> Iterator[Change]:
    """Write what a Manager says of a Worker, if it is newer; one that was forgotten goes, with its past."""
    changed = _remove(db, manager_id, worker) if worker.forgotten else _write(db, manager_id, worker)
    if changed:
        yield Change("worker", worker.id)


def _write(db: apsw.Connection, manager_id: str, worker: WorkerReport) -> bool:
    values = (
        *(worker.name, worker.address, worker.platform, worker.software, as_json(worker.task_types)),
        *(str(worker.status), str(worker.status_requested) if worker.status_requested else None, worker.approved),
        *(worker.current_task, rfc3339(worker.last_seen) if worker.last_seen else None, worker.node, worker.slot),
        *(as_json(worker.hardware) if worker.hardware else None, as_json(worker.programs), as_json(worker.tags)),
        *(worker.lazy, as_json(worker.schedule) if worker.schedule else None, worker.can_restart),
        *(as_json(worker.blocked), worker.secret_sha256, as_json(worker.features), worker.rev.epoch, worker.rev.commit),
    )
    columns, places = ", ".join(_COLUMNS), ", ".join("?" * (len(_COLUMNS) + 2))
    updates = ", ".join(f"{column} = excluded.{column}" for column in _COLUMNS)
    query = (
        f"INSERT INTO workers (id, manager, {columns}) VALUES ({places}) ON CONFLICT (id) DO UPDATE SET {updates}"  # noqa: S608 (our own names)
        " WHERE manager = excluded.manager"
        " AND (rev_epoch, rev_commit) < (excluded.rev_epoch, excluded.rev_commit) RETURNING id"
    )
    return first(db.execute(query, (worker.id, manager_id, *values))) is not None


def _remove(db: apsw.Connection, manager_id: str, worker: WorkerReport) -> bool:
    query = "DELETE FROM workers WHERE id = ? AND manager = ? AND (rev_epoch, rev_commit) < (?, ?) RETURNING id"
    if first(db.execute(query, (worker.id, manager_id, worker.rev.epoch, worker.rev.commit))) is None:
        return False
    db.execute("DELETE FROM worker_states WHERE worker = ?", (worker.id,))
    return True
