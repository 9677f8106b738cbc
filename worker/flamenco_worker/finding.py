"""Finding a Manager in the network, for a Worker that was not told where it is."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import aiohttp
import structlog

from flamenco_core.errors import FlamencoError
from flamenco_runtime.http_client import send
from flamenco_runtime.network import Interface, own_interfaces
from flamenco_worker.mdns_search import search_by_mdns
from flamenco_worker.ssdp_search import search_by_ssdp

log = structlog.get_logger()

LOCAL_MANAGER = "http://127.0.0.1:8080"
"""Where a Manager of this machine listens by default; it is not announced, as others cannot reach it."""
MDNS_ALONE_S = 1.0
"""So long SSDP waits: what answers there may be Flamenco 3's."""
SAY_SO_AFTER_S = 5.0
"""After so long without a Manager we say what to do."""
SAY_SO_EVERY_S = 60.0
ASK_KNOWN_EVERY_S = 5.0
ANSWER_WITHIN_S = 5.0

Found = Callable[[str], None]
Search = Callable[[Sequence[Interface], Found], Awaitable[None]]
"""Calls its second argument with URLs of Managers, for ever."""


class ManagerFinder:
    """Looks everywhere at once, and takes the first Manager that answers.

    ``known``: where one may be, whether it is announced or not; asked first, and again and again. Searches by mDNS and
    SSDP can be replaced, for tests.
    """

    def __init__(
        self,
        http: aiohttp.ClientSession,
        known: Sequence[str] = (LOCAL_MANAGER,),
        *,
        by_mdns: Search = search_by_mdns,
        by_ssdp: Search = search_by_ssdp,
        interfaces: Callable[[], Sequence[Interface]] = own_interfaces,
        say_so_after_s: float = SAY_SO_AFTER_S,
    ) -> None:
        self._http = http
        self._known = known
        self._searches = {"mDNS": by_mdns, "SSDP": by_ssdp}
        self._interfaces = interfaces
        self._say_so_after_s = say_so_after_s
        self._asked: dict[str, asyncio.Task[None]] = {}

    async def find(self) -> str:
        """Return the URL of a Manager that answers; looks for as long as it takes."""
        found: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        log.info("looking for a Manager in the network")
        looking = [
            asyncio.create_task(work)
            for work in (
                self._ask_known(found),
                self._search("mDNS", found, after_s=0),
                self._search("SSDP", found, after_s=MDNS_ALONE_S),
                self._say_what_to_do(),
            )
        ]
        try:
            return await found
        finally:
            for task in (*looking, *self._asked.values()):
                task.cancel()
            await asyncio.gather(*looking, *self._asked.values(), return_exceptions=True)

    async def answers(self, url: str) -> bool:
        """Tell whether a Manager answers there, within a few seconds."""
        found: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        await self._check(url, "last time", found)
        return found.done()

    async def _ask_known(self, found: "asyncio.Future[str]") -> None:
        while True:
            for url in self._known:
                self._ask(url, "known", found)
            await asyncio.sleep(ASK_KNOWN_EVERY_S)

    async def _search(self, way: str, found: "asyncio.Future[str]", *, after_s: float) -> None:
        """Search in one way; when the network does not let us, wait for a better one."""
        await asyncio.sleep(after_s)
        while True:
            try:
                interfaces = await asyncio.to_thread(self._interfaces)
                if interfaces:
                    await self._searches[way](interfaces, lambda url: self._ask(url, way, found))
            except OSError as error:
                log.debug("cannot look for a Manager", by=way, error=str(error))
            await asyncio.sleep(ASK_KNOWN_EVERY_S)

    def _ask(self, url: str, way: str, found: "asyncio.Future[str]") -> None:
        """See whether a Manager answers there, unless we are about to find out."""
        if url not in self._asked or self._asked[url].done():
            self._asked[url] = asyncio.create_task(self._check(url, way, found))

    async def _check(self, url: str, way: str, found: "asyncio.Future[str]") -> None:
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                answer = (await send(self._http, "GET", f"{url}/api/v3/version")).json()
        except (FlamencoError, TimeoutError) as error:
            log.debug("no Manager there", url=url, by=way, why=str(error) or "no answer in time")
            return
        if not isinstance(answer, dict) or not all(isinstance(answer.get(key), str) for key in ("version", "name")):
            log.debug("no Manager there", url=url, by=way, why="its version is no version of a Manager")
            return
        if not found.done():
            log.info("found a Manager", url=url, by=way, name=answer["name"][:100], version=answer["version"][:100])
            found.set_result(url)

    async def _say_what_to_do(self) -> None:
        await asyncio.sleep(self._say_so_after_s)
        while True:
            log.warning(
                "no Manager found so far; still looking",
                what_to_do="start one that listens to the network ('flamenco manager --listen 0.0.0.0:8080'), or say "
                "where it is: 'flamenco worker --manager http://HOST:8080'",
            )
            await asyncio.sleep(SAY_SO_EVERY_S)


async def find_again(http: aiohttp.ClientSession, kept: Path, *, local: str = LOCAL_MANAGER) -> str:
    """Find a Manager, first of all the one that was found last time; ``kept`` is the file that names it."""
    last = await asyncio.to_thread(_last_found, kept)
    finder = ManagerFinder(http, [*last, local])
    url = last[0] if last and await finder.answers(last[0]) else await finder.find()
    await asyncio.to_thread(partial(kept.write_text, url, encoding="utf-8"))
    return url


def _last_found(kept: Path) -> list[str]:
    with suppress(OSError, UnicodeDecodeError):
        text = kept.read_text(encoding="utf-8").strip()
        if text.startswith(("http://", "https://")):
            return [text]
    return []
