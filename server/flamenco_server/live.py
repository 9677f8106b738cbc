"""Live events for people: what changed, as its present state, a few times a second (quality.md 2.5).

Changes are gathered for a moment, looked up once and encoded once; every viewer gets the same bytes. A viewer that
cannot keep up is told to fetch everything again; it never holds a queue of the past.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import orjson

from flamenco_runtime.clock import Clock
from flamenco_server.documents import Document
from flamenco_server.events import Change, EventBus
from flamenco_server.reading import FarmView

GATHER_S = 0.25
"""For how long changes of one object become one event."""
HEARTBEAT_S = 15.0
MOST_PENDING = 2_000
"""Objects that a slow viewer may be behind by."""
HEARTBEAT = b": still here\n\n"
RETRY = b"retry: 2000\n"
"""Milliseconds until a browser connects again."""

_PER_JOB = frozenset({"task", "frame"})
_UNSEEN = frozenset({"order", "answer", "link"})
"""What concerns programs, or is told of by what it leads to."""
_TOLD_WHEN_GONE = frozenset({"job", "worker"})
"""What stands in lists of its own, and can be removed for good."""


@dataclass(eq=False)
class Viewer:
    """Somebody who looks: at the whole farm, and at the tasks and frames of ``job``, None: of no job."""

    job: str | None
    pending: dict[Change, bytes] = field(default_factory=dict)
    filled: asyncio.Event = field(default_factory=asyncio.Event)

    def wants(self, change: Change) -> bool:
        """Tell whether this is shown to them."""
        if change.kind in _PER_JOB:
            return self.job is not None and change.job == self.job
        return True

    def put(self, change: Change, event: bytes, resync: bytes) -> None:
        """Add an event, in place of an older one of the same object."""
        self.pending.pop(change, None)
        self.pending[change] = event
        if len(self.pending) > MOST_PENDING:
            self.pending = {Change("job", ""): resync}
        self.filled.set()

    def take(self) -> bytes:
        """Return what waits, oldest first."""
        events, self.pending = b"".join(self.pending.values()), {}
        self.filled.clear()
        return events


class LiveEvents:
    """Turns changes on the bus into events for viewers."""

    def __init__(self, view: FarmView, bus: EventBus, clock: Clock) -> None:
        self._view = view
        self._bus = bus
        self._clock = clock
        self._viewers: set[Viewer] = set()
        self._changed: dict[Change, None] = {}
        self._something_changed = asyncio.Event()
        self._is_closed = False
        self._number = int(clock().timestamp() * 1000)
        """The last change's number: rises, also from one start of the Server to the next."""

    async def run(self) -> None:
        """Send what changes to those who look, for as long as this runs."""
        with self._bus.listening(self._note):
            while True:
                await self._something_changed.wait()
                await asyncio.sleep(GATHER_S)
                await self._send()

    def close(self) -> None:
        """End all streams: the service stops."""
        self._is_closed = True
        for viewer in self._viewers:
            viewer.filled.set()

    async def stream(self, job: str | None, last_event_id: str | None) -> AsyncIterator[bytes]:
        """Yield server-sent events for as long as somebody reads them.

        Who comes back and has missed something is told so by a ``resync``.
        """
        with self._viewing(job) as viewer:
            yield b"%sid: %d\n\n" % (RETRY, self._number)  # so that one who sees no event knows, too, where he was
            if last_event_id not in (None, str(self._number)):
                yield self._resync()
            while not self._is_closed:
                try:
                    async with asyncio.timeout(HEARTBEAT_S):
                        await viewer.filled.wait()
                except TimeoutError:
                    yield HEARTBEAT
                if events := viewer.take():
                    yield events

    @contextmanager
    def _viewing(self, job: str | None) -> Iterator[Viewer]:
        viewer = Viewer(job)
        self._viewers.add(viewer)
        try:
            yield viewer
        finally:
            self._viewers.discard(viewer)

    def _note(self, change: Change) -> None:
        if change.kind in _UNSEEN:
            return
        if any(viewer.wants(change) for viewer in self._viewers):
            self._changed[change] = None
            self._something_changed.set()
        else:
            self._number += 1  # nobody gets it: whoever comes back has missed it

    async def _send(self) -> None:
        self._something_changed.clear()
        changed, self._changed = list(self._changed), {}
        async for change, document in self._present(changed):
            self._number += 1
            event = _event("gone" if "gone" in document else change.kind, self._number, document)
            for viewer in self._viewers:
                if viewer.wants(change):
                    viewer.put(change, event, self._resync())

    async def _present(self, changes: Iterable[Change]) -> AsyncIterator[tuple[Change, Document]]:
        """Look up what changed. A job or Worker that is not there any more is ``gone``; anything else is left out."""
        groups: dict[tuple[str, str | None], dict[str, Change]] = defaultdict(dict)
        for each in changes:
            groups[each.kind, each.job if each.kind == "frame" else None][each.id] = each
        for (kind, job), wanted in groups.items():
            key = "frame" if kind == "frame" else "id"
            for document in await self._documents(kind, job, wanted):
                change = wanted.pop(str(document[key]), None)
                if change is not None:
                    yield change, document
            for change in wanted.values() if kind in _TOLD_WHEN_GONE else ():
                yield change, {"gone": kind, "id": change.id}

    async def _documents(self, kind: str, job: str | None, wanted: Iterable[str]) -> Iterable[Document]:
        ids = list(wanted)
        lookups: dict[str, Callable[[], Awaitable[Iterable[Document]]]] = {
            "job": lambda: self._view.jobs_now(ids),
            "task": lambda: self._view.tasks_now(ids),
            "frame": lambda: self._view.frames_now(str(job), [int(frame) for frame in ids]),
            "worker": self._view.workers_now,
            "manager": self._view.managers_now,
        }
        return await lookups[kind]()

    def _resync(self) -> bytes:
        return _event("resync", self._number, {})


def _event(kind: str, number: int, document: Document) -> bytes:
    return b"event: %s\nid: %d\ndata: %s\n\n" % (kind.encode(), number, orjson.dumps(document))


class ManagerWatch:
    """Tells when a Manager goes away or comes back: nobody reports that, only time does."""

    def __init__(self, view: FarmView, bus: EventBus) -> None:
        self._view = view
        self._bus = bus
        self._away: dict[str, bool] = {}

    async def run(self) -> None:
        """Look now and then, for as long as this runs."""
        while True:
            await self.look()
            await asyncio.sleep(HEARTBEAT_S)

    async def look(self) -> None:
        """Publish each Manager that went away or came back since the last look."""
        now = {document["id"]: document["away"] for document in await self._view.managers_now()}
        self._bus.publish(
            [Change("manager", manager) for manager, away in now.items() if away != self._away.get(manager)]
        )
        self._away = now
