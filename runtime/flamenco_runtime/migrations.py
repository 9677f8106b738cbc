"""Numbered migrations of an SQLite schema: ``0001_what.sql``, ``0002_…``, forward only, frozen once released.

Each step is one transaction, together with its number: whatever happens, a store has the schema before it or the one
after it. Before a store is changed that is in use, a copy of it is put beside it.
"""

import re
import time
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import apsw
import structlog

from flamenco_core.errors import FlamencoError
from flamenco_runtime.clock import Clock, utc_now
from flamenco_runtime.store_copies import OnProgress, copy_of, remove_parts

log = structlog.get_logger()

BACKUPS = "backups"
"""Folder beside a store, of the copies that were made before it was migrated."""
BACKUPS_KEPT = 5
TELL_EVERY_S = 1.0
"""So often is said how far a backup has come."""

_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")
_BACKUP = re.compile(r".+-schema-(\d+)-\d{8}T\d{6}Z\.sqlite")


class NewerStore(FlamencoError):
    """The file was written by a newer version of Flamenco."""

    type = "newer-store"


class MigrationFailed(FlamencoError):
    """A step could not be done; the store is as it was before that step."""

    type = "migration-failed"


def migrate(connection: apsw.Connection, package: str, clock: Clock = utc_now) -> None:
    """Bring a store to the newest schema of ``package`` (its ``.sql`` files); call it outside a transaction.

    SQLite's ``user_version`` holds the number of the last migration applied. A store that has one is copied into
    ``backups/`` beside it before anything is changed. Raises NewerStore, MigrationFailed, CopyFailed.
    """
    steps = _steps_of(package)
    present, newest = int(connection.pragma("user_version")), steps[-1][0]
    check_not_newer(present, newest)
    if present == newest:
        return
    if present and connection.filename:
        backup = _backed_up(Path(connection.filename), connection, present, clock)
        log.info("the store is migrated", store=connection.filename, schema=present, to=newest, backup=str(backup))
    are_checked = connection.pragma("foreign_keys")
    connection.pragma("foreign_keys", False)  # a table that others refer to may be made anew
    for number, entry in steps:
        if number > present:
            _apply(connection, number, entry)
    connection.pragma("foreign_keys", bool(are_checked))


def newest_schema(package: str) -> int:
    """Return the number of the newest schema of ``package``."""
    return _steps_of(package)[-1][0]


def check_not_newer(present: int, newest: int, what: str = "This store") -> None:
    """Refuse a store that a newer version of Flamenco has written. Raises NewerStore."""
    if present > newest:
        raise NewerStore(f"{what} has schema {present}, and this Flamenco knows up to {newest}: update Flamenco.")


def _steps_of(package: str) -> list[tuple[int, Traversable]]:
    found = [(int(match[1]), entry) for entry in files(package).iterdir() if (match := _NAME.fullmatch(entry.name))]
    return sorted(found, key=lambda step: step[0])


def _apply(connection: apsw.Connection, number: int, entry: Traversable) -> None:
    """Do one step, and note that it is done, in one transaction."""
    try:
        with connection:
            connection.execute(entry.read_text(encoding="utf-8")).fetchall()  # all its statements, not up to a row
            if broken := connection.execute("PRAGMA foreign_key_check").fetchall():
                raise MigrationFailed(f"Migration {entry.name} would leave {len(broken)} references to nothing.")
            connection.execute(f"PRAGMA user_version = {number:d}")
    except apsw.Error as error:
        raise MigrationFailed(
            f"Migration {entry.name} of {connection.filename or 'a store in memory'} failed, and was undone: {error}. "
            f"The store has schema {connection.pragma('user_version')}, and nothing is lost: run the version of "
            "Flamenco that you had, and report this."
        ) from error


def _backed_up(store: Path, connection: apsw.Connection, schema: int, clock: Clock) -> Path:
    target = store.parent / BACKUPS / f"{store.stem}-schema-{schema}-{clock():%Y%m%dT%H%M%SZ}.sqlite"
    remove_parts(target.parent)
    copy_of(connection, target, _telling(target))
    _remove_old(target.parent)
    return target


def _telling(target: Path) -> OnProgress:
    """Return what says now and then how far a backup has come; a small one is done before anything is said."""
    told_s = time.monotonic()

    def tell(share: float) -> None:
        nonlocal told_s
        if time.monotonic() - told_s >= TELL_EVERY_S:
            told_s = time.monotonic()
            log.info("the store is copied before it is migrated", backup=str(target), percent=int(100 * share))

    return tell


def _remove_old(folder: Path) -> None:
    """Keep the newest backup of each schema, and of these the newest few.

    So a Manager that dies in a migration and is started again for ever does not push older schemas out.
    """
    newest: dict[int, Path] = {}
    old: list[Path] = []
    for file in sorted(folder.iterdir(), key=lambda file: file.stat().st_mtime_ns, reverse=True):
        match = _BACKUP.fullmatch(file.name)
        if match is None:
            continue
        if int(match[1]) in newest or len(newest) == BACKUPS_KEPT:
            old.append(file)
        else:
            newest[int(match[1])] = file
    for file in old:
        file.unlink()
