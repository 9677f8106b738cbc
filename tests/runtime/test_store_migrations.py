from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import apsw
import pytest
import structlog
from migrated_stores import BROKEN, FIRST, OTHERS, SECOND, THIRD, Packages, names, schema_of

from flamenco_runtime import migrations
from flamenco_runtime.migrations import BACKUPS_KEPT, MigrationFailed, NewerStore, migrate
from flamenco_runtime.store_copies import CopyFailed

NOW = datetime(2026, 11, 24, 20, 52, 31, tzinfo=UTC)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Packages:
    folder = tmp_path / "packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    return Packages(folder, monkeypatch)


@pytest.fixture
def store(tmp_path: Path, package: Packages) -> Path:
    """A store of the first schema, in which somebody is."""
    path = tmp_path / "farm" / "manager.sqlite"
    path.parent.mkdir()
    with opened(path) as connection:
        migrate(connection, package(FIRST))
        connection.execute("INSERT INTO person VALUES ('Grace')")
    return path


@pytest.fixture
def said() -> Iterator[list[dict[str, object]]]:
    with structlog.testing.capture_logs() as events:
        yield events  # type: ignore[misc]


class opened:  # noqa: N801 (reads as a function)
    """A store, open."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> apsw.Connection:
        self._connection = apsw.Connection(str(self._path))
        self._connection.execute("PRAGMA journal_mode = WAL").fetchall()
        return self._connection

    def __exit__(self, *_: object) -> None:
        self._connection.close()


def backups(store: Path) -> list[str]:
    folder = store.parent / "backups"
    return sorted(file.name for file in folder.iterdir()) if folder.exists() else []


def schema(connection: apsw.Connection) -> list[str]:
    return [row[0] for row in connection.execute("SELECT sql FROM sqlite_schema ORDER BY name")]


def test_a_fresh_store_gets_every_step_in_order(package: Packages) -> None:
    connection = apsw.Connection("")
    migrate(connection, package({**THIRD, **OTHERS, **SECOND, **FIRST}))
    assert connection.pragma("user_version") == 3
    assert connection.execute("SELECT name, age FROM person").fetchall() == [("Ada", 37)]


def test_a_store_gets_only_the_steps_that_it_lacks(package: Packages) -> None:
    connection = apsw.Connection("")
    migrate(connection, package(FIRST))
    migrate(connection, package({**FIRST, **SECOND}))
    newest = package({**FIRST, **SECOND, **THIRD})
    migrate(connection, newest)
    migrate(connection, newest)
    assert connection.pragma("user_version") == 3
    assert connection.execute("SELECT name, age FROM person").fetchall() == [("Ada", 37)]


def test_a_migrated_store_has_the_schema_of_a_fresh_one(package: Packages) -> None:
    migrated, fresh = apsw.Connection(""), apsw.Connection("")
    for steps in (FIRST, {**FIRST, **SECOND}, {**FIRST, **SECOND, **THIRD}):
        migrate(migrated, package(steps))
    migrate(fresh, package({**FIRST, **SECOND, **THIRD}))
    assert schema(migrated) == schema(fresh)


def test_a_newer_store_is_left_alone_and_the_message_says_what_to_do(package: Packages) -> None:
    connection = apsw.Connection("")
    migrate(connection, package({**FIRST, **SECOND}))
    with pytest.raises(NewerStore, match="has schema 2, and this Flamenco knows up to 1: update Flamenco"):
        migrate(connection, package(FIRST))
    assert connection.pragma("user_version") == 2


def test_a_step_that_fails_leaves_the_store_as_it_was(package: Packages) -> None:
    connection = apsw.Connection("")
    migrate(connection, package({**FIRST, **SECOND}))
    before = schema(connection)
    with pytest.raises(
        MigrationFailed, match=r"0003_broken.sql of a store in memory failed, and was undone: .*schema 2"
    ):
        migrate(connection, package({**FIRST, **SECOND, **BROKEN}))
    assert schema(connection) == before
    assert connection.pragma("user_version") == 2


def test_a_store_is_copied_before_its_first_step_and_the_log_says_where_to(
    store: Path, package: Packages, said: list[dict[str, object]]
) -> None:
    with opened(store) as connection:
        migrate(connection, package({**FIRST, **SECOND, **THIRD}), lambda: NOW)
    assert names(store) == ["Grace", "Ada"]
    copy = store.parent / "backups" / "manager-schema-1-20261124T205231Z.sqlite"
    assert backups(store) == [copy.name]
    assert (schema_of(copy), names(copy), copy.stat().st_mode & 0o777) == (1, ["Grace"], 0o600)
    assert said == [
        {
            "event": "the store is migrated",
            "log_level": "info",
            "store": str(store),
            "schema": 1,
            "to": 3,
            "backup": str(copy),
        }
    ]


def test_a_store_that_is_new_or_up_to_date_is_not_copied(store: Path, package: Packages) -> None:
    with opened(store) as connection:
        migrate(connection, package(FIRST))
    assert backups(store) == []


def test_how_far_a_long_copy_has_come_is_said(
    store: Path, package: Packages, said: list[dict[str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "TELL_EVERY_S", 0)
    with opened(store) as connection:
        connection.execute("CREATE TABLE big AS SELECT zeroblob(40000000)")
        migrate(connection, package({**FIRST, **SECOND}))
    told = [event["percent"] for event in said if event["event"] == "the store is copied before it is migrated"]
    assert told == sorted(told)  # type: ignore[type-var]
    assert told[-1] == 100
    assert len(told) > 2


def test_a_step_that_fails_is_undone_and_what_came_before_it_stays(store: Path, package: Packages) -> None:
    with opened(store) as connection, pytest.raises(MigrationFailed, match=r"0003_broken\.sql"):
        migrate(connection, package({**FIRST, **SECOND, **BROKEN}))
    assert (schema_of(store), names(store)) == (2, ["Grace", "Ada"])
    assert len(backups(store)) == 1


def test_a_step_that_would_leave_references_to_nothing_is_undone(store: Path, package: Packages) -> None:
    sql = "CREATE TABLE kin (n INTEGER PRIMARY KEY); CREATE TABLE pet (owner REFERENCES kin (n));"
    dangling = {"0002_x.sql": f"{sql} INSERT INTO pet VALUES (9);"}
    with opened(store) as connection, pytest.raises(MigrationFailed, match=r"0002_x\.sql would leave 1 reference"):
        migrate(connection, package({**FIRST, **dangling}))
    assert (schema_of(store), names(store)) == (1, ["Grace"])


def test_a_store_that_cannot_be_copied_is_not_migrated(store: Path, package: Packages) -> None:
    (store.parent / "backups").write_text("in the way")
    with opened(store) as connection, pytest.raises(CopyFailed, match=r"Cannot copy .*manager\.sqlite to .*backups"):
        migrate(connection, package({**FIRST, **SECOND}))
    assert schema_of(store) == 1


def test_the_newest_backup_of_each_schema_is_kept_and_of_these_the_newest_few(store: Path, package: Packages) -> None:
    steps = dict(FIRST)
    for number in range(2, BACKUPS_KEPT + 4):
        steps[f"{number:04}_more.sql"] = f"CREATE TABLE more_{number} (x);"
        for minute in range(2):  # the second time as if the first had been killed
            with opened(store) as connection:
                migrate(connection, package(steps), lambda: NOW + timedelta(days=number, minutes=minute))  # noqa: B023
                if not minute:
                    connection.execute(f"DROP TABLE more_{number}; PRAGMA user_version = {number - 1}")
    kept = [name.split("-")[2] + name[-12:-8] for name in backups(store)]
    last = BACKUPS_KEPT + 2
    assert kept == [f"{schema}5331" for schema in range(last - BACKUPS_KEPT + 1, last + 1)]
