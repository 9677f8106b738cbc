import importlib
import sys
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from flamenco_runtime.migrations import NewerStore, migrate

FIRST = {"0001_people.sql": "CREATE TABLE person (name TEXT) STRICT;"}
SECOND = {
    "0002_ages.sql": """
        ALTER TABLE person ADD COLUMN age INTEGER;
        INSERT INTO person VALUES ('Ada', 36);
        SELECT count(*) FROM person;  -- a statement with an answer must not end the migration
        UPDATE person SET age = age + 1;
    """
}
THIRD = {"0003_pets.sql": "CREATE TABLE pet (name TEXT) STRICT;"}
BROKEN = {"0003_broken.sql": "CREATE TABLE pet (name TEXT) STRICT; CREATE TABLE person (x);"}
OTHERS = {"README.md": "not SQL", "4_short.sql": "not SQL", "0004_Capital.sql": "not SQL", "0005.sql": "not SQL"}
Packages = Callable[[dict[str, str]], str]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Packages:
    """Make packages of migrations, as a component has one."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(steps: dict[str, str]) -> str:
        name = f"migrations_of_test_{len(list(tmp_path.iterdir()))}"
        folder = tmp_path / name
        folder.mkdir()
        (folder / "__init__.py").touch()
        for file, sql in steps.items():
            (folder / file).write_text(sql)
        importlib.invalidate_caches()
        monkeypatch.delitem(sys.modules, name, raising=False)
        return name

    return make


def schema(connection: apsw.Connection) -> list[str]:
    return [row[0] for row in connection.execute("SELECT sql FROM sqlite_schema ORDER BY name")]


def apply(connection: apsw.Connection, package: str) -> None:
    with connection:
        migrate(connection, package)


def test_a_fresh_store_gets_every_step_in_order(package: Packages) -> None:
    connection = apsw.Connection("")
    apply(connection, package({**THIRD, **OTHERS, **SECOND, **FIRST}))
    assert connection.pragma("user_version") == 3
    assert connection.execute("SELECT name, age FROM person").fetchall() == [("Ada", 37)]


def test_a_store_gets_only_the_steps_that_it_lacks(package: Packages) -> None:
    connection = apsw.Connection("")
    apply(connection, package(FIRST))
    apply(connection, package({**FIRST, **SECOND}))
    newest = package({**FIRST, **SECOND, **THIRD})
    apply(connection, newest)
    apply(connection, newest)
    assert connection.pragma("user_version") == 3
    assert connection.execute("SELECT name, age FROM person").fetchall() == [("Ada", 37)]


def test_a_migrated_store_has_the_schema_of_a_fresh_one(package: Packages) -> None:
    migrated, fresh = apsw.Connection(""), apsw.Connection("")
    for steps in (FIRST, {**FIRST, **SECOND}, {**FIRST, **SECOND, **THIRD}):
        apply(migrated, package(steps))
    apply(fresh, package({**FIRST, **SECOND, **THIRD}))
    assert schema(migrated) == schema(fresh)


def test_a_newer_store_is_left_alone_and_the_message_says_what_to_do(package: Packages) -> None:
    connection = apsw.Connection("")
    apply(connection, package({**FIRST, **SECOND}))
    with pytest.raises(NewerStore, match="has schema 2, and this Flamenco knows up to 1: update Flamenco"):
        apply(connection, package(FIRST))
    assert connection.pragma("user_version") == 2


def test_a_step_that_fails_leaves_the_store_as_it_was(package: Packages) -> None:
    connection = apsw.Connection("")
    apply(connection, package({**FIRST, **SECOND}))
    before = schema(connection)
    with pytest.raises(apsw.SQLError):
        apply(connection, package({**FIRST, **SECOND, **BROKEN}))
    assert schema(connection) == before
    assert connection.pragma("user_version") == 2
