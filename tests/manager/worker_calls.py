"""What tests of Workers over HTTP call, and what they wait for."""

from typing import Any

from manager_world import TASK_TYPES, HttpWorker, Reply, World

DAY_S = 86400
NIGHTS = {
    "is_active": True,
    "time_zone": "UTC",
    "windows": [{"days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "start": "22:00", "end": "06:00"}],
}
"""The clock begins at noon, UTC."""


async def ask_to(world: World, worker: HttpWorker, status: str, *, lazy: bool = False) -> dict[str, Any]:
    return await world.server.asked("worker.status", worker=worker.id, status=status, lazy=lazy)


async def reported(world: World, worker: HttpWorker, **expected: Any) -> dict[str, Any]:
    """Wait until a Worker is reported so."""
    mirror = world.server.mirror["workers"]

    def is_so() -> bool:
        record = mirror.get(worker.id, {})
        return all(record.get(key) == value for key, value in expected.items())

    await world.server.until(is_so)
    return mirror[worker.id]


def wanted(reply: Reply) -> str | None:
    """What a Worker is told to be."""
    if reply.status == 204:
        return None
    status: str = reply.json()["status_requested"]
    return status


async def state(worker: HttpWorker, wait_s: int = 0) -> Reply:
    return await worker.call("GET", "state", headers={"Prefer": f"wait={wait_s}"} if wait_s else {})


async def stranger(world: World, name: str = "stranger", address: str = "192.0.2.1") -> HttpWorker:
    """Register a Worker that comes from somewhere else."""
    body = {"secret": "s" * 64, "platform": "linux", "supported_task_types": TASK_TYPES, "name": name}
    headers = {"X-Forwarded-For": address}
    reply = await world.call("POST", "/api/v3/worker/register-worker", json=body, headers=headers)
    return HttpWorker(world, reply.json()["uuid"], "s" * 64, name, ours=False)
