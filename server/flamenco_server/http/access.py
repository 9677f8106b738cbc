"""Who may call what. One middleware stands before every route, and lets through only what is listed here.

People carry a Bearer token, or the session cookie of the web page; Managers carry their own token, and may use
``/api/v1/manager/…`` and nothing else.
"""

from collections.abc import Collection
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from flamenco_core.errors import Forbidden, NotSignedIn
from flamenco_core.wire.linking import LINK_PATH
from flamenco_runtime.clock import Clock
from flamenco_server.accounts import (
    ADMIN,
    HELP,
    AccountStore,
    Caller,
    CallerKind,
    caller_of_session,
    caller_of_token,
)

OPEN_ROUTES = frozenset({"/healthz", "/sign-in/{code}", "/static/{name}", LINK_PATH, LINK_PATH + "/{request_id}"})
"""Routes that need no credential: they show nothing of the farm."""
MANAGER_ROUTES = "/api/v1/manager/"

SESSION_COOKIE = "flamenco_session"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

CALLER: web.RequestKey[Caller] = web.RequestKey("caller", Caller)
"""Where the middleware leaves who calls; absent only on open routes and on pages."""


class ForeignOrigin(Forbidden):
    """Another site's page made a browser send this."""

    type = "foreign-origin"

    def __init__(self) -> None:
        super().__init__("With a session cookie, changes are taken from our own pages only (the Origin is another).")


class AdminsOnly(Forbidden):
    """Something that a person with another role may not do."""

    type = "admins-only"

    def __init__(self, caller: Caller) -> None:
        super().__init__(f"Only an admin may do this, and {caller.name} is none. Ask the person who runs the farm.")


class WrongKindOfCaller(Forbidden):
    """A Manager where people go, or the other way round."""

    type = "wrong-kind-of-caller"

    def __init__(self, kind: CallerKind) -> None:
        super().__init__(f"This call is not for a {kind.value}'s token.")


def access(accounts: AccountStore, clock: Clock, pages: Collection[str]) -> Middleware:
    """Make the middleware. ``pages`` are routes that themselves tell people without a session how to sign in."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        route = request.match_info.route.resource
        canonical = route.canonical if route is not None else None
        caller = await _caller(accounts, request, clock)
        if caller is not None:
            _check_kind(caller, canonical or request.path)
            request[CALLER] = caller
        elif canonical not in OPEN_ROUTES and canonical not in pages:
            raise NotSignedIn(HELP)
        return await handler(request)

    return check


def signed_in(request: web.Request) -> Caller:
    """Return who calls, on a route that is not open."""
    return request[CALLER]


def signed_in_admin(request: web.Request) -> Caller:
    """Return who calls, if they may do everything. Raises AdminsOnly."""
    caller = signed_in(request)
    if caller.role != ADMIN:
        raise AdminsOnly(caller)
    return caller


async def visitor_name(request: web.Request) -> str | None:
    """Return the name of the person that a page is shown to, None without a session."""
    caller = request.get(CALLER)
    return caller.name if caller else None


async def _caller(accounts: AccountStore, request: web.Request, clock: Clock) -> Caller | None:
    """Return who calls; a credential that is sent and unknown is refused on every route. Raises NotSignedIn."""
    header = request.headers.get("Authorization")
    if header is not None:
        scheme, _, token = header.partition(" ")
        caller = await caller_of_token(accounts, token.strip(), now=clock()) if scheme.lower() == "bearer" else None
        if caller is None:
            raise NotSignedIn(f"This token is not known here. {HELP}")
        return caller
    session = request.cookies.get(SESSION_COOKIE)
    if session is None:
        return None
    caller = await caller_of_session(accounts, session, now=clock())
    if caller is not None and request.method not in SAFE_METHODS:
        _check_origin(request)
    return caller


def _check_kind(caller: Caller, route: str) -> None:
    is_for_managers = route.startswith(MANAGER_ROUTES)
    if route not in OPEN_ROUTES and is_for_managers != (caller.kind is CallerKind.MANAGER):
        raise WrongKindOfCaller(caller.kind)


def _check_origin(request: web.Request) -> None:
    origin = urlsplit(request.headers.get("Origin", ""))
    if origin.scheme not in ("http", "https") or origin.netloc.lower() != request.host.lower():
        raise ForeignOrigin
