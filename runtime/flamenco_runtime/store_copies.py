"""Whole copies of an SQLite store in one file: made beside its users, checked, on disk before they have a name.

A copy holds one moment of the store, whatever is written meanwhile. It never stands half made under its own name: a
process that is killed leaves a file that ends in ``.part``.
"""

import glob
import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import apsw

from flamenco_core.errors import Unavailable
from flamenco_runtime.durable_folders import make_folder, sync_folder

OnProgress = Callable[[float], None]
"""Called with the share that is done, from 0 to 1."""

PAGES_AT_ONCE = 4096
"""So many pages are copied between two looks at how far it has come."""
PART = ".part"


class CopyFailed(Unavailable):
    """A store could not be copied; the message says which, to where, and why."""

    type = "copy-failed"


class DamagedStore(Unavailable):
    """A store in which SQLite finds something that cannot be."""

    type = "damaged-store"


def copy_store(source: Path, target: Path, on_progress: OnProgress = lambda _: None) -> None:
    """Copy a store into a new file, as ``copy_of`` does, over a connection of its own: its users do not wait for it."""
    try:
        connection = apsw.Connection(str(source), flags=apsw.SQLITE_OPEN_READONLY)
    except apsw.Error as error:
        raise CopyFailed(f"Cannot read {source}: {error}.") from error
    with closing(connection):
        copy_of(connection, target, on_progress)


def copy_of(source: apsw.Connection, target: Path, on_progress: OnProgress = lambda _: None) -> None:
    """Copy what a connection sees into the file ``target``, which is replaced at the very end; blocks.

    The file is only the owner's to read (0600), whole, checked by SQLite, and on disk when it gets its name. Raises
    CopyFailed, DamagedStore.
    """
    part = target.with_name(target.name + PART)
    try:
        make_folder(target.parent, 0o700)
        remove_parts(target.parent, target.name)
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        with _one_moment(source), closing(apsw.Connection(str(part))) as copy:
            copy.execute("PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF")  # it is synced as a whole, below
            _copy_pages(source, copy, on_progress)
            copy.execute("PRAGMA journal_mode = DELETE").fetchall()  # one file, which needs no others beside it
            check_whole(copy, f"the copy of {source.filename}")
        put_in_place(part, target)
    except DamagedStore:
        remove_parts(target.parent, target.name)
        raise
    except (OSError, apsw.Error) as error:
        remove_parts(target.parent, target.name)
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise CopyFailed(f"Cannot copy {source.filename} to {target}: {reason}.") from error


def check_whole(connection: apsw.Connection, what: str) -> None:
    """Let SQLite look at every page of a store. Raises DamagedStore."""
    found = [str(row[0]) for row in connection.execute("PRAGMA quick_check(10)")]
    if found != ["ok"]:
        raise DamagedStore(f"SQLite finds damage in {what}: {'; '.join(found)}.")


def remove_parts(folder: Path, name: str | None = None) -> None:
    """Remove what copies, of this name or any, that were cut short have left, with what SQLite put beside it."""
    for file in folder.glob(f"{'*' if name is None else glob.escape(name)}{PART}*"):
        file.unlink(missing_ok=True)


def put_in_place(part: Path, target: Path) -> None:
    """Give a file that is complete its name, so that there is the old one or the new. Raises OSError."""
    with part.open("rb+") as file:
        os.fsync(file.fileno())
    part.replace(target)
    sync_folder(target.parent)


@contextmanager
def _one_moment(source: apsw.Connection) -> Iterator[None]:
    """Hold the source to one moment, so that nobody's writing makes the copy begin again."""
    with source:
        source.execute("SELECT count(*) FROM sqlite_schema").fetchall()
        yield


def _copy_pages(source: apsw.Connection, copy: apsw.Connection, on_progress: OnProgress) -> None:
    with copy.backup("main", source, "main") as backup:
        while not backup.done:
            backup.step(PAGES_AT_ONCE)
            on_progress(1 - backup.remaining / max(backup.page_count, 1))
