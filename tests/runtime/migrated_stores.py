"""Made-up migrations, and stores that have them."""

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path

import apsw
import pytest

FIRST = {"0001_people.sql": "CREATE TABLE person (name TEXT) STRICT;"}
SECOND = {
    "0002_ages.sql": """
        ALTER TABLE person ADD COLUMN age INTEGER;
        INSERT INTO person VALUES ('Ada', 36);
        SELECT count(*) FROM person;  -- a statement with an answer must not end the migration
        UPDATE person SET age = age + 1;
    """
}
THIRD = {"0003_pets.sql": "CREATE TABLE pet (name TEXT) STRICT; INSERT INTO pet SELECT name || '''s cat' FROM person;"}
BROKEN = {"0003_broken.sql": "CREATE TABLE pet (name TEXT) STRICT; CREATE TABLE person (x);"}
OTHERS = {"README.md": "not SQL", "4_short.sql": "not SQL", "0004_Capital.sql": "not SQL", "0005.sql": "not SQL"}


class Packages:
    """Makes packages of migrations, as a component has one."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        self._monkeypatch = monkeypatch
        self._made = 0

    def __call__(self, steps: Mapping[str, str]) -> str:
        self._made += 1
        name = f"migrations_of_test_{self._made}"
        folder = self._folder / name
        folder.mkdir()
        (folder / "__init__.py").touch()
        for file, sql in steps.items():
            (folder / file).write_text(sql)
        importlib.invalidate_caches()
        self._monkeypatch.delitem(sys.modules, name, raising=False)
        return name


def names(path: Path) -> list[str]:
    """Read who is in a store."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return [row[0] for row in connection.execute("SELECT name FROM person ORDER BY rowid")]
    finally:
        connection.close()


def schema_of(path: Path) -> int:
    """Read which schema a store has, after SQLite found it whole."""
    connection = apsw.Connection(str(path))
    try:
        assert connection.execute("PRAGMA integrity_check").get == "ok"
        return int(connection.pragma("user_version"))
    finally:
        connection.close()
