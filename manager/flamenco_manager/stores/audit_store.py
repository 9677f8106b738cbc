"""The store of a running Manager, looked at beside its work: over a connection that nobody waits for."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import apsw

from flamenco_manager.checking import Finding
from flamenco_manager.long_work import OnProgress
from flamenco_manager.stores.arrivals import SLICE_TASKS
from flamenco_manager.stores.comparing import Remembered
from flamenco_manager.stores.references import check_pages
from flamenco_manager.stores.row_checks import check_rows
from flamenco_runtime.journal import Journal


class AuditStore:
    """Reads for whoever checks."""

    def __init__(self, journal: Journal, path: Path) -> None:
        self._journal = journal
        self._path = path

    def check_rows(self, on_progress: OnProgress) -> Sequence[Finding]:
        """Look at all that is stored, as it is at one moment; blocks."""
        return check_file(self._path, on_progress)

    async def differences(self, remembered: Remembered) -> dict[str, str]:
        """Return, by id, what is stored otherwise than it was in memory, once all of that moment is on disk."""
        await self._journal.durable()
        return await self._journal.read(remembered.differences, is_long=True)


def check_file(path: Path, on_progress: OnProgress = lambda _: None) -> Sequence[Finding]:
    """Look at all rows of a store, as they are at one moment; blocks."""
    with closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)) as connection:
        connection.execute("BEGIN")
        damage = list(check_pages(connection))
        return damage or list(check_rows(connection, SLICE_TASKS, on_progress))
