"""Pieces of logs that are on disk with the journal, and not in their files yet."""

from collections.abc import Sequence
from typing import Any

from flamenco_manager.held_pieces import HeldPiece, LogKey
from flamenco_manager.stores import rows
from flamenco_runtime.journal import Journal, executing

_HELD = """
SELECT number, jobs.id, tasks.id, log_pieces.attempt, at, data
FROM log_pieces JOIN tasks ON tasks.key = task JOIN jobs ON jobs.key = task >> 20 ORDER BY number
"""
_ORPHANS = """
DELETE FROM log_pieces WHERE task NOT IN (SELECT tasks.key FROM tasks JOIN jobs ON jobs.key = tasks.key >> 20)
"""
"""Their jobs were erased, whose tasks may still be here. None may stay: the next pieces would get their numbers."""


class LogPieceStore:
    """Keeps pieces until they are dropped; a step of the farm puts them in, with whatever else it changed."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def held(self) -> Sequence[HeldPiece]:
        """Return all pieces, oldest first."""
        await self._journal.write(executing(_ORPHANS, [()]))
        found: Any = await self._journal.read(lambda connection: connection.execute(_HELD).fetchall())
        return [
            HeldPiece(number, LogKey(rows.id_text(job), rows.id_text(task), attempt), at, data)
            for number, job, task, attempt, at, data in found
        ]

    async def drop(self, numbers: Sequence[int]) -> None:
        """Forget pieces: they are in their files, and these on disk."""
        await self._journal.write(
            executing("DELETE FROM log_pieces WHERE number = ?", [(number,) for number in numbers])
        )
