"""Letting Workers find this Manager in their network, for as long as it runs, whatever becomes of the network."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import structlog

from flamenco_manager.mdns import announced_by_mdns
from flamenco_manager.ssdp import GROUP, Place, announced_by_ssdp
from flamenco_runtime.clock import Clock, utc_now
from flamenco_runtime.network import Interface, interfaces_of
from flamenco_runtime.settings import Address

log = structlog.get_logger()

WAYS = {"both": ("mdns", "ssdp"), "mdns": ("mdns",), "ssdp": ("ssdp",), "off": ()}
"""The setting ``discovery``, and what is done for it."""
LOOK_EVERY_S = 30.0
"""How soon a change of this machine's addresses is noticed."""

Interfaces = Callable[[], list[Interface]]
"""Returns the addresses under which others reach the Manager; may block, and raises OSError."""


@asynccontextmanager
async def announced(
    name: str,
    address: Address,
    discovery: str,
    *,
    hosts: Callable[[], Sequence[str]] = tuple,
    interfaces: Interfaces | None = None,
    clock: Clock = utc_now,
    group: tuple[str, int] = GROUP,
    look_every_s: float = LOOK_EVERY_S,
) -> AsyncIterator[None]:
    """Announce a Manager that listens on ``address`` while the context lasts; not if that is loopback.

    ``discovery`` is one of ``WAYS``; ``hosts`` returns names of this machine that its certificate holds. What goes
    wrong is logged, and tried again when the addresses have changed: a Manager that cannot be found by itself still
    serves whoever knows it.
    """
    announcing = _Announcing(name, address, hosts, WAYS[discovery], clock, group)
    look = interfaces or partial(interfaces_of, address.host)
    running = asyncio.create_task(announcing.run(look, look_every_s)) if WAYS[discovery] else None
    try:
        yield
    finally:
        if running is not None:
            running.cancel()
            await asyncio.wait({running})


class _Announcing:
    def __init__(
        self,
        name: str,
        address: Address,
        hosts: Callable[[], Sequence[str]],
        ways: tuple[str, ...],
        clock: Clock,
        group: tuple[str, int],
    ) -> None:
        self._name = name
        self._address = address
        self._hosts = hosts
        self._ways = ways
        self._clock = clock
        self._group = group

    async def run(self, look: Interfaces, look_every_s: float) -> None:
        """Announce what there is, and anew when the addresses change; for ever."""
        current = await _looked(look)
        while True:
            now = current
            try:
                async with AsyncExitStack() as stack:
                    if current:
                        place = Place(current, self._address.port, self._address.scheme, self._hosts())
                        await self._begin(stack, place)
                    while now == current:
                        await asyncio.sleep(look_every_s)
                        now = await _looked(look)
            except OSError as error:  # the network went away while we said goodbye to it
                log.info("the announcement could not be taken back", error=str(error))
            current = now

    async def _begin(self, stack: AsyncExitStack, place: Place) -> None:
        contexts = {
            "mdns": partial(announced_by_mdns, self._name, place),
            "ssdp": partial(announced_by_ssdp, place, self._clock, group=self._group),
        }
        for way in self._ways:
            try:
                await stack.enter_async_context(contexts[way]())
            except OSError as error:
                log.warning("Workers cannot find this Manager by themselves", by=way, error=str(error))
            else:
                log.info("Workers can find this Manager", by=way, urls=place.urls())


async def _looked(look: Interfaces) -> list[Interface]:
    with contextlib.suppress(OSError):
        return await asyncio.to_thread(look)
    return []
