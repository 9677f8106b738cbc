"""Getting a token from a Server that does not know this Manager yet: a code is shown, and a person confirms it.

The key pair lives in memory only and for one code only. Whoever else fetches the answer cannot read the token in it.
"""

import platform
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import structlog

from flamenco_core import VERSION
from flamenco_core.errors import NotFound, NotSignedIn, Unavailable
from flamenco_core.wire.linking import (
    LINK_PATH,
    LinkAnswer,
    LinkAnswerSchema,
    LinkOffer,
    LinkOfferSchema,
    LinkStatus,
    LinkWish,
    LinkWishSchema,
    fingerprint,
)
from flamenco_runtime.http_client import pauses, send
from flamenco_runtime.json_body import load_json
from flamenco_runtime.sealing import KeyPair, link_purpose

log = structlog.get_logger()

POLL_WAIT_S = 30

_WISH = LinkWishSchema()
_OFFER = LinkOfferSchema()
_ANSWER = LinkAnswerSchema()


@dataclass(frozen=True)
class Invitation:
    """What a person needs to link this Manager: the code, and the page where to type it.

    The page shows ``key``, too: then nobody came in between.
    """

    code: str
    page: str
    key: str
    lives_s: int


class LinkRefused(NotSignedIn):
    """A person looked at what this Manager is, and did not want it."""

    type = "link-refused"

    def __init__(self, server: str) -> None:
        super().__init__(
            f"The Server {server} does not link this Manager: a person refused it. Ask an admin of that farm, then "
            "start it again."
        )


class NoPairing(NotFound):
    """Something answers at the URL that does not link Managers."""

    type = "no-pairing"

    def __init__(self, server: str) -> None:
        super().__init__(f"{server} does not link Managers. Is that the URL of a Flamenco Server?")


class Pairing:
    """Asks one Server for a token until it gets one."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        server: str,
        name: str,
        show: Callable[[Invitation], None],
        sleep: Callable[[float], Any],
    ) -> None:
        self._session = session
        self._server = server.rstrip("/")
        self._name = name
        self._show = show
        self._sleep = sleep

    async def token(self) -> str:
        """Show codes until one is confirmed; returns the token. Raises LinkRefused, NoPairing, BadInput."""
        while True:
            key = KeyPair()
            offer = await self._offer(key)
            self._show(
                Invitation(
                    code=offer.code,
                    page=self._server + offer.confirm_at,
                    key=fingerprint(key.public_key),
                    lives_s=offer.expires_in_s,
                )
            )
            answer = await self._decision(offer)
            if answer.status == LinkStatus.CONFIRMED and answer.sealed_token is not None:
                log.info("linked by a person", server=self._server, name=answer.name)
                return key.opened(answer.sealed_token, link_purpose(offer.id))
            if answer.status == LinkStatus.REFUSED:
                raise LinkRefused(self._server)
            log.info("the code is over", why=answer.why)

    async def _offer(self, key: KeyPair) -> LinkOffer:
        wish = LinkWish(
            name=self._name,
            public_key=key.public_key,
            software=f"Flamenco {VERSION}",
            platform=platform.system().lower(),
        )
        for pause_s in pauses(1.0):
            try:
                reply = await send(self._session, "POST", self._server + LINK_PATH, document=_WISH.dump(wish))
            except Unavailable as error:
                log.warning("no code from the Server yet; trying again", error=str(error))
                await self._sleep(pause_s)
            except NotFound as error:
                raise NoPairing(self._server) from error
            else:
                offer: LinkOffer = load_json(_OFFER, reply.body)
                return offer
        raise AssertionError("pauses never end")

    async def _decision(self, offer: LinkOffer) -> LinkAnswer:
        tries = pauses()
        while True:
            try:
                reply = await send(self._session, "GET", f"{self._server}{offer.poll}?wait={POLL_WAIT_S}")
            except Unavailable as error:  # the code is still good once the Server is back
                log.warning("the Server cannot be asked about the code; trying again", error=str(error))
                await self._sleep(next(tries))
                continue
            except NotFound as error:
                return LinkAnswer(LinkStatus.ENDED, str(error))
            tries = pauses()
            answer: LinkAnswer = load_json(_ANSWER, reply.body)
            if answer.status != LinkStatus.WAITING:
                return answer
