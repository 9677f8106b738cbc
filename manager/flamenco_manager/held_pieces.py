"""Small pieces of logs that the journal keeps until they are in their files. Pure: no I/O.

A file for each attempt costs a trip to the disk of its own, and a busy site ends a thousand attempts a second. So what
a Worker says in few words goes to the disk together with everything else that it said, and into its file a moment
later, many at a time. Whoever reads a log has what is held put into its file first.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MOST_PIECE_BYTES = 8 * 1024
"""A longer piece goes to its file at once: to write it twice would cost more than a file of its own."""
MOST_HELD_BYTES = 8 * 1024 * 1024
"""So much is held at a time; what comes then goes to its file at once."""
OVERHEAD_BYTES = 400
"""What a piece takes in memory besides its text."""


@dataclass(frozen=True, slots=True)
class LogKey:
    """Whose log it is."""

    job: str
    task: str
    attempt: int


@dataclass(frozen=True, slots=True)
class HeldPiece:
    """A piece of a log, and where it begins there; ``number`` is its name in the journal."""

    number: int
    log: LogKey
    at: int
    data: bytes


class HeldPieces:
    """What is held, by logs, the one first whose oldest piece waits longest."""

    def __init__(self) -> None:
        self._of: dict[LogKey, dict[int, HeldPiece]] = {}
        self._last = 0
        self._bytes = 0

    def takes(self, text: str, at: int | None) -> bool:
        """Tell whether a piece is to be held; one without a place is not, since it must not be written twice."""
        return at is not None and len(text) <= MOST_PIECE_BYTES and self._bytes < MOST_HELD_BYTES

    def hold(self, log: LogKey, at: int, data: bytes) -> HeldPiece:
        """Hold a new piece."""
        piece = HeldPiece(self._last + 1, log, at, data)
        self.restore(piece)
        return piece

    def restore(self, piece: HeldPiece) -> None:
        """Hold a piece that was held before."""
        self._last = max(self._last, piece.number)
        self._of.setdefault(piece.log, {})[piece.number] = piece
        self._bytes += len(piece.data) + OVERHEAD_BYTES

    @property
    def logs(self) -> int:
        """Of how many logs pieces are held."""
        return len(self._of)

    def of(self, logs: Iterable[LogKey]) -> list[HeldPiece]:
        """Return what is held of these logs, each in the order in which it came."""
        return [piece for log in logs for piece in self._of.get(log, {}).values()]

    def of_job(self, job: str) -> list[HeldPiece]:
        """Return what is held of all logs of a job."""
        return self.of([log for log in self._of if log.job == job])

    def waiting(self) -> Sequence[LogKey]:
        """Return the logs of which pieces are held, those first that wait longest."""
        return list(self._of)

    def release(self, pieces: Iterable[HeldPiece]) -> None:
        """Let go of pieces; those that are held no more are passed over."""
        for piece in pieces:
            of_log = self._of.get(piece.log, {})
            if of_log.pop(piece.number, None) is not None:
                self._bytes -= len(piece.data) + OVERHEAD_BYTES
                if not of_log:
                    del self._of[piece.log]
