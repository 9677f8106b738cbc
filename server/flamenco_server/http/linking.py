"""Linking by a pairing code: what a Manager without a token calls, and what an admin does about it."""

import ipaddress
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler
from marshmallow import RAISE, Schema, fields, validate

from flamenco_core.wire.linking import (
    LINK_PATH,
    LinkAnswerSchema,
    LinkOfferSchema,
    LinkWish,
    LinkWishSchema,
    fingerprint,
)
from flamenco_core.wire.schema import Uuid, rfc3339
from flamenco_runtime.clock import Clock
from flamenco_runtime.json_body import json_reply, read_json
from flamenco_runtime.proxies import client_address
from flamenco_server.documents import Document, manager_document
from flamenco_server.events import EventBus
from flamenco_server.http.access import signed_in_admin
from flamenco_server.http.managers import ManagerName
from flamenco_server.http.parameters import query_of, uuid_in_path
from flamenco_server.link_desk import LONGEST_WAIT_S, LinkDesk
from flamenco_server.linking import (
    Caller,
    LinkRequest,
    LinkRequestStore,
    NoSuchLinkRequest,
    ask_for_link,
    confirm_link,
    find_by_code,
    refuse_link,
)

LINK_LIMIT_BYTES = 4096
"""Whoever asks for a link has no token yet."""
_IPV6_SITE_BITS = 64
"""One household or host has at least so many bits of IPv6 to itself, and may call from any address of them."""


class PollQuery(Schema):
    """How long to wait for something to become of a request, in seconds."""

    class Meta:
        """A misspelt key is refused."""

        unknown = RAISE

    wait = fields.Float(load_default=0, validate=validate.Range(0, LONGEST_WAIT_S))


class CodeSchema(Schema):
    """A code as a person typed it."""

    class Meta:
        """A misspelt key is refused."""

        unknown = RAISE

    code = fields.String(required=True, validate=validate.Length(max=100))


class ConfirmationSchema(CodeSchema):
    """What an admin decided: another name than the one that was asked for, or which Manager is linked again."""

    name = ManagerName(load_default=None)
    relink = Uuid(load_default=None)


_WISH = LinkWishSchema()
_OFFER = LinkOfferSchema()
_ANSWER = LinkAnswerSchema()
_POLL_QUERY = PollQuery()
_CODE = CodeSchema()
_CONFIRMATION = ConfirmationSchema()


def manager_link_routes(store: LinkRequestStore, desk: LinkDesk, clock: Clock) -> list[web.RouteDef]:
    """List the routes of a Manager that has no token."""

    async def ask(request: web.Request) -> web.Response:
        wish: LinkWish = await read_json(request, _WISH, limit_bytes=LINK_LIMIT_BYTES)
        offer = await ask_for_link(store, wish, _caller(request), now=clock())
        return json_reply(_OFFER.dump(offer), status=201)

    async def poll(request: web.Request) -> web.Response:
        wait_s = query_of(request, _POLL_QUERY)["wait"]
        answer = await desk.answer(uuid_in_path(request, "request_id"), wait_s)
        reply = json_reply(_ANSWER.dump(answer))
        reply.headers["Cache-Control"] = "no-store"
        return reply

    return [web.post(LINK_PATH, ask), web.get(LINK_PATH + "/{request_id}", poll, allow_head=False)]


def link_request_routes(store: LinkRequestStore, bus: EventBus, clock: Clock) -> list[web.RouteDef]:
    """List the routes of admins. A code stands in bodies only, never in a URL."""

    async def every(request: web.Request) -> web.Response:
        signed_in_admin(request)
        now = clock()
        return json_reply({"link_requests": [_document(one) for one in await store.open_requests(now)]})

    async def look_up(request: web.Request) -> web.Response:
        signed_in_admin(request)
        found = await find_by_code(store, bus, (await read_json(request, _CODE))["code"], now=clock())
        taken_by = await store.manager_named(found.name)
        return json_reply({**_document(found), "taken_by": manager_document(taken_by, clock()) if taken_by else None})

    return [
        web.get("/api/v1/link-requests", every),
        web.post("/api/v1/link-requests/look-up", look_up),
        web.post("/api/v1/link-requests/{request_id}/confirm", _confirm(store, bus, clock)),
        web.post("/api/v1/link-requests/{request_id}/refuse", _refuse(store, bus, clock)),
    ]


def _confirm(store: LinkRequestStore, bus: EventBus, clock: Clock) -> Handler:
    async def confirm(request: web.Request) -> web.StreamResponse:
        admin = signed_in_admin(request)
        decided: dict[str, Any] = await read_json(request, _CONFIRMATION)
        found = await find_by_code(store, bus, decided["code"], now=clock())
        if found.id != uuid_in_path(request, "request_id"):
            raise NoSuchLinkRequest
        linked = await confirm_link(store, bus, found, decided["name"], decided["relink"], by=admin.name, now=clock())
        return json_reply({"id": linked.manager_id, "name": linked.manager_name})

    return confirm


def _refuse(store: LinkRequestStore, bus: EventBus, clock: Clock) -> Handler:
    async def refuse(request: web.Request) -> web.StreamResponse:
        admin = signed_in_admin(request)
        await refuse_link(store, bus, uuid_in_path(request, "request_id"), by=admin.name, now=clock())
        return web.Response(status=204)

    return refuse


def _document(request: LinkRequest) -> Document:
    """Describe a request, without its code: whoever confirms has it from the Manager."""
    return {
        "id": request.id,
        "name": request.name,
        "address": request.address,
        "software": request.software,
        "platform": request.platform,
        "key_fingerprint": fingerprint(request.public_key),
        "asked_at": rfc3339(request.asked_at),
        "expires_at": rfc3339(request.expires_at),
    }


def _caller(request: web.Request) -> Caller:
    address = client_address(request)
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:  # a socket in a folder
        return Caller(address, address)
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is None:
        return Caller(address, str(ipaddress.ip_network((ip, _IPV6_SITE_BITS), strict=False)))
    return Caller(address, address)
