"""Tags: groups of Workers that jobs may ask for. All Managers know them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from flamenco_core.errors import BadInput, Conflict, NotFound
from flamenco_core.tags import checked_tag
from flamenco_server.asking import Asker
from flamenco_server.events import Change, EventBus
from flamenco_server.orders import NewOrder
from flamenco_server.records import Tag


class NoSuchTag(NotFound):
    """No tag has this name."""

    type = "no-such-tag"

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no tag {name!r}.")


class TagInUse(Conflict):
    """Jobs ask for a tag, or Workers have it."""

    type = "tag-in-use"

    def __init__(self, name: str, jobs: int, workers: int) -> None:
        super().__init__(
            f"The tag {name!r} is used by {jobs} unfinished jobs and {workers} Workers. Delete it by force, and these"
            " jobs may run on any Worker."
        )
        self.members = {"jobs": jobs, "workers": workers}


class BadTag(BadInput):
    """What is no name of a tag."""

    type = "bad-tag"


def put_tag_order(tag: Tag, by: Asker) -> NewOrder:
    """Tell a Manager of a tag."""
    return by.order("tag.put", {"name": tag.name, "description": tag.description})


@dataclass(frozen=True, slots=True)
class Told:
    """Which Managers have something to fetch, and what else has changed."""

    managers: Sequence[str]
    changes: Sequence[Change] = ()


class TagStore(Protocol):
    """Tags, on disk. Each change and the orders that tell all Managers are one step."""

    async def tags(self) -> Sequence[Tag]:
        """Return all tags, by name."""

    async def put_tag(self, tag: Tag, by: Asker) -> Told:
        """Make a tag, or describe it anew."""

    async def delete_tag(self, name: str, by: Asker, *, force: bool) -> Told:
        """Delete a tag; by force also from the jobs and Workers that use it. Raises NoSuchTag, TagInUse."""


async def put_tag(store: TagStore, bus: EventBus, tag: Tag, by: Asker) -> Tag:
    """Make a tag, or describe it anew. Raises BadTag."""
    try:
        tag = Tag(checked_tag(tag.name), tag.description)
    except ValueError as error:
        raise BadTag(f"name: {error}", {"name": str(error)}) from error
    tell(bus, await store.put_tag(tag, by))
    return tag


async def delete_tag(store: TagStore, bus: EventBus, name: str, by: Asker, *, force: bool) -> None:
    """Delete a tag. Raises NoSuchTag, and TagInUse unless by force."""
    tell(bus, await store.delete_tag(name.strip(), by, force=force))


def tell(bus: EventBus, told: Told) -> None:
    """Tell those who wait for orders, and those who look."""
    bus.publish([*told.changes, *(Change("order", manager) for manager in told.managers)])
