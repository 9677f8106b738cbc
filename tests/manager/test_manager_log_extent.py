"""Which bytes of a log are kept and shown, against a model that keeps all of them in a dictionary."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flamenco_manager.log_extent import MOST_PARTS, NOTE_BYTES, InFile, LogExtent, LogLimits

SMALL = LogLimits(most_bytes=NOTE_BYTES + 40, head_bytes=10)
"""10 bytes of the beginning are kept, and the last 30."""


FILLING = b"?"
"""Gaps are too short here for a note in words."""


@dataclass
class Disk:
    """A log as it is written and read."""

    extent: LogExtent = field(default_factory=lambda: LogExtent(SMALL))
    file: bytearray = field(default_factory=lambda: bytearray(SMALL.most_bytes))

    def place(self, at: int, data: bytes) -> None:
        for start, stop in self.extent.take(at, len(data)):
            piece = data[start - at : stop - at]
            for span in self.extent.file_spans(start, stop):
                self.file[span.at : span.at + span.length] = piece[: span.length]
                piece = piece[span.length :]

    def shown(self, start: int = 0, stop: int = 10**9) -> bytes:
        pieces = self.extent.shown(start, stop)
        return b"".join(
            bytes(self.file[piece.at : piece.at + piece.length]) if isinstance(piece, InFile) else piece
            for piece in pieces
        )


pieces = st.lists(st.tuples(st.integers(0, 150), st.integers(1, 70)), max_size=20)


def places(came: list[tuple[int, int]]) -> tuple[Disk, dict[int, int]]:
    """Place pieces, each of a letter of its own; returns the log, and the first byte that came for each offset."""
    disk, model = Disk(), dict[int, int]()
    for number, (at, length) in enumerate(came):
        data = bytes([ord("A") + number]) * length
        disk.place(at, data)
        for offset in range(at, at + length):
            model.setdefault(offset, data[0])
    return disk, model


@given(pieces)
def test_every_byte_that_came_is_shown_at_its_place_and_the_first_one_counts(came: list[tuple[int, int]]) -> None:
    disk, model = places(came)
    end = max(model, default=-1) + 1
    cut = max(0, end - 40)
    shown = disk.shown()
    assert len(shown) == (SMALL.most_bytes if cut else end)
    head, tail = (shown[:10], shown[10 + NOTE_BYTES :]) if cut else (shown, b"")
    for first, text in ((0, head), (10 + cut, tail)):
        for offset, byte in enumerate(text, start=first):
            assert byte == model[offset] if offset in model else byte in FILLING
    if cut:
        assert f"{cut} bytes are missing here".encode() in shown[10 : 10 + NOTE_BYTES]


@given(pieces, st.lists(st.integers(1, 60), min_size=1))
def test_it_reads_the_same_in_pieces_of_any_size(came: list[tuple[int, int]], sizes: list[int]) -> None:
    disk, _ = places(came)
    shown, read = disk.shown(), b""
    while len(read) < len(shown):
        piece = disk.shown(len(read), len(read) + sizes[len(read) % len(sizes)])
        assert piece
        read += piece
    assert read == shown


@given(pieces)
def test_a_repeat_has_nothing_to_write(came: list[tuple[int, int]]) -> None:
    disk, _ = places(came)
    before = disk.shown()
    for at, length in came:
        assert disk.extent.take(at, length) == []
    assert disk.shown() == before


@given(pieces)
def test_what_has_arrived_without_a_gap_is_told(came: list[tuple[int, int]]) -> None:
    disk, model = places(came)
    whole = next(offset for offset in range(len(model) + 1) if offset not in model)
    assert disk.extent.arrived_bytes == (len(disk.shown()) if disk.extent.missing_bytes else whole)
    assert disk.extent.is_plain == (set(model) == set(range(len(model))) and len(model) <= 40)


def test_a_gap_is_shown_as_a_note_of_its_own_length() -> None:
    roomy = LogExtent(LogLimits())
    roomy.take(0, 5)
    roomy.take(105, 5)
    [begin, note, end] = roomy.shown(0, 1000)
    assert (begin, end) == (InFile(0, 5), InFile(105, 5))
    assert isinstance(note, bytes)
    assert note.strip() == b"[Flamenco: these bytes have not arrived.]"
    assert (len(note), note[:1], note[-1:]) == (100, b"\n", b"\n")


def test_a_gap_too_short_for_a_note_is_question_marks() -> None:
    disk = Disk()
    disk.place(0, b"ab")
    disk.place(5, b"fg")
    assert disk.shown() == b"ab???fg"


def test_a_piece_from_far_ahead_costs_nothing_but_what_is_kept() -> None:
    disk = Disk()
    disk.place(0, b"begin")
    disk.place(2**62, b"far")
    shown = disk.shown()
    assert shown.startswith(b"begin?????")
    assert shown.endswith(b"???far")
    assert str(2**62 + 3 - 40).encode() in shown


def test_a_log_in_too_many_parts_takes_no_more_of_them() -> None:
    extent = LogExtent(LogLimits())
    for number in range(MOST_PARTS + 10):
        extent.take(2 * number, 1)
    assert len(extent.parts) == MOST_PARTS
    assert extent.take(2 * MOST_PARTS + 100, 1) == []
    assert extent.take(1, 1) == [(1, 2)]  # one that closes a gap is welcome
    assert extent.take(2 * MOST_PARTS + 100, 1) != []


@pytest.mark.parametrize("length", [0, -1])
def test_nothing_is_no_piece(length: int) -> None:
    extent = LogExtent(SMALL)
    assert extent.take(5, length) == []
    assert extent.shown_bytes == 0
