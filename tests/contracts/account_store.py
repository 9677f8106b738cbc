"""What every engine promises of accounts and credentials (``AccountStore``)."""

import asyncio

from contracts.server_store import NOON, Engine, ServerStore, StoreContract, at
from flamenco_core.identifiers import new_id
from flamenco_server.accounts import Caller, CallerKind, Credential, CredentialKind, digest_of

TOKEN, SESSION, LINK = CredentialKind.TOKEN, CredentialKind.SESSION, CredentialKind.SIGN_IN_LINK


async def an_account(store: ServerStore, name: str = "ada") -> Caller:
    return await store.accounts.ensure_account(Caller(CallerKind.PERSON, new_id(), name, "admin"), NOON)


def a_credential(account: Caller, secret: str, kind: CredentialKind = TOKEN, life_s: float | None = None) -> Credential:
    return Credential(digest_of(secret), kind, account.id, None if life_s is None else at(life_s))


class AccountStoreContract(StoreContract):
    async def test_an_account_is_made_once_and_found_by_its_name(self, store: ServerStore) -> None:
        first = await an_account(store)
        assert await an_account(store) == first
        assert (await an_account(store, "grace")).id != first.id

    async def test_a_credential_opens_its_account_and_only_as_what_it_is(self, store: ServerStore) -> None:
        account = await an_account(store)
        await store.accounts.add_credential(a_credential(account, "s", SESSION, 60), NOON)
        assert await store.accounts.account_of(digest_of("s"), SESSION, NOON) == account
        assert await store.accounts.account_of(digest_of("s"), TOKEN, NOON) is None
        assert await store.accounts.account_of(digest_of("other"), SESSION, NOON) is None
        assert await store.accounts.manager_of(digest_of("s")) is None

    async def test_a_credential_opens_nothing_from_the_moment_it_expires(self, store: ServerStore) -> None:
        account = await an_account(store)
        await store.accounts.add_credential(a_credential(account, "s", SESSION, 60), NOON)
        assert await store.accounts.account_of(digest_of("s"), SESSION, at(59.9)) == account
        assert await store.accounts.account_of(digest_of("s"), SESSION, at(60)) is None
        assert await store.accounts.take_credential(digest_of("s"), SESSION, at(60)) is None

    async def test_a_credential_without_an_end_never_expires(self, store: ServerStore) -> None:
        account = await an_account(store)
        await store.accounts.add_credential(a_credential(account, "t"), NOON)
        assert await store.accounts.account_of(digest_of("t"), TOKEN, at(10**9)) == account

    async def test_of_many_that_take_a_credential_at_once_one_gets_it(self, store: ServerStore) -> None:
        account = await an_account(store)
        await store.accounts.add_credential(a_credential(account, "code", LINK, 60), NOON)
        takers = [store.accounts.take_credential(digest_of("code"), LINK, NOON) for _ in range(10)]
        assert [taker for taker in await asyncio.gather(*takers) if taker is not None] == [account]

    async def test_new_tokens_replace_those_before_and_leave_sessions_alone(self, store: ServerStore) -> None:
        account, other = await an_account(store), await an_account(store, "grace")
        session = a_credential(account, "s", SESSION)
        for credential in (a_credential(account, "old"), a_credential(other, "hers"), session):
            await store.accounts.add_credential(credential, NOON)
        await store.accounts.replace_tokens(a_credential(account, "new"), NOON)
        assert await store.accounts.account_of(digest_of("old"), TOKEN, NOON) is None
        assert await store.accounts.account_of(digest_of("new"), TOKEN, NOON) == account
        assert await store.accounts.account_of(digest_of("hers"), TOKEN, NOON) == other
        assert await store.accounts.account_of(digest_of("s"), SESSION, NOON) == account

    async def test_a_removed_credential_opens_nothing(self, store: ServerStore) -> None:
        account = await an_account(store)
        await store.accounts.add_credential(a_credential(account, "s", SESSION), NOON)
        await store.accounts.remove_credential(digest_of("s"))
        assert await store.accounts.account_of(digest_of("s"), SESSION, NOON) is None

    async def test_a_managers_token_is_known_as_a_managers(self, store: ServerStore) -> None:
        manager_id = new_id()
        await store.managers.add_manager(manager_id, "site", digest_of("secret"), NOON)
        assert await store.accounts.manager_of(digest_of("secret")) == Caller(CallerKind.MANAGER, manager_id, "site")
        assert await store.accounts.account_of(digest_of("secret"), TOKEN, NOON) is None

    async def test_credentials_survive_a_restart(self, engine: Engine) -> None:
        async with engine() as store:
            account = await an_account(store)
            await store.accounts.add_credential(a_credential(account, "t"), NOON)
        async with engine() as store:
            assert await store.accounts.account_of(digest_of("t"), TOKEN, NOON) == account
            assert await an_account(store) == account
