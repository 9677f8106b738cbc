"""The file of a Manager's store as a whole: copied, looked into, put back."""

import os
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import apsw

from flamenco_core.errors import BadInput, Conflict, NotFound
from flamenco_core.identifiers import new_id
from flamenco_manager.stores import rows
from flamenco_runtime.durable_folders import make_folder, sync_folder
from flamenco_runtime.migrations import check_not_newer, migrate, newest_schema
from flamenco_runtime.store_copies import OnProgress, check_whole, copy_store, put_in_place

MIGRATIONS = "flamenco_manager.stores.migrations"
STORE = "manager.sqlite"
REPLACED = "replaced"
"""Folder of the stores in whose place another one was put."""
ATTEMPTS_LEFT_OUT = 1_000
"""So many numbers of attempts are left out when a store is put back: some of them may belong to what was lost."""

_RESTORING = "restoring-" + STORE
_COUNTS = "SELECT (SELECT count(*) FROM jobs), (SELECT count(*) FROM tasks), (SELECT count(*) FROM workers)"
_TABLES = {"link", "jobs", "tasks", "workers"}


class NoStore(NotFound):
    """There is no Manager's store here."""

    type = "no-store"


class NotAStore(BadInput):
    """A file that is not the store of a Manager, or not whole."""

    type = "not-a-store"


class OlderSchema(Conflict):
    """A store that a Manager must migrate first."""

    type = "older-schema"


@dataclass(frozen=True, slots=True)
class Contents:
    """What a store holds."""

    schema: int
    jobs: int
    tasks: int
    workers: int
    size_bytes: int

    def document(self) -> dict[str, object]:
        """Return it as programs read it."""
        return asdict(self)


def store_of(data: Path) -> Path:
    """Return the store in a data folder, which has the newest schema. Raises NoStore, OlderSchema, NewerStore."""
    path = data / STORE
    if not path.exists():
        raise NoStore(f"There is no Manager's store in {data}.")
    present, newest = contents(path).schema, newest_schema(MIGRATIONS)
    if present < newest:
        raise OlderSchema(
            f"{path} has schema {present}, and this Flamenco uses {newest}: start the Manager once; that migrates it."
        )
    return path


def contents(path: Path) -> Contents:
    """Look into a store. Raises NotAStore, NewerStore, OSError."""
    size = path.stat().st_size
    try:
        with closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)) as connection:
            tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
            if not tables >= _TABLES:
                raise NotAStore(f"{path} is not the store of a Manager.")
            schema = int(connection.pragma("user_version"))
            check_not_newer(schema, newest_schema(MIGRATIONS), str(path))
            jobs, tasks, workers = connection.execute(_COUNTS).get
    except apsw.Error as error:
        raise NotAStore(f"{path} is not the store of a Manager, or is damaged: {error}.") from error
    return Contents(schema, jobs, tasks, workers, size)


def put_back(file: Path, data: Path, now: datetime, on_progress: OnProgress = lambda _: None) -> Path | None:
    """Put a copy of a store in the place of the present one, which is kept aside; returns where.

    The caller holds the data folder. Whenever the process dies, there is the old store or the new one. What the new
    one says of the past no longer has to hold: it gets a new feed, and hands nothing out until the Server was heard
    (manager-api.md, "When a store was lost or restored"). Raises NotAStore, NewerStore, CopyFailed, OSError.
    """
    target, part = data / STORE, data / _RESTORING
    if target.exists() and target.samefile(file):
        raise BadInput(f"{file} is the store that is in use.")
    contents(file)
    make_folder(data)
    for left_over in data.glob(f"{_RESTORING}*"):  # a journal of one must not be taken for that of the next
        left_over.unlink()
    copy_store(file, part, on_progress)
    with _one_file(part) as connection:
        migrate(connection, MIGRATIONS)
        _begin_anew(connection)
        check_whole(connection, str(file))
    aside = _set_aside(target, data / REPLACED / f"manager-{now:%Y%m%dT%H%M%SZ}.sqlite") if target.exists() else None
    put_in_place(part, target)
    return aside


def _begin_anew(connection: apsw.Connection) -> None:
    """Note in a store that it was put back."""
    with connection:
        highest = "max(attempts_above, (SELECT coalesce(max(attempt), 0) FROM tasks))"
        connection.execute(
            f"UPDATE link SET feed = ?, is_restored = 1, attempts_above = {highest} + ?",  # noqa: S608 (constants)
            (rows.id_bytes(new_id()), ATTEMPTS_LEFT_OUT),
        )


@contextmanager
def _one_file(path: Path) -> Iterator[apsw.Connection]:
    """Open a store that nobody uses; after that it is one file, whole, without others beside it."""
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute("PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL").fetchall()
        yield connection


def _set_aside(store: Path, aside: Path) -> Path:
    """Give the present store a second name, under which it stays; it keeps the first one until that is given away."""
    make_folder(aside.parent, 0o700)
    wal, wal_aside = (file.with_name(file.name + "-wal") for file in (store, aside))
    if wal.exists():
        shutil.copy2(wal, wal_aside)
    try:
        with _one_file(store) as connection:
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
        wal_aside.unlink(missing_ok=True)  # it is in the store now
    except apsw.Error:  # it is damaged; what is beside it is kept with it, and must not be taken for the new one's
        for beside in (wal, store.with_name(store.name + "-shm")):
            beside.unlink(missing_ok=True)
    os.link(store, aside)
    sync_folder(aside.parent)
    return aside
