"""Runs a Worker as a process of its own: ``python worker_process.py MANAGER DATA BLENDER``."""

import asyncio
import sys
from pathlib import Path

from flamenco_runtime.service import stop_on_signals
from flamenco_worker.app import serve
from flamenco_worker.settings import Settings


async def main(manager: str, data: str, blender: str) -> None:
    settings = Settings(manager=manager, data=Path(data), name="node", blender=blender)
    with stop_on_signals() as stop:
        await serve(settings, stop=stop, ready=print)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
