"""What whoever watches a Manager is told of its store: how much waits in it for the Server."""

from dataclasses import dataclass

import apsw

from flamenco_runtime.journal import Journal

MOST_COUNTED = 10_000
"""More rows are not counted: looking must cost the same however much waits."""


@dataclass(frozen=True, slots=True)
class StoredFigures:
    """How much waits in the store; of logs and previews at most ``MOST_COUNTED`` each."""

    last_order: int
    reports: int
    log_uploads: int
    preview_uploads: int


class FigureStore:
    """Reads figures of a Manager's store."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def figures(self) -> StoredFigures:
        """Return them as they are on disk. Raises Unavailable."""
        return await self._journal.read(_figures)


def _figures(connection: apsw.Connection) -> StoredFigures:
    last_order = connection.execute("SELECT last_order FROM link").get
    first, last = connection.execute("SELECT min(number), max(number) FROM reports").get
    uploads = [
        connection.execute(f"SELECT count(*) FROM (SELECT 1 FROM {table} LIMIT ?)", (MOST_COUNTED,)).get  # noqa: S608
        for table in ("log_uploads", "preview_uploads")
    ]
    return StoredFigures(last_order, last - first + 1 if first is not None else 0, *uploads)
