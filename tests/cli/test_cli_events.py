"""Server-sent events, however the stream was cut."""

import json

from hypothesis import given
from hypothesis import strategies as st

from flamenco_cli.events import Event, EventReader


def read(*pieces: bytes) -> list[Event]:
    reader = EventReader()
    return [event for piece in pieces for event in reader.feed(piece)]


def test_an_event_has_a_kind_and_an_object() -> None:
    assert read(b'event: job\ndata: {"id": "a"}\n\n') == [Event("job", {"id": "a"})]


def test_an_event_is_complete_at_its_empty_line_and_not_before() -> None:
    reader = EventReader()
    assert list(reader.feed(b"event: job\ndata: 1\n")) == []
    assert list(reader.feed(b"\n")) == [Event("job", 1)]


def test_an_event_without_a_kind_is_a_message_and_the_kind_before_is_forgotten() -> None:
    assert read(b"event: job\ndata: 1\n\ndata: 2\n\n") == [Event("job", 1), Event("message", 2)]


def test_comments_ids_and_unknown_fields_are_passed_over() -> None:
    assert read(b": still here\n\nid: 7\nretry: 5\nevent: task\ndata: 1\nhue: red\n\n") == [Event("task", 1)]


def test_lines_may_end_as_windows_writes_them() -> None:
    assert read(b"event: job\r\ndata: 1\r\n\r\n") == [Event("job", 1)]


def test_data_of_several_lines_are_joined() -> None:
    assert read(b"data: [1,\ndata: 2]\n\n") == [Event("message", [1, 2])]


def test_only_one_space_after_the_colon_is_left_out() -> None:
    assert read(b"event:  job\ndata:1\n\n") == [Event(" job", 1)]


@given(st.lists(st.tuples(st.sampled_from(["job", "task", "frame"]), st.text()), max_size=5), st.data())
def test_where_the_stream_was_cut_makes_no_difference(events: list[tuple[str, str]], data: st.DataObject) -> None:
    stream = b"".join(
        f"event: {kind}\ndata: {json.dumps(text, ensure_ascii=False)}\n\n".encode() for kind, text in events
    )
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    pieces = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert read(*pieces) == [Event(kind, text) for kind, text in events]
