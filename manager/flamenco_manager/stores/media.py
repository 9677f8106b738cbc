"""What the store knows of the jobs whose logs and previews are kept as files."""

from dataclasses import dataclass
from typing import Any

from flamenco_manager.stores import rows
from flamenco_runtime.journal import Journal

_NEEDED = """
SELECT jobs.id FROM log_uploads JOIN jobs ON jobs.key = log_uploads.task >> 20
UNION SELECT job FROM preview_uploads
"""


@dataclass(frozen=True, slots=True)
class RenderedBy:
    """What a task renders: frames of a job; ``frames`` is None where nobody said which."""

    job: str
    frames: str | None


class MediaStore:
    """Looks tasks and jobs up, also those that have ended."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def rendered_by(self, task_id: str) -> RenderedBy | None:
        """Return what a task renders; None if there is no such task."""
        query = "SELECT jobs.id, tasks.frames FROM tasks JOIN jobs ON jobs.key = tasks.key >> 20 WHERE tasks.id = ?"
        row: Any = await self._journal.read(
            lambda connection: connection.execute(query, (rows.id_bytes(task_id),)).fetchone()
        )
        return None if row is None else RenderedBy(rows.id_text(row[0]), row[1])

    async def jobs_not_sent(self) -> set[str]:
        """Return the jobs of which the Server is still to get logs or thumbnails."""
        found: Any = await self._journal.read(lambda connection: connection.execute(_NEEDED).fetchall())
        return {rows.id_text(job) for (job,) in found}
