"""Linking a Manager with a pairing code that a person confirms (manager-api.md, ``POST link``).

A Manager that has no token asks, and shows the code that it gets. An admin who types that code at the page or the
command line sees who asks, and confirms or refuses. The token is made at that moment: its SHA-256 is kept with the
Manager, and the token itself only sealed to the key of whoever asked.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from flamenco_core.errors import BadInput, Conflict, NotFound, TooMany
from flamenco_core.identifiers import new_id
from flamenco_core.wire.linking import (
    CODE_LENGTH,
    CODE_LETTERS,
    LINK_PATH,
    LinkOffer,
    LinkStatus,
    LinkWish,
    typed_code,
    written_code,
)
from flamenco_runtime.sealing import link_purpose, sealed
from flamenco_server.accounts import digest_of, fresh_secret
from flamenco_server.events import Change, EventBus
from flamenco_server.records import Manager

log = structlog.get_logger()

CODE_LIFE = timedelta(minutes=10)
MOST_GUESSES = 5
"""So many wrong codes end every code that is open: nobody can tell for which of them they were meant."""
MOST_REQUESTS = 100
"""So many requests are kept, each for ``CODE_LIFE``; nobody can fill the store."""
MOST_PER_ORIGIN = 20
"""So many of them may come from one address, which so asks no oftener than that in ``CODE_LIFE``."""
CONFIRM_AT = "/link"
"""The page where codes are typed."""


@dataclass(frozen=True, slots=True)
class LinkRequest:
    """A Manager that asks to be linked.

    ``address`` is where it called from, ``origin`` the network that this counts for; ``manager_id``, ``manager_name``
    and ``sealed_token`` are there once it is confirmed.
    """

    id: str
    code_sha256: str
    name: str
    public_key: str
    address: str
    origin: str
    software: str
    platform: str
    asked_at: datetime
    expires_at: datetime
    status: LinkStatus = LinkStatus.WAITING
    wrong_guesses: int = 0
    manager_id: str | None = None
    manager_name: str | None = None
    sealed_token: str | None = None

    def is_open(self, now: datetime) -> bool:
        """Tell whether its code can be confirmed."""
        return self.status == LinkStatus.WAITING and now < self.expires_at


@dataclass(frozen=True, slots=True)
class Caller:
    """From where somebody calls: the address for people, and the network that shares one allowance."""

    address: str
    origin: str


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What an admin decided: the Manager gets a ``name``, or takes the place of the one with the id ``relink``."""

    request_id: str
    name: str
    relink: str | None
    new_manager_id: str
    token_sha256: str
    sealed_token: str


class NoSuchLinkRequest(NotFound):
    """A request that never was, or is over."""

    type = "no-such-link-request"

    def __init__(self) -> None:
        super().__init__("This request is over, or never was: ask for a new code.")


class WrongCode(NotFound):
    """A code that no Manager shows."""

    type = "wrong-code"

    def __init__(self, left: int | None) -> None:
        super().__init__(f"No Manager shows this code now; a code lives 10 minutes.{_warning(left)}")


def _warning(left: int | None) -> str:
    """Say how many wrong codes more end those that are open; None: none is."""
    if left is None:
        return " None waits to be linked."
    if left == 0:
        return f" That was the {MOST_GUESSES}th wrong one: all open codes ended, and their Managers show new ones."
    return f" After {left} more wrong {'code' if left == 1 else 'codes'}, all open ones end."


class NoCode(BadInput):
    """A text that cannot be a code."""

    type = "no-code"

    def __init__(self) -> None:
        message = f"must be the {CODE_LENGTH} letters that the Manager shows, such as BCDF-GHJK."
        super().__init__(f"The code {message}", {"code": message})


class ManagerRuns(Conflict):
    """A Manager cannot be linked again while it is in touch: two would then be one."""

    type = "manager-runs"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"The Manager {name!r} is linked and in touch. Stop it and wait a minute, if it is to be linked again; or "
            "choose another name for this one."
        )


class TooManyLinkRequests(TooMany):
    """Too many ask at once; ``retry_after_s``: until the oldest of them is over."""

    type = "too-many-link-requests"

    def __init__(self, retry_after_s: int) -> None:
        super().__init__("Too many Managers asked to be linked in the last 10 minutes: try again later.")
        self.retry_after_s = retry_after_s


class LinkRequestStore(Protocol):
    """Requests for links, on disk; those whose time is over are forgotten."""

    async def add_request(self, request: LinkRequest) -> None:
        """Keep a request, if there is room for it. Raises TooManyLinkRequests."""

    async def request(self, request_id: str) -> LinkRequest | None:
        """Return a request."""

    async def open_requests(self, now: datetime) -> Sequence[LinkRequest]:
        """Return those that wait for a person, oldest first."""

    async def try_code(self, code_sha256: str, now: datetime) -> LinkRequest | int | None:
        """Return the open request with this code.

        If there is none it is a wrong guess at each that is open: returns how many more they stand, None if none is.
        """

    async def manager_named(self, name: str) -> Manager | None:
        """Return the Manager of this name."""

    async def refuse(self, request_id: str, now: datetime) -> bool:
        """Turn an open request down; tells whether it was open."""

    async def confirm(self, confirmation: Confirmation, now: datetime) -> LinkRequest:
        """Make the Manager, or give the one that is linked again its new token, in one step; returns the request.

        Raises NoSuchLinkRequest if it is not open any more, ManagerNameTaken, ManagerRuns, NotFound.
        """


async def ask_for_link(store: LinkRequestStore, wish: LinkWish, caller: Caller, *, now: datetime) -> LinkOffer:
    """Note that a Manager wants to be linked, and make it a code. Raises TooManyLinkRequests, UselessKey."""
    request_id = new_id()
    sealed("", wish.public_key, link_purpose(request_id))  # now, so that whoever asks is told, not whoever confirms
    code = "".join(secrets.choice(CODE_LETTERS) for _ in range(CODE_LENGTH))
    await store.add_request(
        LinkRequest(
            id=request_id,
            code_sha256=digest_of(code),
            name=wish.name,
            public_key=wish.public_key,
            address=caller.address,
            origin=caller.origin,
            software=wish.software,
            platform=wish.platform,
            asked_at=now,
            expires_at=now + CODE_LIFE,
        )
    )
    log.info("a Manager asks to be linked", name=wish.name, address=caller.address, request=request_id)
    return LinkOffer(
        id=request_id,
        code=written_code(code),
        confirm_at=CONFIRM_AT,
        poll=f"{LINK_PATH}/{request_id}",
        expires_in_s=int(CODE_LIFE.total_seconds()),
    )


async def find_by_code(store: LinkRequestStore, bus: EventBus, typed: str, *, now: datetime) -> LinkRequest:
    """Return the request whose code a person typed. Raises NoCode, WrongCode."""
    code = typed_code(typed)
    if code is None:
        raise NoCode
    found = await store.try_code(digest_of(code), now)
    if isinstance(found, LinkRequest):
        return found
    if found == 0:
        log.warning("five wrong codes: all requests for links ended")
        bus.publish([Change("link", "")])
    raise WrongCode(found)


async def confirm_link(
    store: LinkRequestStore,
    bus: EventBus,
    request: LinkRequest,
    name: str | None,
    relink: str | None,
    *,
    by: str,
    now: datetime,
) -> LinkRequest:
    """Link the Manager that asked; its token is made here, and leaves only sealed.

    ``name`` None: the one that it asked for. Raises NoSuchLinkRequest, ManagerNameTaken, ManagerRuns, NotFound.
    """
    token = fresh_secret()
    confirmation = Confirmation(
        request_id=request.id,
        name=name or request.name,
        relink=relink,
        new_manager_id=new_id(),
        token_sha256=digest_of(token),
        sealed_token=sealed(token, request.public_key, link_purpose(request.id)),
    )
    linked = await store.confirm(confirmation, now)
    assert linked.manager_id is not None
    log.info("Manager linked", manager=linked.manager_name, address=linked.address, by=by, again=relink is not None)
    bus.publish([Change("manager", linked.manager_id), Change("link", linked.id)])
    return linked


async def refuse_link(store: LinkRequestStore, bus: EventBus, request_id: str, *, by: str, now: datetime) -> None:
    """Turn a Manager down. Raises NoSuchLinkRequest."""
    if not await store.refuse(request_id, now):
        raise NoSuchLinkRequest
    log.info("Manager refused", request=request_id, by=by)
    bus.publish([Change("link", request_id)])
