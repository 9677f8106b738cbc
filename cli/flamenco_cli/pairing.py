"""``flamenco manager`` without a token: the code that links it, for the person at the terminal and for the log."""

import asyncio
from datetime import datetime, timedelta
from pathlib import Path

import aiohttp
import structlog

from flamenco_cli.terminal import say
from flamenco_manager.link_file import token_for
from flamenco_manager.pairing import Invitation, Pairing
from flamenco_runtime.data_folder import held_folder
from flamenco_runtime.http_client import TIMEOUT
from flamenco_runtime.service import stop_on_signals
from flamenco_runtime.tls import trusting

log = structlog.get_logger()


async def paired(server: str, name: str, data: Path, ca: Path | None, *, quiet: bool) -> str | None:
    """Show codes until a person has confirmed one, and keep the token; returns None when we are stopped first.

    ``ca``: the only authority that is trusted for the Server. ``quiet``: the log is all that is written. Raises
    BadCertificate, DataInUse, LinkRefused, NoPairing.
    """

    def show(invitation: Invitation) -> None:
        log.info(
            "a person must link this Manager",
            code=invitation.code,
            page=invitation.page,
            key=invitation.key,
            code_lives_s=invitation.lives_s,
        )
        if not quiet:
            say(_invitation(invitation, server, datetime.now().astimezone()))

    with stop_on_signals() as stop:
        connector = aiohttp.TCPConnector(ssl=trusting(ca))
        async with (
            held_folder(data, "Manager"),
            aiohttp.ClientSession(timeout=TIMEOUT, connector=connector) as session,
        ):
            waiting = asyncio.create_task(Pairing(session, server, name, show, asyncio.sleep).token())
            stopped = asyncio.create_task(stop.wait())
            await asyncio.wait({waiting, stopped}, return_when=asyncio.FIRST_COMPLETED)
            stopped.cancel()
            if not waiting.done():
                waiting.cancel()
                await asyncio.wait({waiting})
                return None
            return await asyncio.to_thread(token_for, data / "link.json", server, waiting.result())


def _invitation(invitation: Invitation, server: str, now: datetime) -> str:
    minutes = invitation.lives_s // 60
    until = now + timedelta(seconds=invitation.lives_s)
    return (
        f"\nThis Manager is not linked to the Server {server} yet. An admin of that farm links it with this code:\n\n"
        f"    {invitation.code}\n\n"
        f"on the page   {invitation.page}\n"
        f"or by typing  flamenco server link {invitation.code}\n\n"
        f"The code lives {minutes} minutes, until {until:%H:%M}; then there is a new one. Compare the key that is "
        f"shown there: {invitation.key}\n"
    )
