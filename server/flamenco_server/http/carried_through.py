"""A change that was begun is carried through, whether or not its client still listens."""

import asyncio

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from flamenco_server.http.access import SAFE_METHODS


def carried_through() -> Middleware:
    """Make the middleware that lets requests which change something run to their end.

    aiohttp cancels a handler whose connection breaks, as long polls and event streams need. But what is stored must be
    told as well: to the compiler, to Managers that wait, to those who look.
    """
    running: set[asyncio.Task[web.StreamResponse]] = set()

    @web.middleware
    async def carry(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.method in SAFE_METHODS:
            return await handler(request)

        async def handle() -> web.StreamResponse:
            return await handler(request)

        task = asyncio.create_task(handle())
        running.add(task)
        task.add_done_callback(running.discard)
        return await asyncio.shield(task)

    return carry
