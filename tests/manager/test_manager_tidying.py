"""What a Manager forgets every hour."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

from fake_server import FakeServer
from manager_world import TASK_TYPES, TestTime, manager_world
from structlog.testing import capture_logs

from flamenco_manager.stores.old_orders import SLICE, OldOrders
from flamenco_manager.tidying import KEEP_ORDERS, Tidying
from flamenco_runtime.journal import Journal

NOW = TestTime().wall()
INSERT = "INSERT INTO orders VALUES (?, randomblob(16), 'task.log', NULL, ?, ?, '', ?, NULL, 0)"


@asynccontextmanager
async def kept_orders(data: Path) -> AsyncIterator[Journal]:
    """Open the store of a Manager."""
    journal = await Journal.open(data / "manager.sqlite", lambda _: None)
    try:
        yield journal
    finally:
        await journal.close()


async def numbers(journal: Journal) -> list[int]:
    return await journal.read(
        lambda connection: [row[0] for row in connection.execute("SELECT number FROM orders ORDER BY number")]
    )


async def keep(journal: Journal, number: int, at: datetime, result: str | None = "done", unreported: int = 0) -> None:
    await journal.write(lambda connection: connection.execute(INSERT, (number, at.timestamp(), result, unreported)))


async def test_orders_that_are_reported_and_old_are_forgotten_and_no_others(server: FakeServer, tmp_path: Path) -> None:
    async with manager_world(tmp_path, server):
        pass
    old, moment = NOW - KEEP_ORDERS, timedelta(seconds=1)
    async with kept_orders(tmp_path) as journal:
        await keep(journal, 1, old - moment)
        await keep(journal, 2, old - moment, unreported=1)
        await keep(journal, 3, old - moment, result=None)  # its job is still being fetched
        await keep(journal, 4, old)
        await keep(journal, 5, old - moment)
        assert await OldOrders(journal).forget_orders(old) == 2
        assert await numbers(journal) == [2, 3, 4]
        assert await OldOrders(journal).forget_orders(old) == 0


async def test_many_old_orders_go_in_slices(server: FakeServer, tmp_path: Path) -> None:
    async with manager_world(tmp_path, server):
        pass
    rows = [(number, 0.0, "done", 0) for number in range(1, SLICE + 11)]
    async with kept_orders(tmp_path) as journal:
        await journal.write(lambda connection: connection.executemany(INSERT, rows))
        orders = OldOrders(journal)
        assert [await orders.forget_orders(NOW) for _ in range(3)] == [SLICE, 10, 0]
        assert await numbers(journal) == []


async def test_a_manager_that_starts_forgets_the_orders_of_a_month_ago(server: FakeServer, tmp_path: Path) -> None:
    async with manager_world(tmp_path, server) as world:
        worker = await world.worker()
        await server.asked("worker.tags", worker=worker.id, tags=["old"])
        world.time.passed_s += 31 * 86_400
        await server.asked("worker.tags", worker=worker.id, tags=["new"])
        time = world.time
    async with (
        manager_world(tmp_path, server, time=time) as world,  # tidies up as it starts
        kept_orders(tmp_path) as journal,
        asyncio.timeout(20),
    ):
        while 1 in await numbers(journal):
            await world.call("GET", "/healthz")
        assert await numbers(journal) == [2]


async def test_a_worker_that_nobody_approves_is_forgotten_and_the_server_hears_of_it(
    server: FakeServer, tmp_path: Path
) -> None:
    async with manager_world(tmp_path, server) as world:
        body = {"secret": "s", "platform": "linux", "supported_task_types": TASK_TYPES, "name": "stranger"}
        elsewhere = {"X-Forwarded-For": "192.0.2.1"}
        stranger = (await world.call("POST", "/api/v3/worker/register-worker", json=body, headers=elsewhere)).json()
        neighbour = await world.registered("neighbour")
        world.time.passed_s += 3601
        with capture_logs() as lines:
            await Tidying(world.foreman, NoOrders()).tidy()
        await server.until(lambda: server.mirror["workers"].get(stranger["uuid"], {}).get("forgotten"))
        assert list(world.foreman.farm.workers) == [neighbour.id]
        assert [line["worker"] for line in lines if line["event"] == "worker forgotten"] == [stranger["uuid"]]


class NoOrders:
    """Orders of a Manager that never got any."""

    async def forget_orders(self, before: datetime) -> int:
        return 0
