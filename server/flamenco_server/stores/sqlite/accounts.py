"""Accounts and credentials in SQLite."""

from datetime import datetime

import apsw

from flamenco_core.wire.schema import rfc3339
from flamenco_runtime.journal import Journal
from flamenco_server.accounts import Caller, CallerKind, Credential, CredentialKind
from flamenco_server.stores.sqlite.rows import first


class SqliteAccounts:
    """Implements ``AccountStore``."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def ensure_account(self, account: Caller, now: datetime) -> Caller:
        """Return the account of this name; add it first if there is none."""

        def work(db: apsw.Connection) -> Caller:
            db.execute(
                "INSERT INTO accounts (id, name, role, created_at) VALUES (?, ?, ?, ?) ON CONFLICT (name) DO NOTHING",
                (account.id, account.name, account.role, rfc3339(now)),
            )
            row = first(db.execute("SELECT id, name, role FROM accounts WHERE name = ?", (account.name,)))
            assert row is not None
            return Caller(CallerKind.PERSON, **row)

        return await self._journal.write(work)

    async def add_credential(self, credential: Credential, now: datetime) -> None:
        """Keep a credential; those that have expired are forgotten."""
        await self._journal.write(lambda db: _add(db, credential, now))

    async def replace_tokens(self, credential: Credential, now: datetime) -> None:
        """Revoke every token of an account, and keep this one instead."""

        def work(db: apsw.Connection) -> None:
            of_account = (credential.account_id, CredentialKind.TOKEN.value)
            db.execute("DELETE FROM credentials WHERE account = ? AND kind = ?", of_account)
            _add(db, credential, now)

        await self._journal.write(work)

    async def account_of(self, sha256: str, kind: CredentialKind, now: datetime) -> Caller | None:
        """Return whose credential this is, None if nobody's or expired."""
        return await self._journal.read(lambda db: _owner(db, sha256, kind, now))

    async def manager_of(self, sha256: str) -> Caller | None:
        """Return the Manager with this token."""

        def work(db: apsw.Connection) -> Caller | None:
            row = first(db.execute("SELECT id, name FROM managers WHERE token_sha256 = ?", (sha256,)))
            return Caller(CallerKind.MANAGER, **row) if row else None

        return await self._journal.read(work)

    async def take_credential(self, sha256: str, kind: CredentialKind, now: datetime) -> Caller | None:
        """Return whose credential this is, and forget it in the same step: only one caller gets it."""

        def work(db: apsw.Connection) -> Caller | None:
            owner = _owner(db, sha256, kind, now)
            if owner is not None:
                db.execute("DELETE FROM credentials WHERE sha256 = ?", (sha256,))
            return owner

        return await self._journal.write(work)

    async def remove_credential(self, sha256: str) -> None:
        """Revoke a credential."""
        await self._journal.write(lambda db: _remove(db, sha256))


def _add(db: apsw.Connection, credential: Credential, now: datetime) -> None:
    db.execute("DELETE FROM credentials WHERE expires_at <= ?", (rfc3339(now),))
    expires_at = rfc3339(credential.expires_at) if credential.expires_at else None
    db.execute(
        "INSERT INTO credentials (sha256, kind, account, created_at, expires_at) VALUES (?, ?, ?, ?, ?)",
        (credential.sha256, credential.kind.value, credential.account_id, rfc3339(now), expires_at),
    )


def _remove(db: apsw.Connection, sha256: str) -> None:
    db.execute("DELETE FROM credentials WHERE sha256 = ?", (sha256,))


def _owner(db: apsw.Connection, sha256: str, kind: CredentialKind, now: datetime) -> Caller | None:
    row = first(
        db.execute(
            "SELECT accounts.id, name, role FROM credentials JOIN accounts ON accounts.id = account"
            " WHERE sha256 = ? AND kind = ? AND (expires_at IS NULL OR expires_at > ?)",
            (sha256, kind.value, rfc3339(now)),
        )
    )
    return Caller(CallerKind.PERSON, **row) if row else None
