"""Opening the SQLite file, with one class per Protocol on it."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import apsw

from flamenco_core.identifiers import new_id
from flamenco_runtime.journal import Journal
from flamenco_runtime.migrations import migrate
from flamenco_server.stores.sqlite.accounts import SqliteAccounts
from flamenco_server.stores.sqlite.asking import SqliteAsks
from flamenco_server.stores.sqlite.bin import SqliteBin
from flamenco_server.stores.sqlite.compiles import SqliteCompiles
from flamenco_server.stores.sqlite.farm import SqliteFarm
from flamenco_server.stores.sqlite.jobs import SqliteJobs
from flamenco_server.stores.sqlite.link_requests import SqliteLinkRequests
from flamenco_server.stores.sqlite.managers import SqliteManagers
from flamenco_server.stores.sqlite.media import SqliteLogs, SqliteThumbnails
from flamenco_server.stores.sqlite.orders import SqliteOrders
from flamenco_server.stores.sqlite.reading import SqliteReader
from flamenco_server.stores.sqlite.reports import SqliteReports
from flamenco_server.stores.sqlite.resync import SqliteResyncs

FILE_NAME = "server.sqlite"
MIGRATIONS = "flamenco_server.stores.sqlite.migrations"


@dataclass(frozen=True, slots=True)
class SqliteStore:
    """All records of a Server, each kind behind the Protocol that its users declare."""

    accounts: SqliteAccounts
    asks: SqliteAsks
    bin: SqliteBin
    compiles: SqliteCompiles
    farm: SqliteFarm
    jobs: SqliteJobs
    link_requests: SqliteLinkRequests
    logs: SqliteLogs
    managers: SqliteManagers
    orders: SqliteOrders
    reader: SqliteReader
    reports: SqliteReports
    resyncs: SqliteResyncs
    thumbnails: SqliteThumbnails


@asynccontextmanager
async def open_store(folder: Path, on_failure: Callable[[BaseException], None]) -> AsyncIterator[SqliteStore]:
    """Open the store in ``folder``, making it if there is none.

    ``on_failure`` is called once when a commit fails; the service must then stop (``Journal.open``).
    """
    journal = await Journal.open(folder / FILE_NAME, prepare, on_failure, is_anticipated=False)
    try:
        yield SqliteStore(
            accounts=SqliteAccounts(journal),
            asks=SqliteAsks(journal),
            bin=SqliteBin(journal),
            compiles=SqliteCompiles(journal),
            farm=SqliteFarm(journal),
            jobs=SqliteJobs(journal),
            link_requests=SqliteLinkRequests(journal),
            logs=SqliteLogs(journal),
            managers=SqliteManagers(journal),
            orders=SqliteOrders(journal),
            reader=SqliteReader(journal),
            reports=SqliteReports(journal),
            resyncs=SqliteResyncs(journal),
            thumbnails=SqliteThumbnails(journal),
        )
    finally:
        await journal.close()


def prepare(connection: apsw.Connection) -> None:
    """Bring the schema up to date; a new store gets its feed."""
    migrate(connection, MIGRATIONS)
    connection.execute("INSERT INTO facts (name, value) VALUES ('feed', ?) ON CONFLICT DO NOTHING", (new_id(),))
