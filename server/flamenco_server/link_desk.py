"""Answers Managers that wait until a person has confirmed their code."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from flamenco_core.wire.linking import LinkAnswer, LinkStatus
from flamenco_runtime.clock import Clock
from flamenco_server.events import Change, EventBus
from flamenco_server.linking import MOST_GUESSES, MOST_REQUESTS, LinkRequest, LinkRequestStore, NoSuchLinkRequest

LONGEST_WAIT_S = 60
MOST_WAITING = 2 * MOST_REQUESTS
"""Calls that may wait; who comes beside them is answered at once. They carry no token, so anybody can make them."""

TOO_OLD = "The code is older than 10 minutes: ask for a new one."
GUESSED_AT = f"{MOST_GUESSES} wrong codes were typed, which ended all that were open: ask for a new one."
REFUSED = "A person refused to link this Manager."


class LinkDesk:
    """Tells what became of a request, as soon as something did."""

    def __init__(self, store: LinkRequestStore, bus: EventBus, clock: Clock) -> None:
        self._store = store
        self._bus = bus
        self._clock = clock
        self._waiting: set[asyncio.Event] = set()
        self._is_closed = False

    async def answer(self, request_id: str, wait_s: float) -> LinkAnswer:
        """Tell what became of a request, at once if something did, else within so many seconds.

        Raises NoSuchLinkRequest.
        """
        deadline = asyncio.get_running_loop().time() + wait_s
        with self._noticing(request_id) as changed:
            while True:
                changed.clear()
                answer = self._answer(await self._store.request(request_id))
                if answer.status != LinkStatus.WAITING or self._is_closed or len(self._waiting) > MOST_WAITING:
                    return answer
                try:
                    async with asyncio.timeout_at(deadline):
                        await changed.wait()
                except TimeoutError:
                    return answer

    def close(self) -> None:
        """Answer all that wait, now: the service stops."""
        self._is_closed = True
        for event in self._waiting:
            event.set()

    def _answer(self, request: LinkRequest | None) -> LinkAnswer:
        if request is None:
            raise NoSuchLinkRequest
        if request.status == LinkStatus.CONFIRMED:
            return LinkAnswer(
                request.status,
                manager=request.manager_id,
                name=request.manager_name,
                sealed_token=request.sealed_token,
            )
        if request.status == LinkStatus.REFUSED:
            return LinkAnswer(request.status, REFUSED)
        if request.status == LinkStatus.ENDED:
            return LinkAnswer(request.status, GUESSED_AT)
        if not request.is_open(self._clock()):
            return LinkAnswer(LinkStatus.ENDED, TOO_OLD)
        return LinkAnswer(LinkStatus.WAITING)

    @contextmanager
    def _noticing(self, request_id: str) -> Iterator[asyncio.Event]:
        """Yield an event that is set when something may have become of the request, or the service stops."""
        event = asyncio.Event()

        def notice(change: Change) -> None:
            if change.kind == "link" and change.id in (request_id, ""):
                event.set()

        self._waiting.add(event)
        try:
            with self._bus.listening(notice):
                yield event
        finally:
            self._waiting.discard(event)
