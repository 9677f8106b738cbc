"""A Manager that runs is checked and backed up over its control socket; one that does not, on its store."""

import asyncio
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import apsw
import pytest
from fake_server import FakeServer
from manager_world import World, a_task, manager_world

from flamenco_core.errors import BadInput
from flamenco_manager import audit, upkeep
from flamenco_manager.model import Job
from flamenco_manager.stores.store_files import NoStore, NotAStore, OlderSchema
from flamenco_manager.upkeep import ManagerRuns, Refused
from flamenco_runtime.control_socket import NobodyThere
from flamenco_runtime.data_folder import held_folder
from flamenco_runtime.migrations import NewerStore

NOW = datetime(2026, 11, 24, 21, 30, tzinfo=UTC)
STORE = "manager.sqlite"


async def silent(_doing: str, _share: float) -> None:
    """Say nothing."""


async def a_running_job(world: World, server: FakeServer) -> Job:
    """A job of which one task is completed, and another one active."""
    job = await server.submit([a_task(), a_task(depends_on=[0]), a_task()])
    worker = await world.worker()
    await worker.update(await worker.task(), taskStatus="completed", seq=1)
    await worker.update(await worker.task(), taskStatus="active", seq=1)
    return world.foreman.farm.jobs[job]


def query(path: Path, statement: str) -> Any:
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return connection.execute(statement).get
    finally:
        connection.close()


def change(path: Path, statement: str) -> None:
    connection = apsw.Connection(str(path))
    connection.set_busy_timeout(10_000)  # the Manager may be writing
    connection.execute(statement)
    connection.close()


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What looks wrong is looked at again at once."""
    monkeypatch.setattr(audit, "LOOK_AGAIN_S", 0.01)


async def test_a_running_manager_is_checked_while_workers_are_at_work(server: FakeServer, tmp_path: Path) -> None:
    told: list[str] = []

    async def tell(doing: str, _: float) -> None:
        told.append(doing)

    async with manager_world(tmp_path, server) as world:
        await a_running_job(world, server)
        farm = world.foreman.farm
        checking = asyncio.create_task(upkeep.check(tmp_path, tell))
        many = await server.submit([a_task() for _ in range(600)])
        worker = await world.worker("other")
        while not checking.done() and (reply := await worker.ask()).status == 200:
            await worker.update(reply.json(), taskStatus="completed", seq=1)
        found = await checking
        assert found["findings"] == []
        assert found["is_sound"] is True
        assert found["jobs"] in (1, 2)
        assert "Reading what is stored" in told
        await server.until(lambda: many in farm.jobs and farm.jobs[many].is_whole)
        after = await upkeep.check(tmp_path, tell)
        assert (after["findings"], after["jobs"], after["tasks"], after["workers"]) == ([], 2, 603, 2)


async def test_what_memory_and_store_do_not_agree_on_is_found(server: FakeServer, tmp_path: Path) -> None:
    async with manager_world(tmp_path, server) as world:
        job = await a_running_job(world, server)
        done, active, waiting = job.tasks
        other = next(task for task in job.tasks if task.status != "completed")
        other.activity = "never stored"
        job.counts[done.status] += 1
        waiting.open_dependencies += 1
        assert active.worker is None or active.worker.task is not done
        found = await upkeep.check(tmp_path, silent)
        about = {finding["about"] for finding in found["findings"]}
        assert about >= {f"job {job.id}", f"task {other.id}", f"task {waiting.id}"}
        said = " ".join(finding["what"] for finding in found["findings"])
        assert "activity is never stored, stored is" in said
        assert "counted are" in said
        assert all(finding["advice"].startswith("Restart the Manager") for finding in found["findings"])


async def test_what_is_stored_wrongly_is_found_while_the_manager_runs(server: FakeServer, tmp_path: Path) -> None:
    async with manager_world(tmp_path, server) as world:
        job = await a_running_job(world, server)
        change(tmp_path / STORE, "INSERT INTO log_uploads VALUES (99 << 20, 1)")
        change(tmp_path / STORE, "UPDATE jobs SET steps_total = 77")
        found = (await upkeep.check(tmp_path, silent))["findings"]
        assert {finding["about"] for finding in found} == {"store", f"job {job.id}"}
        assert any("It has 1 logs to be sent of tasks that are not here." in finding["what"] for finding in found)


async def test_what_looks_wrong_only_for_a_moment_is_no_finding(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "LOOK_AGAIN_S", 0.1)
    async with manager_world(tmp_path, server) as world:
        job = await a_running_job(world, server)
        change(tmp_path / STORE, "INSERT INTO log_uploads VALUES (99 << 20, 1)")
        job.live += 1

        async def tell(doing: str, _share: float) -> None:
            if doing == "Reading again what looked wrong":
                change(tmp_path / STORE, "DELETE FROM log_uploads WHERE task = 99 << 20")
            if doing == "Looking again at what looked wrong":
                asyncio.get_running_loop().call_later(0.05, mend)

        def mend() -> None:
            job.live -= 1

        assert (await upkeep.check(tmp_path, tell))["findings"] == []


async def test_a_running_manager_is_backed_up_and_the_backup_is_whole(server: FakeServer, tmp_path: Path) -> None:
    target = tmp_path / "somewhere" / "farm.sqlite"
    async with manager_world(tmp_path / "data", server) as world:
        job = await a_running_job(world, server)
        saved = await upkeep.back_up(tmp_path / "data", target, silent)
        assert saved == {
            "file": str(target), "schema": 1, "jobs": 1, "tasks": 3, "workers": 1, "size_bytes": target.stat().st_size
        }  # fmt: skip
        assert target.stat().st_mode & 0o777 == 0o600
        assert query(target, "SELECT count(*) FROM tasks WHERE status = 'completed'") == 1
        assert [file.name for file in target.parent.iterdir()] == [target.name]
        assert job.status == "active"


async def test_a_backup_that_cannot_be_written_is_refused_in_words(server: FakeServer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    async with manager_world(tmp_path / "data", server):
        with pytest.raises(Refused, match=r"Cannot copy .*manager\.sqlite to .*file/farm\.sqlite: "):
            await upkeep.back_up(tmp_path / "data", tmp_path / "file" / "farm.sqlite", silent)
        with pytest.raises(Refused, match="target must be the whole path"):
            await upkeep.back_up(tmp_path / "data", Path("farm.sqlite"), silent)


async def test_a_manager_that_runs_is_neither_repaired_nor_restored(server: FakeServer, tmp_path: Path) -> None:
    async with manager_world(tmp_path / "data", server):
        await upkeep.back_up(tmp_path / "data", tmp_path / "farm.sqlite", silent)
        for forbidden in (
            upkeep.plan_repair(tmp_path / "data", silent),
            upkeep.repair(tmp_path / "data", silent),
            upkeep.plan_restore(tmp_path / "data", tmp_path / "farm.sqlite"),
            upkeep.restore(tmp_path / "data", tmp_path / "farm.sqlite", silent),
        ):
            with pytest.raises(ManagerRuns, match="stop it first"):
                await forbidden


async def test_a_manager_that_holds_its_folder_and_does_not_answer_yet_is_said_to(
    server: FakeServer, tmp_path: Path
) -> None:
    async with manager_world(tmp_path, server):
        pass
    async with held_folder(tmp_path, "Manager"):
        with pytest.raises(NobodyThere, match="does not answer: it is starting, stopping, or waits for room"):
            await upkeep.check(tmp_path, silent)


async def test_a_stopped_manager_is_checked_repaired_and_backed_up(server: FakeServer, tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with manager_world(data, server) as world:
        job = await a_running_job(world, server)
    assert (await upkeep.check(data, silent))["findings"] == []
    change(data / STORE, "UPDATE jobs SET steps_total = 77")
    found = await upkeep.check(data, silent)
    assert (found["is_sound"], len(found["findings"]), found["tasks"]) == (False, 1, 3)
    assert [finding.is_repairable for finding in await upkeep.plan_repair(data, silent)] == [True]
    mended, backup = await upkeep.repair(data, silent, lambda: NOW)
    assert [finding.about for finding in mended] == [f"job {job.id}"]
    assert backup == data / "backups" / "manager-before-repair-20261124T213000Z.sqlite"
    assert query(backup, "SELECT steps_total FROM jobs") == 77
    assert (await upkeep.check(data, silent))["is_sound"] is True
    assert (await upkeep.back_up(data, tmp_path / "farm.sqlite", silent))["jobs"] == 1


async def test_where_there_is_no_store_nothing_is_made(tmp_path: Path) -> None:
    for call in (
        upkeep.check(tmp_path / "none", silent),
        upkeep.plan_repair(tmp_path / "none", silent),
        upkeep.repair(tmp_path / "none", silent),
        upkeep.back_up(tmp_path / "none", tmp_path / "farm.sqlite", silent),
    ):
        with pytest.raises(NoStore, match=r"There is no Manager's store in .*none\."):
            await call
    assert list(tmp_path.iterdir()) == []


async def test_a_backup_is_put_back_and_the_store_that_it_replaces_is_kept(server: FakeServer, tmp_path: Path) -> None:
    data, backup = tmp_path / "data", tmp_path / "farm.sqlite"
    async with manager_world(data, server) as world:
        await a_running_job(world, server)
        await upkeep.back_up(data, backup, silent)
        await server.until_job(await server.submit([a_task()]), "queued")
    feed = query(data / STORE, "SELECT feed FROM link")
    plan = await upkeep.plan_restore(data, backup)
    assert (plan.new.jobs, plan.present and plan.present.jobs) == (1, 2)
    aside = await upkeep.restore(data, backup, silent, lambda: NOW)
    assert aside == data / "replaced" / "manager-20261124T213000Z.sqlite"
    assert query(aside, "SELECT count(*) FROM jobs") == 2
    assert query(aside, "SELECT feed FROM link") == feed
    assert query(data / STORE, "SELECT count(*) FROM jobs") == 1
    assert query(data / STORE, "SELECT feed FROM link") not in (feed, query(backup, "SELECT feed FROM link"))
    assert query(data / STORE, "SELECT (is_restored, attempts_above) = (1, 1001) FROM link") == 1
    assert (data / STORE).stat().st_mode & 0o777 == 0o600
    assert {file.name for file in data.glob("*.sqlite*")} == {STORE}
    assert (await upkeep.check(data, silent))["findings"] == []


async def test_a_backup_is_put_into_an_empty_folder(server: FakeServer, tmp_path: Path) -> None:
    async with manager_world(tmp_path / "data", server) as world:
        await a_running_job(world, server)
        await upkeep.back_up(tmp_path / "data", tmp_path / "farm.sqlite", silent)
    assert await upkeep.restore(tmp_path / "new", tmp_path / "farm.sqlite", silent) is None
    assert query(tmp_path / "new" / STORE, "SELECT count(*) FROM tasks") == 3


async def test_a_store_that_is_damaged_is_replaced_and_kept_with_what_is_beside_it(
    server: FakeServer, tmp_path: Path
) -> None:
    data, backup = tmp_path / "data", tmp_path / "farm.sqlite"
    async with manager_world(data, server) as world:
        await a_running_job(world, server)
        await upkeep.back_up(data, backup, silent)
    (data / STORE).write_bytes(b"\xff" * 8192)
    (data / f"{STORE}-wal").write_bytes(b"a journal")
    aside = await upkeep.restore(data, backup, silent)
    assert aside is not None
    assert aside.read_bytes() == b"\xff" * 8192
    assert aside.with_name(aside.name + "-wal").read_bytes() == b"a journal"
    assert (await upkeep.check(data, silent))["findings"] == []


async def test_what_is_not_a_whole_store_of_a_manager_is_not_put_back(server: FakeServer, tmp_path: Path) -> None:
    data, backup = tmp_path / "data", tmp_path / "farm.sqlite"
    async with manager_world(data, server) as world:
        await a_running_job(world, server)
        await upkeep.back_up(data, backup, silent)
    (tmp_path / "text.sqlite").write_text("not a store at all, by any means")
    change(tmp_path / "other.sqlite", "CREATE TABLE x (y)")
    shutil.copy(backup, tmp_path / "newer.sqlite")
    change(tmp_path / "newer.sqlite", "PRAGMA user_version = 99")
    (tmp_path / "half.sqlite").write_bytes(backup.read_bytes()[:-8192])
    before = (data / STORE).read_bytes()
    for name, error in (
        ("text", NotAStore), ("other", NotAStore), ("newer", NewerStore), ("half", Exception), ("none", OSError),
    ):  # fmt: skip
        with pytest.raises(error):
            await upkeep.restore(data, tmp_path / f"{name}.sqlite", silent)
    with pytest.raises(BadInput, match="is the store that is in use"):
        await upkeep.restore(data, data / STORE, silent)
    assert (data / STORE).read_bytes() == before
    assert not (data / "replaced").exists()


async def test_a_store_of_an_older_flamenco_is_not_checked_before_it_is_migrated(tmp_path: Path) -> None:
    change(tmp_path / STORE, "CREATE TABLE link (a); CREATE TABLE jobs (a); CREATE TABLE tasks (a)")
    change(tmp_path / STORE, "CREATE TABLE workers (a)")
    with pytest.raises(OlderSchema, match="has schema 0, and this Flamenco uses 1: start the Manager once"):
        await upkeep.check(tmp_path, silent)
