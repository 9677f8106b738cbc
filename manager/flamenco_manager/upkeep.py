"""``flamenco manager check``, ``repair``, ``backup`` and ``restore``, of a Manager that runs or of one that does not.

A composition root, as ``app`` is one: what runs is asked over its control socket, what does not is opened here, while
its data folder is held.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import apsw
import orjson
import structlog

from flamenco_core.errors import BadInput, Conflict, Unavailable
from flamenco_manager.audit import Audit
from flamenco_manager.backing_up import RunningUpkeep
from flamenco_manager.checking import Finding
from flamenco_manager.foreman import Foreman
from flamenco_manager.http.control import control_app
from flamenco_manager.long_work import OnProgress, Tell, telling
from flamenco_manager.stores import mending, store_files
from flamenco_manager.stores.audit_store import AuditStore
from flamenco_manager.stores.store_files import Contents
from flamenco_runtime.clock import Clock, utc_now
from flamenco_runtime.control_socket import NobodyThere, calling, serving_on
from flamenco_runtime.data_folder import DataInUse, held_folder
from flamenco_runtime.journal import Journal
from flamenco_runtime.migrations import BACKUPS
from flamenco_runtime.store_copies import copy_store

CONTROL = "control.sock"
Document = Mapping[str, Any]

log = structlog.get_logger()


class ManagerRuns(Conflict):
    """What was asked needs the store for itself."""

    type = "manager-runs"


class BadTarget(BadInput):
    """A backup would take the place of something that is needed."""

    type = "bad-target"


class Refused(Unavailable):
    """The running Manager could not do what was asked; the message is its own."""

    type = "refused"


@dataclass(frozen=True)
class Plan:
    """What would be put back: what the file holds, and what the store that is there now holds, if there is one."""

    new: Contents
    present: Contents | None


@asynccontextmanager
async def controlled(data: Path, foreman: Foreman, journal: Journal) -> AsyncIterator[None]:
    """Let commands on this machine check and back up a running Manager, while the context lasts."""
    store = data / store_files.STORE
    upkeep = RunningUpkeep(Audit(foreman, AuditStore(journal, store)), partial(copied, store))
    async with AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(serving_on(control_app(upkeep), data / CONTROL))
        except (OSError, AttributeError) as error:  # a file system, or a system, without socket files
            log.warning(
                "no control socket: only a Manager that is stopped can be checked and backed up", why=str(error)
            )
        yield


async def check(data: Path, tell: Tell) -> Document:
    """Check a Manager. Raises NoStore, OlderSchema, NewerStore, NotAStore, NobodyThere, Refused."""
    try:
        async with _held(data):
            store = await asyncio.to_thread(store_files.store_of, data)
            held = await asyncio.to_thread(store_files.contents, store)
            findings = await telling("Reading what is stored", tell, lambda tell: _checked(store, tell))
    except DataInUse:
        return await _asked(data, "check", {}, tell)
    return {
        "is_sound": not findings,
        "findings": [finding.document() for finding in findings],
        **{name: getattr(held, name) for name in ("jobs", "tasks", "workers")},
        "unsettled": 0,
    }


async def plan_repair(data: Path, tell: Tell) -> Sequence[Finding]:
    """Return what is wrong with the store of a Manager that does not run. Raises ManagerRuns, and as ``check``."""
    await _check_there_is_one(data)
    async with _ours(data):
        store = await asyncio.to_thread(store_files.store_of, data)
        return await telling("Reading what is stored", tell, lambda tell: _checked(store, tell))


async def repair(data: Path, tell: Tell, clock: Clock = utc_now) -> tuple[Sequence[Finding], Path]:
    """Mend what can be mended; returns what that was, and where the store is as it was before.

    Raises ManagerRuns, CopyFailed, DamagedStore, NotMended, and as ``check``.
    """
    await _check_there_is_one(data)
    async with _ours(data):
        store = await asyncio.to_thread(store_files.store_of, data)
        backup = data / BACKUPS / f"manager-before-repair-{clock():%Y%m%dT%H%M%SZ}.sqlite"
        await telling("Copying the store", tell, lambda tell: copy_store(store, backup, tell))
        return await telling("Mending", tell, lambda _: mending.mend(store)), backup


async def back_up(data: Path, target: Path, tell: Tell) -> Document:
    """Copy the store of a Manager, running or not, into a file (its whole path); returns what that holds.

    A backup that is there already under this name is replaced. Raises BadTarget, NoStore, CopyFailed, DamagedStore,
    NobodyThere, Refused.
    """
    await asyncio.to_thread(_check_target, data / store_files.STORE, target)
    try:
        async with _held(data):
            store = await asyncio.to_thread(store_files.store_of, data)
            return await telling("Copying the store", tell, lambda tell: copied(store, target, tell))
    except DataInUse:
        return await _asked(data, "backup", {"target": str(target)}, tell)


def _check_target(store: Path, target: Path) -> None:
    """See that a backup replaces nothing but an older one. Raises BadTarget."""
    folder = target.parent.resolve()
    if folder == store.parent.resolve() and target.name.startswith(store.name):  # also what SQLite keeps beside it
        raise BadTarget(f"{target} is the Manager's own: choose another file for the backup.")
    if not target.exists():
        return
    try:
        store_files.contents(target)
    except (store_files.NotAStore, OSError) as error:
        raise BadTarget(f"{target} is there, and no backup of a Manager: choose another file.") from error
    if store.exists() and target.samefile(store):
        raise BadTarget(f"{target} is the Manager's own: choose another file for the backup.")


def copied(store: Path, target: Path, on_progress: OnProgress) -> Document:
    """Copy a store into a file and look into that; blocks."""
    copy_store(store, target, on_progress)
    return {"file": str(target), **store_files.contents(target).document()}


async def plan_restore(data: Path, file: Path) -> Plan:
    """Say what would be put back, and in whose place. Raises ManagerRuns, NotAStore, NewerStore, OSError."""
    async with _ours(data):
        new = await asyncio.to_thread(store_files.contents, file)
        present = data / store_files.STORE
        try:
            return Plan(new, await asyncio.to_thread(store_files.contents, present) if present.exists() else None)
        except store_files.NotAStore:  # a damaged one is what backups are for
            return Plan(new, Contents(0, 0, 0, 0, present.stat().st_size))


async def restore(data: Path, file: Path, tell: Tell, clock: Clock = utc_now) -> Path | None:
    """Put a backup back; returns where the store is that was there. Raises as ``plan_restore``, and CopyFailed."""
    async with _ours(data):
        return await telling("Copying the backup", tell, lambda tell: store_files.put_back(file, data, clock(), tell))


def _checked(store: Path, on_progress: OnProgress) -> Sequence[Finding]:
    try:
        return mending.check_stopped(store, on_progress)
    except apsw.Error as error:
        raise store_files.NotAStore(f"{store} cannot be read: {error}.") from error


@asynccontextmanager
async def _held(data: Path) -> AsyncIterator[None]:
    """Hold the data folder of a Manager that does not run. Raises NoStore, DataInUse."""
    await _check_there_is_one(data)
    async with held_folder(data, "Manager"):
        yield


@asynccontextmanager
async def _ours(data: Path) -> AsyncIterator[None]:
    try:
        async with held_folder(data, "Manager"):
            yield
    except DataInUse as error:
        raise ManagerRuns(f"A Manager uses {data}: stop it first.") from error


async def _check_there_is_one(data: Path) -> None:
    if not await asyncio.to_thread((data / store_files.STORE).exists):
        raise store_files.NoStore(f"There is no Manager's store in {data}.")


async def _asked(data: Path, call: str, body: Document, tell: Tell) -> Document:
    """Ask the running Manager, and pass on how far it has come. Raises NobodyThere, Refused."""
    try:
        async with calling(data / CONTROL) as session, session.post(f"http://manager/{call}", json=body) as response:
            async for line in response.content:
                said = orjson.loads(line)
                if "doing" in said:
                    await tell(said["doing"], said["share"])
                elif "done" in said:
                    done: Document = said["done"]
                    return done
                else:
                    raise Refused(said["problem"]["detail"] if "problem" in said else said["detail"])
    except NobodyThere as error:
        raise NobodyThere(
            f"A Manager uses {data}, and does not answer: it is starting, stopping, or waits for room on its disk."
        ) from error
    raise NobodyThere(f"The Manager that uses {data} ended before it had answered.")
