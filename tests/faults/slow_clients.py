"""Many clients that say nothing, or hardly anything, of three kinds; meanwhile a Worker works on undisturbed."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from busy_worker import keep_working
from fake_server import fake_server
from happenings import Happenings
from manager_process import ManagerProcess, manager_process

DEADLINE_S = 150.0
"""Ten times what a slow client gets (quality.md, section 5): it only ends the test."""
DRIP_EVERY_S = 0.5
HEAD = b"POST /api/v3/worker/register-worker HTTP/1.1\r\nHost: m\r\n"
STALLED_BODY = HEAD + b"Content-Type: application/json\r\nContent-Length: 100000\r\n\r\n{"


async def held_by(kind: str, manager: ManagerProcess) -> float:
    """Be a slow client of a kind until the Manager closes the connection; returns how long that took, in seconds."""
    reader, writer = await asyncio.open_connection(manager.host, manager.port)
    began = time.monotonic()
    writer.write({"silent": b"", "dripping headers": HEAD, "stalled body": STALLED_BODY}[kind])
    dripping = asyncio.create_task(_drip(writer)) if kind == "dripping headers" else None
    with suppress(OSError):
        while await reader.read(4096):
            pass
    took_s = time.monotonic() - began
    if dripping is not None:
        dripping.cancel()
        await asyncio.wait({dripping})
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return took_s


async def _drip(writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while True:
            writer.write(b"X-More: of it\r\n")
            await writer.drain()
            await asyncio.sleep(DRIP_EVERY_S)


async def withstand(
    folder: Path, *, clients: int, settings: dict[str, object] | None = None, say: Callable[[str], None] = print
) -> dict[str, float]:
    """Let so many slow clients of each kind come at once. Returns the longest that each kind was held, in seconds."""
    kinds = ("silent", "dripping headers", "stalled body")
    record, over = Happenings(), asyncio.Event()
    asks: list[float] = []
    async with fake_server() as server, manager_process(folder / "manager", server.url, **(settings or {})) as manager:
        await manager.start()
        work = asyncio.create_task(keep_working(server, manager, record, over, asks))
        async with asyncio.timeout(DEADLINE_S):
            held = await asyncio.gather(*(held_by(kind, manager) for kind in kinds for _ in range(clients)))
        over.set()
        await work
    longest = {kind: max(held[n * clients : (n + 1) * clients]) for n, kind in enumerate(kinds)}
    asks.sort()
    times = ", ".join(f"{seconds:.1f} s ({kind})" for kind, seconds in longest.items())
    say(
        f"{3 * clients:,} slow clients: held at most {times}; "
        f"meanwhile {record.tally['completed, acknowledged']:,} tasks done, p99 of an answer "
        f"{1e3 * asks[len(asks) * 99 // 100]:.0f} ms"
    )
    assert record.tally["completed, acknowledged"], "somebody else's work went on"
    assert not record.breaks, "no call of a Worker was cut"
    return longest
