"""A process that puts a backup back is killed at each statement and change of a file: the old store or the new one."""

import multiprocessing
import os
import shutil
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import apsw
import pytest
from stored_site import stored_site

from flamenco_manager.stores.mending import check_stopped
from flamenco_manager.stores.store_files import contents, put_back
from flamenco_runtime.store_copies import copy_store

NOW = datetime(2026, 11, 24, 21, 30, tzinfo=UTC)
FILE_EVENTS = ("os.rename", "os.remove", "os.mkdir", "os.chmod", "os.link", "open", "shutil.copyfile")
AS_SOON_AS = multiprocessing.get_context("fork")


def put_back_and_die(backup: Path, data: Path, dies_at: int) -> None:
    """Put a backup back; the process is killed by SIGKILL just before so many things have been done."""
    done = 0

    def about_to_do_something(*_: object) -> bool:
        nonlocal done
        if done == dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
        done += 1
        return True

    def event(name: str, arguments: tuple[Any, ...]) -> None:
        if name in FILE_EVENTS and any(str(argument).startswith(str(data)) for argument in arguments):
            about_to_do_something()

    apsw.connection_hooks.append(lambda connection: connection.set_exec_trace(about_to_do_something))
    sys.addaudithook(event)
    put_back(backup, data, NOW)


@pytest.fixture
async def backup(tmp_path: Path) -> Path:
    """A backup with one job; the store in ``tmp_path/made`` has had another one since, which is in its WAL only."""
    made = tmp_path / "made"
    async with stored_site(made) as site:
        await site.stored_job([[], [0]])
        copy_store(made / "manager.sqlite", tmp_path / "backup.sqlite")
        await site.stored_job([[]])
        for name in ("manager.sqlite", "manager.sqlite-wal"):  # as a Manager that was killed leaves it
            (tmp_path / "killed").mkdir(exist_ok=True)
            shutil.copy(made / name, tmp_path / "killed" / name)
    return tmp_path / "backup.sqlite"


async def test_a_restore_that_is_killed_at_any_point_leaves_the_old_store_or_the_new_one(
    backup: Path, tmp_path: Path
) -> None:
    seen: list[int] = []
    exit_code: int | None = -signal.SIGKILL
    while exit_code == -signal.SIGKILL:
        data = tmp_path / f"data-{len(seen)}"
        shutil.copytree(tmp_path / "killed", data)
        child = AS_SOON_AS.Process(target=put_back_and_die, args=(backup, data, len(seen)))
        child.start()
        child.join(60)
        exit_code = child.exitcode
        assert check_stopped(data / "manager.sqlite") == []
        seen.append(contents(data / "manager.sqlite").jobs)
        if seen[-1] == 1:
            assert contents(data / "replaced" / "manager-20261124T213000Z.sqlite").jobs == 2
        put_back(backup, data, NOW.replace(minute=31))
        assert contents(data / "manager.sqlite").jobs == 1
        assert {file.name for file in data.glob("*.sqlite*")} == {"manager.sqlite"}
        shutil.rmtree(data)
    assert exit_code == 0
    assert seen == sorted(seen, reverse=True)
    assert set(seen) == {1, 2}
    assert len(seen) > 25, "statements, and changes of files"
