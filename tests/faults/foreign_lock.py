"""Another program that locks an SQLite file, as somebody's database browser does."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

_PROGRAM = """
import sys, apsw
connection = apsw.Connection(sys.argv[1])
connection.set_busy_timeout(30_000)
for statement in sys.argv[2:]:
    connection.execute(statement).fetchall()
print("locked", flush=True)
sys.stdin.read()
"""
EXCLUSIVE = ("BEGIN EXCLUSIVE",)
WHOLLY = ("PRAGMA locking_mode = EXCLUSIVE", "BEGIN EXCLUSIVE")
"""Not even readers get in."""


@asynccontextmanager
async def locked(file: Path, statements: tuple[str, ...] = EXCLUSIVE) -> AsyncIterator[None]:
    """Lock a file while the context lasts, from a process of its own."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _PROGRAM, str(file), *statements, stdin=pipe, stdout=pipe
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            assert await process.stdout.readline() == b"locked\n"
        yield
    finally:
        process.stdin.close()
        await process.wait()
