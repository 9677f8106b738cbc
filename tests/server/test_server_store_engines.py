"""The engines that the Server stores with, each against the suite of its Protocol."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from contracts.account_store import AccountStoreContract
from contracts.ask_store import AnswerContract, JobAskContract, TaskAskContract, WorkerAskContract
from contracts.bin_store import BinStoreContract, WorkerHistoryContract
from contracts.blob_store import CONTENTS, DIGEST, BlobStoreContract, pieces
from contracts.compile_store import CompileStoreContract
from contracts.event_bus import EventBusContract
from contracts.farm_reader import FarmReaderContract
from contracts.farm_store import SettingsStoreContract, TagStoreContract
from contracts.issuing import IssuingContract
from contracts.job_store import JobStoreContract
from contracts.link_request_store import LinkRequestStoreContract
from contracts.manager_store import ManagerStoreContract, OrderStoreContract
from contracts.media_store import LogStoreContract, ThumbnailStoreContract
from contracts.report_store import OrderResultContract, ReportsAtOnceContract, ReportStoreContract
from contracts.server_store import Engine, ServerStore
from flamenco_runtime.free_space import FreeSpace
from flamenco_server.blobs import BlobFolder, WrongContents
from flamenco_server.events import EventBus, InProcessBus
from flamenco_server.stores.sqlite.store import open_store


class InSqlite:
    """Opens one SQLite file; a commit that fails fails the test."""

    @pytest.fixture
    def engine(self, tmp_path: Path) -> Engine:
        @asynccontextmanager
        async def opened() -> AsyncIterator[ServerStore]:
            failures: list[BaseException] = []
            async with open_store(tmp_path, failures.append) as store:
                yield store
            assert failures == []

        return opened


class TestSqliteAccounts(InSqlite, AccountStoreContract):
    """Accounts."""


class TestSqliteLinkRequests(InSqlite, LinkRequestStoreContract):
    """Managers that ask to be linked."""


class TestSqliteJobs(InSqlite, JobStoreContract):
    """Jobs."""


class TestSqliteJobAsks(InSqlite, JobAskContract):
    """What is asked of jobs."""


class TestSqliteTaskAsks(InSqlite, TaskAskContract):
    """What is asked of tasks."""


class TestSqliteWorkerAsks(InSqlite, WorkerAskContract):
    """What is asked of Workers."""


class TestSqliteAnswers(InSqlite, AnswerContract):
    """What Managers answer."""


class TestSqliteTags(InSqlite, TagStoreContract):
    """Tags."""


class TestSqliteSettings(InSqlite, SettingsStoreContract):
    """The farm's settings."""


class TestSqliteBin(InSqlite, BinStoreContract):
    """Deleted jobs."""


class TestSqliteWorkerHistory(InSqlite, WorkerHistoryContract):
    """What Workers were."""


class TestSqliteCompiles(InSqlite, CompileStoreContract):
    """Compiles."""


class TestSqliteIssuing(InSqlite, IssuingContract):
    """Giving jobs to Managers."""


class TestSqliteManagers(InSqlite, ManagerStoreContract):
    """Managers."""


class TestSqliteOrders(InSqlite, OrderStoreContract):
    """Orders."""


class TestSqliteReports(InSqlite, ReportStoreContract):
    """Reports."""


class TestSqliteOrderResults(InSqlite, OrderResultContract):
    """What became of orders."""


class TestSqliteReportsAtOnce(InSqlite, ReportsAtOnceContract):
    """Reports that come to several processes."""


class TestSqliteReader(InSqlite, FarmReaderContract):
    """Looking."""


class TestSqliteLogs(InSqlite, LogStoreContract):
    """Notes of logs."""


class TestSqliteThumbnails(InSqlite, ThumbnailStoreContract):
    """Notes of thumbnails."""


class TestInProcessBus(EventBusContract):
    @pytest.fixture
    def bus(self) -> EventBus:
        return InProcessBus()


class TestBlobFolder(BlobStoreContract):
    @pytest.fixture
    async def blobs(self, tmp_path: Path) -> BlobFolder:
        folder = BlobFolder(tmp_path / "blobs", FreeSpace(tmp_path, 0))
        await folder.prepare()
        return folder

    async def test_what_was_refused_leaves_no_file_behind(self, blobs: BlobFolder, tmp_path: Path) -> None:
        with pytest.raises(WrongContents):
            await blobs.receive(DIGEST, pieces(b"other"))
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == []

    async def test_what_an_earlier_process_left_half_way_is_removed(self, blobs: BlobFolder, tmp_path: Path) -> None:
        await blobs.receive(DIGEST, pieces(CONTENTS))
        (tmp_path / "blobs" / "incoming" / "half").write_bytes(b"half")
        await blobs.prepare()
        assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [DIGEST]

    async def test_a_blob_cannot_be_written_to_by_mistake(self, blobs: BlobFolder) -> None:
        await blobs.receive(DIGEST, pieces(CONTENTS))
        assert (await blobs.file(DIGEST)).stat().st_mode & 0o222 == 0
