"""Who one is, and how the web page is signed in: by a one-time link, never by a token in a URL."""

from aiohttp import web

from flamenco_core.wire.schema import rfc3339
from flamenco_runtime.clock import Clock
from flamenco_runtime.json_body import json_reply
from flamenco_server.accounts import (
    SESSION_LIFE,
    AccountStore,
    UnknownLink,
    make_sign_in_link,
    sign_in,
    sign_out,
)
from flamenco_server.http.access import SESSION_COOKIE, signed_in


def sign_in_routes(accounts: AccountStore, clock: Clock) -> list[web.RouteDef]:
    """List the routes."""

    async def me(request: web.Request) -> web.Response:
        caller = signed_in(request)
        return json_reply({"name": caller.name, "role": caller.role})

    async def make_link(request: web.Request) -> web.Response:
        code, expires_at = await make_sign_in_link(accounts, signed_in(request), now=clock())
        url = request.url.origin() / "sign-in" / code
        return json_reply({"url": str(url), "expires_at": rfc3339(expires_at)}, status=201)

    async def use_link(request: web.Request) -> web.Response:
        try:
            session = await sign_in(accounts, request.match_info["code"], now=clock())
        except UnknownLink:
            if "text/html" not in request.headers.get("Accept", ""):
                raise
            return web.Response(status=303, headers={"Location": "/?link=used"})  # a person sees a page, no document
        response = web.Response(status=303, headers={"Location": "/", "Referrer-Policy": "no-referrer"})
        response.set_cookie(
            SESSION_COOKIE, session, max_age=int(SESSION_LIFE.total_seconds()), httponly=True, samesite="Lax"
        )
        return response

    async def end_session(request: web.Request) -> web.Response:
        session = request.cookies.get(SESSION_COOKIE)
        if session is not None:
            await sign_out(accounts, session)
        response = web.Response(status=204)
        response.del_cookie(SESSION_COOKIE, httponly=True, samesite="Lax")
        return response

    return [
        web.get("/api/v1/me", me),
        web.post("/api/v1/sign-in-links", make_link),
        web.get("/sign-in/{code}", use_link, allow_head=False),
        web.post("/api/v1/sign-out", end_session),
    ]
