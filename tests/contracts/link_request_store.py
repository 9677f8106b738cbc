"""What every engine promises of requests for links (``LinkRequestStore``)."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from contracts.server_store import NOON, Engine, ServerStore, StoreContract, a_hello, at, linked
from flamenco_core.identifiers import new_id
from flamenco_core.wire.linking import LinkStatus
from flamenco_server.accounts import digest_of
from flamenco_server.linking import (
    CODE_LIFE,
    MOST_GUESSES,
    MOST_PER_ORIGIN,
    MOST_REQUESTS,
    Confirmation,
    LinkRequest,
    ManagerRuns,
    NoSuchLinkRequest,
    TooManyLinkRequests,
)
from flamenco_server.managers import ManagerNameTaken, NoSuchManager

KEY = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
LIFE_S = CODE_LIFE.total_seconds()


def a_request(name: str = "site", asked_s: float = 0, **changes: Any) -> LinkRequest:
    """Build a request, whose code is its name."""
    request = LinkRequest(
        id=new_id(),
        code_sha256=digest_of(name),
        name=name,
        public_key=KEY,
        address="10.0.0.5",
        origin="10.0.0.5",
        software="Flamenco 4",
        platform="linux",
        asked_at=at(asked_s),
        expires_at=at(asked_s + LIFE_S),
    )
    return replace(request, **changes)


def a_confirmation(request: LinkRequest, **changes: Any) -> Confirmation:
    confirmation = Confirmation(request.id, request.name, None, new_id(), digest_of(f"token {request.id}"), "sealed")
    return replace(confirmation, **changes)


async def asked(store: ServerStore, name: str = "site", asked_s: float = 0, **changes: Any) -> LinkRequest:
    request = a_request(name, asked_s, **changes)
    await store.link_requests.add_request(request)
    return request


class LinkRequestStoreContract(StoreContract):
    async def test_a_request_is_kept_from_one_opening_to_the_next(self, engine: Engine) -> None:
        async with engine() as store:
            request = await asked(store)
        async with engine() as store:
            assert await store.link_requests.request(request.id) == request
            assert await store.link_requests.open_requests(NOON) == [request]
            assert await store.link_requests.try_code(digest_of("site"), NOON) == request
            assert await store.link_requests.request(new_id()) is None

    async def test_a_code_finds_nothing_from_the_moment_its_life_is_over(self, store: ServerStore) -> None:
        request = await asked(store)
        assert await store.link_requests.try_code(digest_of("site"), at(LIFE_S - 0.1)) == request
        assert await store.link_requests.try_code(digest_of("site"), at(LIFE_S)) is None
        assert await store.link_requests.open_requests(at(LIFE_S)) == []
        assert await store.link_requests.refuse(request.id, at(LIFE_S)) is False
        with pytest.raises(NoSuchLinkRequest):
            await store.link_requests.confirm(a_confirmation(request), at(LIFE_S))
        assert await store.reader.managers() == []

    async def test_wrong_guesses_count_for_every_open_request_and_end_them(self, store: ServerStore) -> None:
        first, old = await asked(store, "first"), await asked(store, "old", -LIFE_S + 1)
        left = [await store.link_requests.try_code(digest_of("wrong"), at(2)) for _ in range(3)]
        assert left == [4, 3, 2]
        second = await asked(store, "second", 3)
        assert [await store.link_requests.try_code(digest_of("wrong"), at(4)) for _ in range(2)] == [1, 0]
        assert (await store.link_requests.request(first.id)) == replace(
            first, status=LinkStatus.ENDED, wrong_guesses=MOST_GUESSES
        )
        assert await store.link_requests.try_code(digest_of("second"), at(5)) == replace(second, wrong_guesses=2)
        assert await store.link_requests.try_code(digest_of("first"), at(5)) == 2
        assert old.id not in [one.id for one in await store.link_requests.open_requests(at(5))]

    async def test_of_many_wrong_guesses_at_once_each_counts(self, store: ServerStore) -> None:
        await asked(store)
        left = await asyncio.gather(*(store.link_requests.try_code(digest_of("no"), NOON) for _ in range(MOST_GUESSES)))
        assert sorted(map(str, left)) == ["0", "1", "2", "3", "4"]
        assert await store.link_requests.try_code(digest_of("site"), NOON) is None

    async def test_confirming_makes_the_manager_its_token_and_its_orders_in_one_step(self, store: ServerStore) -> None:
        request = await asked(store)
        wanted = a_confirmation(request, name="north")
        linked_request = await store.link_requests.confirm(wanted, at(60))
        assert linked_request.status == LinkStatus.CONFIRMED
        assert linked_request.expires_at == at(60 + LIFE_S)
        named = (linked_request.manager_id, linked_request.manager_name, linked_request.sealed_token)
        assert named == (wanted.new_manager_id, "north", "sealed")
        assert await store.link_requests.request(request.id) == linked_request
        owner = await store.accounts.manager_of(wanted.token_sha256)
        assert owner is not None
        assert (owner.id, owner.name) == (wanted.new_manager_id, "north")
        assert await store.link_requests.open_requests(at(60)) == []

    async def test_of_many_who_confirm_or_refuse_at_once_one_succeeds(self, store: ServerStore) -> None:
        request = await asked(store)
        tries = [store.link_requests.confirm(a_confirmation(request), NOON) for _ in range(5)]
        ended = await asyncio.gather(*tries, return_exceptions=True)
        assert [type(one) for one in ended if isinstance(one, Exception)] == [NoSuchLinkRequest] * 4
        assert len(await store.reader.managers()) == 1
        assert await store.link_requests.refuse(request.id, NOON) is False

    async def test_a_name_that_is_taken_changes_nothing(self, store: ServerStore) -> None:
        await linked(store, "site")
        request = await asked(store)
        with pytest.raises(ManagerNameTaken, match="site"):
            await store.link_requests.confirm(a_confirmation(request), NOON)
        assert await store.link_requests.request(request.id) == request
        await store.link_requests.confirm(a_confirmation(request, name="other"), NOON)
        assert [manager.name for manager in await store.reader.managers()] == ["other", "site"]

    async def test_a_manager_that_is_away_is_linked_again_and_its_old_token_opens_nothing(
        self, store: ServerStore
    ) -> None:
        manager = await linked(store, "site", seen=at(-61))
        before = await store.managers.link(manager)
        request = await asked(store)
        again = a_confirmation(request, relink=manager)
        linked_request = await store.link_requests.confirm(again, NOON)
        assert (linked_request.manager_id, linked_request.manager_name) == (manager, "site")
        assert await store.accounts.manager_of("sha256 of site") is None
        owner = await store.accounts.manager_of(again.token_sha256)
        assert owner is not None
        assert owner.id == manager
        assert await store.managers.link(manager) == before
        assert len(await store.reader.managers()) == 1

    async def test_a_manager_that_is_in_touch_keeps_its_token(self, store: ServerStore) -> None:
        manager = await linked(store, "site", seen=at(-59))
        request = await asked(store)
        with pytest.raises(ManagerRuns, match="site"):
            await store.link_requests.confirm(a_confirmation(request, relink=manager), NOON)
        assert await store.accounts.manager_of("sha256 of site") is not None
        with pytest.raises(NoSuchManager):
            await store.link_requests.confirm(a_confirmation(request, relink=new_id()), NOON)
        assert await store.link_requests.request(request.id) == request

    async def test_what_is_sealed_is_gone_once_the_manager_has_used_its_token(self, store: ServerStore) -> None:
        request = await asked(store)
        confirmed = await store.link_requests.confirm(a_confirmation(request), NOON)
        assert confirmed.manager_id is not None
        await store.managers.record_hello(confirmed.manager_id, a_hello(), at(1))
        assert await store.link_requests.request(request.id) is None

    async def test_what_was_refused_stays_refused(self, store: ServerStore) -> None:
        request = await asked(store)
        assert await store.link_requests.refuse(request.id, NOON) is True
        assert await store.link_requests.request(request.id) == replace(request, status=LinkStatus.REFUSED)
        assert await store.link_requests.try_code(digest_of("site"), NOON) is None
        with pytest.raises(NoSuchLinkRequest):
            await store.link_requests.confirm(a_confirmation(request), NOON)

    async def test_one_address_and_all_together_may_ask_so_often_and_no_oftener(self, store: ServerStore) -> None:
        for number in range(MOST_PER_ORIGIN):
            request = await asked(store, f"near {number}", number)
            await store.link_requests.refuse(request.id, at(number))
        with pytest.raises(TooManyLinkRequests) as refused:
            await asked(store, "near", 30)
        assert refused.value.retry_after_s == LIFE_S - 30
        for number in range(MOST_REQUESTS - MOST_PER_ORIGIN):
            await asked(store, f"far {number}", 40, origin=f"10.1.0.{number}")
        with pytest.raises(TooManyLinkRequests):
            await asked(store, "far", 50, origin="10.2.0.1")
        await asked(store, "later", LIFE_S)  # the oldest is over
        assert len(await store.link_requests.open_requests(at(LIFE_S - 1))) == MOST_REQUESTS - MOST_PER_ORIGIN + 1

    async def test_a_manager_is_found_by_its_name(self, store: ServerStore) -> None:
        manager = await linked(store, "site")
        found = await store.link_requests.manager_named("site")
        assert found is not None
        assert (found.id, found.last_seen) == (manager, NOON)
        assert await store.link_requests.manager_named("other") is None
