"""A process that migrates a store is killed at each statement and change of a file: old or new, never between."""

import multiprocessing
import os
import shutil
import signal
import sys
from pathlib import Path

import apsw
import pytest
from migrated_stores import FIRST, SECOND, THIRD, Packages, names, schema_of

from flamenco_runtime.migrations import migrate

FILE_EVENTS = ("os.rename", "os.remove", "os.mkdir", "os.chmod", "open")
AS_SOON_AS = multiprocessing.get_context("fork")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Packages:
    folder = tmp_path / "packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    return Packages(folder, monkeypatch)


def migrate_and_die(store: Path, package: str, dies_at: int) -> None:
    """Migrate a store; the process is killed by SIGKILL just before so many things have been done."""
    done = 0

    def about_to_do_something() -> None:
        nonlocal done
        if done == dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
        done += 1

    def statement(*_: object) -> bool:
        about_to_do_something()
        return True

    def event(name: str, arguments: tuple[object, ...]) -> None:
        if name in FILE_EVENTS and arguments and str(arguments[0]).startswith(str(store.parent)):
            about_to_do_something()

    apsw.connection_hooks.append(lambda connection: connection.set_exec_trace(statement))
    connection = apsw.Connection(str(store))
    connection.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL").fetchall()
    sys.addaudithook(event)
    migrate(connection, package)
    connection.close()


def test_a_migration_that_is_killed_at_any_point_leaves_the_old_schema_or_the_new_one(
    tmp_path: Path, package: Packages
) -> None:
    old, new = package(FIRST), package({**FIRST, **SECOND, **THIRD})
    made = tmp_path / "made.sqlite"
    connection = apsw.Connection(str(made))
    migrate(connection, old)
    connection.execute("INSERT INTO person VALUES ('Grace')")
    connection.close()
    expected = {1: ["Grace"], 2: ["Grace", "Ada"], 3: ["Grace", "Ada"]}
    seen: list[int] = []
    exit_code: int | None = -signal.SIGKILL
    while exit_code == -signal.SIGKILL:
        store = tmp_path / f"killed-{len(seen)}" / "manager.sqlite"
        store.parent.mkdir()
        shutil.copy(made, store)
        child = AS_SOON_AS.Process(target=migrate_and_die, args=(store, new, len(seen)))
        child.start()
        child.join(60)
        exit_code = child.exitcode
        seen.append(schema_of(store))
        assert names(store) == expected[seen[-1]]
        copies = [file for file in (store.parent / "backups").glob("*") if file.suffix == ".sqlite"]
        assert [(schema_of(copy), names(copy)) for copy in copies] in ([], [(1, ["Grace"])])
        assert copies or seen[-1] == 1, "what was changed was copied first"
        connection = apsw.Connection(str(store))
        migrate(connection, new)
        connection.close()
        assert (schema_of(store), names(store)) == (3, expected[3])
        assert not list((store.parent / "backups").glob("*.part*"))
    assert exit_code == 0
    assert seen == sorted(seen)
    assert set(seen) == {1, 2, 3}
    assert len(seen) > 25, "statements, and changes of files"
