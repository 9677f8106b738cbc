"""The Worker process: builds its slots and runs them until it is told to stop."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import structlog

from flamenco_core.statuses import WorkerStatus
from flamenco_core.wire.worker_api import Hardware
from flamenco_runtime.data_folder import held_folder
from flamenco_runtime.http_client import TIMEOUT
from flamenco_runtime.tls import trusting
from flamenco_worker.credentials import node_id
from flamenco_worker.finding import find_again
from flamenco_worker.joining import Introduction, join
from flamenco_worker.manager_link import ManagerLink
from flamenco_worker.outbox import open_outbox
from flamenco_worker.previews import PreviewQueue
from flamenco_worker.programs import Programs, find_programs
from flamenco_worker.registry import KnownCommand, load_commands
from flamenco_worker.session import Session
from flamenco_worker.settings import Settings
from flamenco_worker.task_runner import TaskRunner
from flamenco_worker.timing import Timing
from flamenco_worker.update_sender import UpdateSender

log = structlog.get_logger()


Finder = Callable[[aiohttp.ClientSession, Path], Awaitable[str]]
"""Finds a Manager; its second argument is the file that names the one that was found last time."""


@dataclass(frozen=True)
class Machine:
    """What the slots of one process share."""

    settings: Settings
    node: str
    hardware: Hardware
    commands: Mapping[str, KnownCommand]
    http: aiohttp.ClientSession
    timing: Timing
    environ: Mapping[str, str]


async def serve(
    settings: Settings,
    *,
    stop: asyncio.Event,
    ready: Callable[[str], None],
    timing: Timing | None = None,
    environ: Mapping[str, str] = os.environ,
    find: Finder = find_again,
) -> None:
    """Run all slots until ``stop`` is set, or until the Manager asked each to go offline.

    A Manager that the settings do not name is looked for in the network by ``find``, for as long as it takes.
    ``ready`` is called with the Manager's URL once every slot has signed on. Must run in the main thread: children get
    their parent-death signal when the thread that started them ends. Raises BadSettings, BadCertificate, DataInUse.
    """
    async with _machine(settings, timing or Timing(), environ) as machine:
        manager = settings.manager or await _found_manager(machine, find, stop)
        if manager is None:
            return
        programs = await find_programs(settings.blender, settings.ffmpeg, environ)
        counting = _Countdown(settings.slots, partial(ready, manager))
        slots = [
            asyncio.create_task(_run_slot(machine, manager, slot, programs, counting.one_more), name=f"slot-{slot}")
            for slot in range(settings.slots)
        ]
        await _until_stopped(slots, stop)


async def _found_manager(machine: Machine, find: Finder, stop: asyncio.Event) -> str | None:
    """Look for a Manager in the network; None if we are stopped before there is one."""
    looking = asyncio.ensure_future(find(machine.http, machine.settings.data / "manager-url"))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({looking, stopping}, return_when=asyncio.FIRST_COMPLETED)
        return looking.result() if looking.done() else None
    finally:
        for task in (looking, stopping):
            task.cancel()
        await asyncio.gather(looking, stopping, return_exceptions=True)


async def _until_stopped(slots: list["asyncio.Task[None]"], stop: asyncio.Event) -> None:
    """Wait for the slots, or until ``stop``; then end them, each cleaning up. Raises what a slot died of."""
    stopping = asyncio.create_task(stop.wait())
    running = set(slots)
    try:
        while running and not stopping.done():
            done, _ = await asyncio.wait({*running, stopping}, return_when=asyncio.FIRST_COMPLETED)
            for slot in running & done:
                running.discard(slot)
                slot.result()
    finally:
        for task in (*slots, stopping):
            task.cancel()
        await asyncio.gather(*slots, stopping, return_exceptions=True)


@asynccontextmanager
async def _machine(settings: Settings, timing: Timing, environ: Mapping[str, str]) -> AsyncIterator[Machine]:
    async with held_folder(settings.data, "Worker", mode=0o700):
        commands = await asyncio.to_thread(load_commands)
        node = await asyncio.to_thread(node_id, settings.data)
        hardware = await asyncio.to_thread(_hardware)
        tls = await asyncio.to_thread(trusting, settings.ca)
        connector = aiohttp.TCPConnector(limit=0, ssl=tls)  # each slot parks one or two long polls
        async with aiohttp.ClientSession(timeout=TIMEOUT, connector=connector) as http:
            yield Machine(settings, node, hardware, commands, http, timing, environ)


async def _run_slot(
    machine: Machine, manager: str, slot: int, programs: Programs, on_signed_on: Callable[[], None]
) -> None:
    """Run a slot; asked to restart, it looks for programs anew and joins again, and the other slots work on."""
    settings = machine.settings
    with structlog.contextvars.bound_contextvars(slot=slot):
        while await _run_session(machine, manager, slot, programs, on_signed_on) is WorkerStatus.RESTART:
            programs = await find_programs(settings.blender, settings.ffmpeg, machine.environ)


async def _run_session(
    machine: Machine, manager: str, slot: int, programs: Programs, on_signed_on: Callable[[], None]
) -> WorkerStatus:
    """Build one slot's parts, run its session, and leave properly however it ends."""
    settings, timing = machine.settings, machine.timing
    folder = settings.slot_folder(slot)
    link = ManagerLink(machine.http, manager)
    introduction = Introduction(
        settings.slot_name(slot), machine.node, slot, machine.hardware, programs, settings.token
    )
    async with open_outbox(folder / "outbox.sqlite") as outbox:
        sender = UpdateSender(link, outbox, timing)
        previews = PreviewQueue(link, folder / "preview.jpg")
        runner = TaskRunner(link, sender, previews, programs, machine.commands, timing)
        session = Session(
            partial(join, link, folder / "credentials.json", introduction, timing), link, sender, runner, timing
        )
        async with _beside(sender.run(), previews.run()):
            try:
                return await session.run(on_signed_on)
            finally:
                await session.leave()


@asynccontextmanager
async def _beside(*loops: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run endless loops while the context lasts; when one dies, the context is cancelled and raises."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(loop) for loop in loops]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()


@dataclass
class _Countdown:
    """Calls ``reached`` once, when so many were counted."""

    missing: int
    reached: Callable[[], None]

    def one_more(self) -> None:
        """Count one; those beyond the last do nothing."""
        self.missing -= 1
        if self.missing == 0:
            self.reached()


def _hardware() -> Hardware:
    return Hardware(cpu_count=os.cpu_count() or 0, memory_bytes=psutil.virtual_memory().total)
