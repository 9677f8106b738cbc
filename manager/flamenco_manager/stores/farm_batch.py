"""What steps of the farm write, gathered: while one transaction is on its way to the disk, the next one grows.

Of an object that changed several times meanwhile only the newest row is written. Rows are made in the event loop, so
that the writer thread never sees an object that changes under it.
"""

import threading
from datetime import timedelta

import apsw

from flamenco_manager.farm import Changes
from flamenco_manager.model import Moment
from flamenco_manager.stores import rows
from flamenco_runtime.journal import MemoryAhead

STATES_KEPT = timedelta(days=30)

_SAVE_WORKER = (
    f"INSERT OR REPLACE INTO workers ({rows.WORKER_COLUMNS}, unreported) "  # noqa: S608 (constants)
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)"
)
_SAVE_STATE = "INSERT INTO worker_states (worker, status, at, why) VALUES (?, ?, ?, ?)"
_SAVE_JOB = """
INSERT INTO jobs (id, key, status, activity, is_cancelled, is_deleted, facts, counts, steps_completed, steps_total,
                  started_at, finished_at, rev, unreported)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)
ON CONFLICT (key) DO UPDATE SET
    status = excluded.status, activity = excluded.activity, is_cancelled = excluded.is_cancelled,
    is_deleted = excluded.is_deleted, facts = excluded.facts, counts = excluded.counts,
    steps_completed = excluded.steps_completed, steps_total = excluded.steps_total,
    started_at = excluded.started_at, finished_at = excluded.finished_at, rev = excluded.rev, unreported = 1
"""
_SAVE_TASK = """
UPDATE tasks SET status = ?, attempt = ?, worker = ?, is_held = ?, has_begun = ?, seq = ?, activity = ?,
    steps_completed = ?, lost = ?, failed_by = ?, retry_at = ?, marks = ?, failed_with_job = ?, result = ?,
    started_at = ?, finished_at = ?, rev = ?, is_reserved = ?, is_pause_wanted = ?, requeued_by = ?, fresh_after = ?,
    unreported = 1
WHERE key = ?
"""
_SAVE_ATTEMPT = """
INSERT INTO attempts (task, attempt, worker, seq) VALUES (?, ?, ?, ?)
ON CONFLICT (task, attempt) DO UPDATE SET seq = excluded.seq
"""
SAVE_FRAME = """
INSERT INTO frames (task, frame, layer, attempt, path, size_bytes, sha256, width, height, seconds, rev, unreported)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)
ON CONFLICT (task, frame, layer) DO UPDATE SET
    attempt = excluded.attempt, path = excluded.path, size_bytes = excluded.size_bytes, sha256 = excluded.sha256,
    width = excluded.width, height = excluded.height, seconds = excluded.seconds, rev = excluded.rev, unreported = 1
WHERE excluded.attempt >= attempt
"""
"""What a later attempt saved stays, in whatever order the two are told of."""
_SAVE_ENDED = "INSERT OR IGNORE INTO log_uploads (task, attempt) VALUES (?, ?)"
_HOLD_PIECE = "INSERT INTO log_pieces (number, task, attempt, at, data) VALUES (?, ?, ?, ?, ?)"
_FORGET_FRAMES = "DELETE FROM frames WHERE task = ? AND attempt <= ?"


class FarmBatch:
    """The rows of steps that go into one transaction. Filled in the event loop, written by the writer thread."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._is_taken = False
        self._number = 0
        self._workers: dict[str, rows.Row] = {}
        self._jobs: dict[str, rows.Row] = {}
        self._tasks: dict[str, rows.Row] = {}
        self._attempts: dict[tuple[int, int], rows.Row] = {}
        self._states: list[rows.Row] = []
        self._states_until: float | None = None
        self._forgotten: dict[int, int] = {}
        self._frames: list[rows.Row] = []
        self._ended: list[rows.Row] = []
        self._pieces: list[rows.Row] = []

    def add(self, changes: Changes, now: Moment) -> bool:
        """Add what a step changed; False: the writer has taken this batch, and nothing was added."""
        workers = {worker.id: rows.worker_row(worker) for worker in changes.workers.values()}
        jobs = {job.id: rows.job_row(job) for job in changes.jobs.values()}
        tasks = {task.id: rows.task_row(task, now) for task in changes.tasks.values()}
        attempts = {
            (task.key, task.attempt): (task.key, task.attempt, rows.id_bytes(task.worker.id), task.seq)
            for task in changes.tasks.values()
            if task.worker is not None
        }
        with self._guard:
            if self._is_taken:
                return False
            self._number = changes.number or self._number
            self._workers.update(workers)
            self._jobs.update(jobs)
            self._tasks.update(tasks)
            self._attempts.update(attempts)
            self._add_lists(changes, now)
            return True

    def write(self, connection: apsw.Connection) -> None:
        """Write everything; nothing can be added after that. Raises MemoryAhead: the farm has changed already."""
        with self._guard:
            self._is_taken = True
        try:
            self._write(connection)
        except apsw.FullError:  # the journal undoes everything, and we begin anew from what is on disk
            raise
        except Exception as error:
            raise MemoryAhead(f"A change of the farm cannot be stored: {error}") from error

    def _write(self, connection: apsw.Connection) -> None:
        too_old = [(self._states_until,)] if self._states_until is not None else []
        for statement, bindings in (
            (_SAVE_WORKER, list(self._workers.values())),
            (_SAVE_STATE, self._states),
            ("DELETE FROM worker_states WHERE at < ?", too_old),
            (_SAVE_JOB, list(self._jobs.values())),
            (_SAVE_TASK, list(self._tasks.values())),
            (_SAVE_ATTEMPT, list(self._attempts.values())),
            (_FORGET_FRAMES, list(self._forgotten.items())),
            (SAVE_FRAME, self._frames),
            (_SAVE_ENDED, self._ended),
            (_HOLD_PIECE, self._pieces),
        ):
            if bindings:
                connection.executemany(statement, bindings)
        if self._number:
            connection.execute("UPDATE link SET changes = ?", (self._number,))

    def _add_lists(self, changes: Changes, now: Moment) -> None:
        self._states += [rows.worker_state_row(state) for state in changes.worker_states]
        if changes.worker_states:
            self._states_until = (now.wall - STATES_KEPT).timestamp()
        for task in changes.forgotten_frames:
            self._forgotten[task.key] = task.fresh_after
            self._frames = [row for row in self._frames if row[0] != task.key or row[3] > task.fresh_after]
        self._frames += [
            rows.frame_row(task.key, attempt, frame, changes.number) for task, attempt, frame in changes.frames
        ]
        self._pieces += [
            (piece.number, task.key, piece.log.attempt, piece.at, piece.data) for task, piece in changes.log_pieces
        ]
        self._ended += [(task.key, attempt) for task, attempt in changes.ended_attempts]
