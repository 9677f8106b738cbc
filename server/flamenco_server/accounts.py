"""Who may do what: accounts, their tokens and sessions, and one-time links to sign in with.

Every secret is 256 random bits; the store holds only its SHA-256, so a stolen database opens nothing. Secrets are
looked up by that digest and never compared themselves: how long a look-up takes says nothing about any secret.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Protocol

from flamenco_core.errors import NotSignedIn
from flamenco_core.identifiers import new_id

ADMIN = "admin"
"""The name and the role of the one account that the first start makes."""

SIGN_IN_LINK_LIFE = timedelta(minutes=10)
SESSION_LIFE = timedelta(days=30)

HELP = "Sign in: type 'flamenco open' on the machine that runs the Server, or send 'Authorization: Bearer TOKEN'."


class CallerKind(Enum):
    """Who calls: each kind has routes of its own."""

    PERSON = "person"
    MANAGER = "manager"


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever a request comes from. ``role`` is empty for a Manager."""

    kind: CallerKind
    id: str
    name: str
    role: str = ""


class CredentialKind(Enum):
    """What a secret opens, and for how long."""

    TOKEN = "token"  # noqa: S105 (a kind, no secret)
    SESSION = "session"
    SIGN_IN_LINK = "sign-in-link"


@dataclass(frozen=True, slots=True)
class Credential:
    """What a store keeps of a secret. ``expires_at`` None: until it is revoked."""

    sha256: str
    kind: CredentialKind
    account_id: str
    expires_at: datetime | None = None


class UnknownLink(NotSignedIn):
    """A sign-in link that was never made, was used, or is too old."""

    type = "unknown-sign-in-link"

    def __init__(self) -> None:
        super().__init__(
            "This sign-in link was used already, or is older than 10 minutes. Type 'flamenco open' for a fresh one."
        )


class AccountStore(Protocol):
    """Accounts and credentials, on disk."""

    async def ensure_account(self, account: Caller, now: datetime) -> Caller:
        """Return the account of this name; add it first if there is none."""

    async def add_credential(self, credential: Credential, now: datetime) -> None:
        """Keep a credential; those that have expired are forgotten."""

    async def replace_tokens(self, credential: Credential, now: datetime) -> None:
        """Revoke every token of an account, and keep this one instead."""

    async def account_of(self, sha256: str, kind: CredentialKind, now: datetime) -> Caller | None:
        """Return whose credential this is, None if nobody's or expired."""

    async def manager_of(self, sha256: str) -> Caller | None:
        """Return the Manager with this token."""

    async def take_credential(self, sha256: str, kind: CredentialKind, now: datetime) -> Caller | None:
        """Return whose credential this is, and forget it in the same step: only one caller gets it."""

    async def remove_credential(self, sha256: str) -> None:
        """Revoke a credential."""


def fresh_secret() -> str:
    """Make up a secret of 256 bits that may stand in URLs, headers and cookies."""
    return secrets.token_urlsafe(32)


def digest_of(secret: str) -> str:
    """Return what is stored of a secret. It has 256 random bits, so no slow hash is needed."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


async def ensure_admin(store: AccountStore, known_token: str | None, *, now: datetime) -> str:
    """Return a token of the admin that works: ``known_token`` if it does, else a new one in place of all before."""
    admin = await store.ensure_account(Caller(CallerKind.PERSON, new_id(), ADMIN, ADMIN), now)
    if known_token is not None:
        owner = await store.account_of(digest_of(known_token), CredentialKind.TOKEN, now)
        if owner == admin:
            return known_token
    token = fresh_secret()
    await store.replace_tokens(Credential(digest_of(token), CredentialKind.TOKEN, admin.id), now)
    return token


async def caller_of_token(store: AccountStore, token: str, *, now: datetime) -> Caller | None:
    """Tell who sent a Bearer token: a person, a Manager, or nobody we know."""
    digest = digest_of(token)
    return await store.account_of(digest, CredentialKind.TOKEN, now) or await store.manager_of(digest)


async def caller_of_session(store: AccountStore, session: str, *, now: datetime) -> Caller | None:
    """Tell whose session cookie this is."""
    return await store.account_of(digest_of(session), CredentialKind.SESSION, now)


async def make_sign_in_link(store: AccountStore, caller: Caller, *, now: datetime) -> tuple[str, datetime]:
    """Make the code of a one-time link, and tell when it expires."""
    code = fresh_secret()
    expires_at = now + SIGN_IN_LINK_LIFE
    credential = Credential(digest_of(code), CredentialKind.SIGN_IN_LINK, caller.id, expires_at)
    await store.add_credential(credential, now)
    return code, expires_at


async def sign_in(store: AccountStore, code: str, *, now: datetime) -> str:
    """Trade the code of a link for a session; works once. Raises UnknownLink."""
    account = await store.take_credential(digest_of(code), CredentialKind.SIGN_IN_LINK, now)
    if account is None:
        raise UnknownLink
    session = fresh_secret()
    credential = Credential(digest_of(session), CredentialKind.SESSION, account.id, now + SESSION_LIFE)
    await store.add_credential(credential, now)
    return session


async def sign_out(store: AccountStore, session: str) -> None:
    """End a session at once."""
    await store.remove_credential(digest_of(session))
