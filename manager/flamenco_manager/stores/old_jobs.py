"""Jobs that ended some time ago, as far as nothing of them is still to be sent."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from flamenco_manager.job_keeping import OldJob
from flamenco_manager.stores import rows
from flamenco_runtime.journal import Journal

AT_ONCE = 100

_OLD = """
SELECT key, id FROM jobs
WHERE key > :after AND status IN ('completed', 'failed', 'canceled') AND finished_at < :before AND unreported = 0
    AND NOT EXISTS (SELECT 1 FROM tasks WHERE unreported = 1 AND tasks.key >> 20 = jobs.key)
    AND NOT EXISTS (SELECT 1 FROM log_uploads WHERE task >> 20 = jobs.key)
    AND NOT EXISTS (SELECT 1 FROM preview_uploads WHERE job = jobs.id)
    AND NOT EXISTS (SELECT 1 FROM frames WHERE unreported = 1 AND task >> 20 = jobs.key)
    AND NOT EXISTS (SELECT 1 FROM orders WHERE job = jobs.id AND result IS NULL)
ORDER BY key LIMIT :most
"""


class OldJobs:
    """Looks for them."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def old_jobs(self, before: datetime, after_key: int) -> Sequence[OldJob]:
        """Return some jobs with higher keys that ended before then, and of which the Server knows all."""
        bindings = {"before": before.timestamp(), "after": after_key, "most": AT_ONCE}
        found: Any = await self._journal.read(lambda connection: connection.execute(_OLD, bindings).fetchall())
        return [OldJob(key, rows.id_text(job)) for key, job in found]
