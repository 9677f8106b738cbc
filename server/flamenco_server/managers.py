"""Managers: linking one, its hello, and whether both sides still have the same past (manager-api.md)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import structlog

from flamenco_core.errors import Conflict, NotFound
from flamenco_core.identifiers import new_id
from flamenco_core.wire.manager_api import NO_DIGEST, Hello, HelloReply
from flamenco_server.accounts import digest_of, fresh_secret
from flamenco_server.events import Change, EventBus

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Link:
    """What the Server keeps of what it and one Manager have told each other.

    ``manager_feed`` is None before the first hello. ``last_order`` is the highest number issued, ``epoch`` that of the
    Manager's ``rev``. ``begun_from``: how far the Manager had come when the two began anew, ``had_gone_back``: whether
    its store was the older one then.
    """

    manager_id: str
    manager_name: str
    server_feed: str
    manager_feed: str | None = None
    last_order: int = 0
    order_acknowledged: int = 0
    last_report: int = 0
    last_report_digest: str = NO_DIGEST
    epoch: int = 1
    begun_from: str | None = None
    had_gone_back: bool = False

    @property
    def is_unused(self) -> bool:
        """Nothing was told yet that a new store of the Manager would have lost."""
        return self.order_acknowledged == 0 and self.last_report == 0


@dataclass(frozen=True, slots=True)
class NewManager:
    """A Manager that was just added. ``token`` is shown once, and not kept."""

    id: str
    name: str
    token: str


class ManagerNameTaken(Conflict):
    """Another Manager has this name."""

    type = "manager-name-taken"

    def __init__(self, name: str) -> None:
        super().__init__(f"There is a Manager {name!r} already: choose another name.")


class NoSuchManager(NotFound):
    """There is no Manager with this id."""

    type = "no-such-manager"

    def __init__(self, manager_id: str) -> None:
        super().__init__(f"There is no Manager with the id {manager_id}.")


class OtherFeed(Conflict):
    """A call that belongs to another store, of one side or the other; the Manager must say hello."""

    type = "other-feed"

    def __init__(self) -> None:
        super().__init__("This call is from another store than the last hello: say hello again.")


class ManagerStore(Protocol):
    """Managers and their links, on disk."""

    async def add_manager(self, manager_id: str, name: str, token_sha256: str, now: datetime) -> None:
        """Add a Manager. Raises ManagerNameTaken."""

    async def link(self, manager_id: str) -> Link:
        """Return the link with a Manager that exists."""

    async def order_digest(self, manager_id: str, number: int) -> str | None:
        """Return the digest of an order and all before it; that before the first for 0; None if never issued."""

    async def record_hello(self, manager_id: str, hello: Hello, now: datetime) -> Sequence[str]:
        """Keep what a Manager says of itself, and issue to it the compiled jobs that wait for one; returns their ids.

        What it says it has applied counts as acknowledged.
        """


async def add_manager(store: ManagerStore, name: str, *, now: datetime) -> NewManager:
    """Make a place for a Manager, with a token to give it. Raises ManagerNameTaken."""
    manager = NewManager(new_id(), name, fresh_secret())
    await store.add_manager(manager.id, name, digest_of(manager.token), now)
    return manager


async def receive_hello(
    store: ManagerStore, bus: EventBus, manager_id: str, hello: Hello, settings: Mapping[str, Any], *, now: datetime
) -> HelloReply:
    """Answer a Manager that says how far it has come. ``settings``: the farm's, but for defaults."""
    link = await store.link(manager_id)
    misfit = why_not_fitting(link, hello, await store.order_digest(manager_id, hello.last_order))
    if misfit is None:
        issued = await store.record_hello(manager_id, hello, now)
        bus.publish([Change("manager", manager_id), *(Change("job", job_id) for job_id in issued)])
    else:
        log.error("manager and server do not fit", manager=link.manager_name, why=misfit)
    return HelloReply(
        manager=manager_id,
        feed=link.server_feed,
        next_order=hello.last_order + 1,
        next_report=link.last_report + 1,
        resync=misfit is not None,
        settings=settings,
    )


def why_not_fitting(link: Link, hello: Hello, order_digest: str | None) -> str | None:
    """Tell what in a hello does not fit the past that we know; None: all fits.

    ``order_digest`` is ours for the order that the Manager applied last, None if we never issued it.
    Rule: manager-api.md, "When a store was lost or restored".
    """
    if hello.server_feed not in (None, link.server_feed):
        return "the Manager was linked with another store of this Server"
    if link.manager_feed not in (None, hello.feed) and not link.is_unused:
        return "the Manager has another store than before"
    if order_digest is None:
        return f"the Manager applied order {hello.last_order}, which was not issued"
    if order_digest != hello.last_order_digest:
        return f"the Manager's order {hello.last_order} is not ours"
    if hello.last_order < link.order_acknowledged:
        return f"the Manager acknowledged order {link.order_acknowledged}, and has forgotten it"
    if hello.first_report > link.last_report + 1:
        return f"report {link.last_report + 1} is expected, and the Manager does not have it any more"
    if hello.first_report == link.last_report + 1 and hello.previous_report_digest != link.last_report_digest:
        return f"the Manager's report {link.last_report} is not the one that was applied"
    return None


def check_feeds(link: Link, manager_feed: str | None, server_feed: str | None) -> None:
    """Refuse a call that was made with another store in mind. Raises OtherFeed."""
    if link.manager_feed is None or manager_feed != link.manager_feed or server_feed != link.server_feed:
        raise OtherFeed
