"""``flamenco manager`` as a real process that is started, killed and stopped again and again on one data folder.

It is forked from a process that has imported everything, so that a start costs a tenth of a second.
"""

import asyncio
import contextlib
import multiprocessing
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path

from fake_server import TOKEN

DEADLINE_S = 60.0
_LOOK_S = 0.005

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["flamenco_cli.main", "flamenco_cli.commands.services", "flamenco_manager.app"])


class ManagerProcess:
    """The process and where it answers; another port after each start."""

    def __init__(self, data: Path, server_url: str, settings: Mapping[str, object]) -> None:
        self.data = data
        self.host, self.port = "127.0.0.1", 0
        self.starts = 0
        self.log = data.with_suffix(".log")
        self._ready = data.with_suffix(".ready")
        self._process: BaseProcess | None = None
        self._environment = {
            "FLAMENCO_MANAGER_TOKEN": TOKEN,
            "FLAMENCO_MANAGER_SERVER": server_url,
            "FLAMENCO_MANAGER_DATA": str(data),
            "FLAMENCO_MANAGER_LISTEN": "127.0.0.1:0",
            "FLAMENCO_MANAGER_DISCOVERY": "off",
            **{f"FLAMENCO_MANAGER_{name.upper()}": str(value) for name, value in settings.items()},
        }

    @property
    def pid(self) -> int:
        """Its number, for the system."""
        assert self._process is not None
        assert self._process.pid is not None
        return self._process.pid

    def begin(self) -> None:
        """Start it, and do not wait until it answers."""
        assert self._process is None
        self._ready.unlink(missing_ok=True)
        self.starts += 1
        arguments = (self._environment, str(self._ready), str(self.log))
        self._process = _CONTEXT.Process(target=_run, args=arguments, daemon=True)
        self._process.start()

    async def until_ready(self) -> None:
        """Wait until it answers."""
        async with asyncio.timeout(DEADLINE_S):
            while not (line := self._said()).endswith("\n"):
                assert self._process is not None
                assert self._process.is_alive(), self.log.read_text()[-4000:]
                await asyncio.sleep(_LOOK_S)
        self.port = int(line.rsplit(":", 1)[1])

    async def start(self) -> None:
        """Start it and wait until it answers."""
        self.begin()
        await self.until_ready()

    async def kill(self) -> None:
        """``kill -9``, also if it is suspended."""
        with contextlib.suppress(ProcessLookupError):  # it has ended by itself
            os.kill(self.pid, signal.SIGKILL)
        await self.ended()

    async def stop(self) -> int:
        """Stop it as Ctrl-C does; returns its exit status."""
        os.kill(self.pid, signal.SIGTERM)
        return await self.ended()

    async def ended(self) -> int:
        """Wait until it has ended; returns its exit status."""
        process = self._process
        assert process is not None
        await asyncio.to_thread(process.join, DEADLINE_S)
        status = process.exitcode
        assert status is not None, "it does not end"
        self._process, self.port = None, 0
        process.close()
        return status

    def suspend(self) -> None:
        """Let it stand still where it is."""
        os.kill(self.pid, signal.SIGSTOP)

    def wake(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)

    @property
    def is_alive(self) -> bool:
        """It runs."""
        return self._process is not None and self._process.is_alive()

    def _said(self) -> str:
        try:
            return self._ready.read_text()
        except FileNotFoundError:
            return ""


@asynccontextmanager
async def manager_process(data: Path, server_url: str, **settings: object) -> AsyncIterator[ManagerProcess]:
    """Yield a Manager that is not started yet; it is killed at the end, if it still runs then."""
    manager = ManagerProcess(data, server_url, settings)
    try:
        yield manager
    finally:
        if manager._process is not None:
            await manager.kill()


def _run(environment: dict[str, str], ready: str, log: str) -> None:
    """Be ``flamenco manager``, in a process of its own."""
    for path, descriptor, flags in ((ready, 1, os.O_TRUNC), (log, 2, os.O_APPEND)):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | flags)
        os.dup2(file, descriptor)
    sys.stdout = os.fdopen(1, "w", buffering=1)
    sys.stderr = os.fdopen(2, "w", buffering=1)
    for name in [name for name in os.environ if name.startswith("FLAMENCO_")]:
        del os.environ[name]
    os.environ.update(environment)
    sys.argv = ["flamenco", "manager"]
    from flamenco_cli.main import main

    main()
