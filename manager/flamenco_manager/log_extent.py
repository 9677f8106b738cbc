"""Which bytes of an attempt's log are here, and what people see of it. Pure: no I/O.

A Worker says at which byte of its log a piece begins; pieces come in any order, twice, and overlapping. Of a log that
grows beyond the cap its beginning is kept and a rolling tail; what is between is cut out. On disk the tail is a ring
behind the head, so a log never takes more than its cap.

*Log offset*: as the Worker counts. *Shown offset*: what people and the Server get, with a note of fixed length where
the log was cut; until then both are the same. *File offset*: where a byte is on disk.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

MIB = 1024 * 1024
NOTE_BYTES = 128
"""How long the note about the cut is, so that what is shown keeps its length while the tail rolls on."""
MOST_PARTS = 1000
"""A log in more separate parts than this is nonsense; pieces that would add one are dropped."""

Span = tuple[int, int]
"""First byte, and the one behind the last."""


@dataclass(frozen=True, slots=True)
class LogLimits:
    """What is kept of a log that is too long: ``most_bytes`` in all, of which ``head_bytes`` from its beginning."""

    most_bytes: int = 64 * MIB
    head_bytes: int = MIB

    @property
    def tail_bytes(self) -> int:
        """How many of the last bytes are kept."""
        return self.most_bytes - self.head_bytes - NOTE_BYTES


@dataclass(frozen=True, slots=True)
class InFile:
    """Shown bytes that are read from the file."""

    at: int
    length: int


@dataclass(slots=True)
class LogExtent:
    """The bytes of one log that are here: ``end`` is behind its last one, ``parts`` are sorted and do not touch."""

    limits: LogLimits
    end: int = 0
    parts: list[Span] = field(default_factory=list)

    @property
    def is_plain(self) -> bool:
        """Nothing is missing and nothing was cut: the file is the log."""
        return not self.missing_bytes and self.parts in ([], [(0, self.end)])

    @property
    def missing_bytes(self) -> int:
        """How many bytes were cut out of its middle."""
        return max(0, self.end - self.limits.head_bytes - self.limits.tail_bytes)

    @property
    def cut_at(self) -> int | None:
        """Where its middle was cut out; None while it is not too long."""
        return self.limits.head_bytes if self.missing_bytes else None

    @property
    def shown_bytes(self) -> int:
        """How long it is as people see it."""
        return self.limits.most_bytes if self.missing_bytes else self.end

    @property
    def arrived_bytes(self) -> int:
        """How many of the shown bytes are here without a gap; all of them once it was cut."""
        if self.missing_bytes:
            return self.shown_bytes
        return self.parts[0][1] if self.parts and self.parts[0][0] == 0 else 0

    def take(self, at: int, length: int) -> list[Span]:
        """Note that a piece of so many bytes came for log offset ``at``.

        Returns what of it is to be written, as log offsets: what is here already, and what is not kept, is left out.
        """
        if length <= 0:
            return []
        grown = LogExtent(self.limits, max(self.end, at + length), self.parts)
        new = [gap for kept in grown.kept() for gap in _gaps(self.parts, max(at, kept[0]), min(at + length, kept[1]))]
        parts = _within(_joined([*self.parts, *new]), grown.kept())
        if len(parts) > MOST_PARTS and len(parts) > len(self.parts):
            return []
        self.end, self.parts = grown.end, parts
        return new

    def copy(self) -> "LogExtent":
        """Return the same, to be changed by itself."""
        return LogExtent(self.limits, self.end, list(self.parts))

    def surviving(self, grown: "LogExtent") -> "LogExtent":
        """Return what of this is still kept once the log has grown so far."""
        return LogExtent(self.limits, self.end, _within(self.parts, grown.kept()))

    def file_spans(self, start: int, stop: int) -> Iterator[InFile]:
        """Yield where on disk the log's bytes from ``start`` to ``stop`` are, in order."""
        head, tail = self.limits.head_bytes, self.limits.tail_bytes
        if start < min(stop, head):
            yield InFile(start, min(stop, head) - start)
            start = head
        while start < stop:
            place = (start - head) % tail
            length = min(stop - start, tail - place)
            yield InFile(head + place, length)
            start += length

    def shown(self, start: int, stop: int) -> Iterator[InFile | bytes]:
        """Yield what people see from one shown offset to another: places in the file, and notes about what is not."""
        head, cut = self.limits.head_bytes, self.missing_bytes
        stop = min(stop, self.shown_bytes)
        if not cut:
            yield from self._log((0, self.end), start, stop)
            return
        yield from self._log((0, head), start, stop)
        text = f"[Flamenco: {cut} bytes are missing here; the log grew too long.]"
        yield from _note(text, NOTE_BYTES, start - head, stop - head)
        shift = cut - NOTE_BYTES
        yield from self._log((head + cut, self.end), start + shift, stop + shift)

    def _log(self, kept: Span, start: int, stop: int) -> Iterator[InFile | bytes]:
        """Yield what is kept of the log, within two log offsets; what has not arrived is filled in at its length."""
        place = kept[0]
        for first, last in [*_within(self.parts, [kept]), (kept[1], kept[1])]:
            yield from _note("[Flamenco: these bytes have not arrived.]", first - place, start - place, stop - place)
            yield from self.file_spans(max(first, start), min(last, stop))
            place = last

    def kept(self) -> Sequence[Span]:
        """Tell which log offsets are kept of a log of this length."""
        if not self.missing_bytes:
            return [(0, self.end)]
        return [(0, self.limits.head_bytes), (self.end - self.limits.tail_bytes, self.end)]


def _note(text: str, length: int, start: int, stop: int) -> Iterator[bytes]:
    """Yield part of a note that is a line of its own of ``length`` bytes; where it does not fit, of question marks."""
    start, stop = max(0, start), min(length, stop)
    if start >= stop:
        return
    line = f"\n{text}".encode()
    if len(line) + 1 > length:
        yield b"?" * (stop - start)
        return
    end = b"\n" if stop == length else b""
    yield line[start:stop].ljust(stop - start - len(end))[: stop - start - len(end)] + end


def _gaps(parts: Sequence[Span], start: int, stop: int) -> Iterator[Span]:
    """Yield what lies between ``start`` and ``stop`` and is in none of the parts."""
    for first, last in parts:
        if start < min(first, stop):
            yield start, min(first, stop)
        start = max(start, last)
    if start < stop:
        yield start, stop


def _within(parts: Sequence[Span], windows: Sequence[Span]) -> list[Span]:
    """Return what of the parts lies in any of the windows; both are sorted."""
    met = [(max(first, low), min(last, high)) for low, high in windows for first, last in parts]
    return [(first, last) for first, last in met if first < last]


def _joined(parts: Sequence[Span]) -> list[Span]:
    """Sort parts, and join those that touch."""
    joined: list[Span] = []
    for first, last in sorted(parts):
        if joined and first <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
        else:
            joined.append((first, last))
    return joined
