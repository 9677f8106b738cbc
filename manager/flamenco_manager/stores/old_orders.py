"""Orders that were carried out: kept so that one that comes again is recognised, until they are old."""

from datetime import datetime
from typing import Any

from flamenco_runtime.journal import Journal, executing

SLICE = 1000
"""So many are removed in one transaction, so that nobody waits for it."""
_OLD = "SELECT number FROM orders WHERE applied_at < ? AND unreported = 0 AND result IS NOT NULL LIMIT ?"


class OldOrders:
    """Forgets orders."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def forget_orders(self, before: datetime) -> int:
        """Forget some of the orders that were applied before this and are reported; returns how many."""
        # Looked for by a reader, and not in the transaction: what is found here does not change any more.
        found: Any = await self._journal.read(
            lambda connection: connection.execute(_OLD, (before.timestamp(), SLICE)).fetchall()
        )
        if found:
            await self._journal.write(executing("DELETE FROM orders WHERE number = ?", found))
        return len(found)
