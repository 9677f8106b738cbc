"""Numbered migrations of an SQLite schema: ``0001_what.sql``, ``0002_…``, forward only, frozen once released."""

import re
from importlib.resources import files

import apsw

from flamenco_core.errors import FlamencoError

_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")


class NewerStore(FlamencoError):
    """The file was written by a newer version of Flamenco."""

    type = "newer-store"


def migrate(connection: apsw.Connection, package: str) -> None:
    """Bring a store to the newest schema of ``package`` (its ``.sql`` files), within the caller's transaction.

    SQLite's ``user_version`` holds the number of the last migration applied. Raises NewerStore.
    """
    steps = sorted(
        (int(match[1]), entry) for entry in files(package).iterdir() if (match := _NAME.fullmatch(entry.name))
    )
    present = connection.pragma("user_version")
    newest = steps[-1][0]
    if present > newest:
        raise NewerStore(f"This store has schema {present}, and this Flamenco knows up to {newest}: update Flamenco.")
    for number, entry in steps:
        if number > present:
            connection.execute(entry.read_text(encoding="utf-8")).fetchall()  # all its statements, not up to a row
            connection.execute(f"PRAGMA user_version = {number:d}")
