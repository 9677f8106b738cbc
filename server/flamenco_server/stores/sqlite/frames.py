"""The frames of a job in SQLite: what its tasks are to render, together with what was saved."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence

import apsw

from flamenco_core.frames import LAST_FRAME, parse_frames
from flamenco_core.statuses import TaskStatus
from flamenco_server.records import Frame
from flamenco_server.stores.sqlite.rows import Row, rows


def read_frames(db: apsw.Connection, job_id: str, only: Collection[int] | None) -> Sequence[Frame]:
    """Return each frame that the tasks of a job are to render, or ``only`` these of them, by number and layer."""
    first, last = (min(only, default=0), max(only, default=-1)) if only is not None else (0, LAST_FRAME)
    saved = _saved(db, job_id, first, last)
    with_thumbnail = {
        row["frame"]
        for row in rows(
            db.execute("SELECT frame FROM thumbnails WHERE job = ? AND frame BETWEEN ? AND ?", (job_id, first, last))
        )
    }
    tasks = db.execute(
        "SELECT id, status, worker_name, frames FROM tasks"
        " WHERE job = ? AND frames IS NOT NULL AND first_frame <= ? AND last_frame >= ?",
        (job_id, last, first),
    )
    frames = [
        frame
        for task in rows(tasks)
        for number in parse_frames(task["frames"])
        if only is None or number in only
        for frame in _frames(job_id, number, task, saved.get(number, []), number in with_thumbnail)
    ]
    return sorted(frames, key=lambda frame: (frame.frame, frame.layer))


def _saved(db: apsw.Connection, job_id: str, first: int, last: int) -> dict[int, list[Row]]:
    found: dict[int, list[Row]] = defaultdict(list)
    query = "SELECT * FROM frames WHERE job = ? AND frame BETWEEN ? AND ?"
    for row in rows(db.execute(query, (job_id, first, last))):
        found[row["frame"]].append(row)
    return found


def _frames(job_id: str, number: int, task: Row, saved: Sequence[Row], has_thumbnail: bool) -> Iterator[Frame]:
    """Yield one frame per layer that was saved, or the one that is still to be rendered."""
    if not saved:
        yield Frame(
            job=job_id,
            frame=number,
            layer="",
            status=TaskStatus(task["status"]),
            task=task["id"],
            worker_name=task["worker_name"],
            has_thumbnail=has_thumbnail,
        )
    for row in saved:
        yield Frame(
            job=job_id,
            frame=number,
            layer=row["layer"],
            status=TaskStatus.COMPLETED,
            task=task["id"],
            path=row["path"],
            size_bytes=row["size_bytes"],
            sha256=row["sha256"],
            width=row["width"],
            height=row["height"],
            seconds=row["seconds"],
            worker_name=task["worker_name"],
            has_thumbnail=has_thumbnail,
        )
