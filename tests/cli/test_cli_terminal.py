"""Where text goes, and what a text of somebody else's can do to a terminal: nothing."""

import json
import unicodedata
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from flamenco_cli.terminal import FILE_WIDTH, ago, harmless, notes, print_json, print_line, results, say, size
from flamenco_cli.words import look_of, program_of
from flamenco_core.statuses import JobStatus, TaskStatus

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "sh010, take 2: [red]fine[/red] :boom: <b>&",
        "Größe, 大きさ, размер, اندازه\u200cها",
        "👩\u200d🎨",
        "ideographic\u3000space, no-break\u00a0space",
        "",
    ],
)
def test_what_people_write_is_shown_as_they_wrote_it(text: str) -> None:
    assert harmless(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("a\nb\tc\rd", r"a\nb\tc\rd"),
        ("\x9b31m", r"\x9b31m"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("a\u2028b\u2029c", r"a\u2028b\u2029c"),
        ("\ufeffbom \U000e0041tag", r"\ufeffbom \U000e0041tag"),
        ("\udcff", r"\udcff"),
    ],
)
def test_what_steers_a_terminal_is_shown_as_an_escape(text: str, shown: str) -> None:
    assert harmless(text) == shown


@given(st.text())
def test_nothing_that_steers_is_ever_left_but_what_may_stay(text: str) -> None:
    left = {char for char in harmless(text, also="\n") if unicodedata.category(char)[0] == "C"}
    assert left <= {"\n", "\u200c", "\u200d"}


def test_a_sentence_goes_to_standard_error_whole_and_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    say("[bold]a[/bold] :boom: \x1b[31m " + "word " * 60 + "\nsecond line", "quiet")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == r"[bold]a[/bold] :boom: \x1b[31m " + "word " * 60 + "\nsecond line\n"


def test_a_line_for_programs_goes_to_standard_output_untouched(capsys: pytest.CaptureFixture[str]) -> None:
    print_line("ready: http://[::1]:8000 \x1b")
    assert capsys.readouterr() == ("ready: http://[::1]:8000 \x1b\n", "")


def test_json_goes_to_standard_output_as_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    document = {"name": "[red]ö\x1b", "list": [1, None, True]}
    print_json(document)
    out, err = capsys.readouterr()
    assert json.loads(out) == document
    assert err == ""


@pytest.mark.usefixtures("capsys")
@pytest.mark.parametrize("console", [results, notes])
def test_where_no_terminal_looks_lines_are_wide_and_plain(console: type[Console]) -> None:
    made = console()
    assert made.width == FILE_WIDTH
    assert not made.is_terminal


def test_a_console_obeys_neither_markup_nor_emoji_codes_nor_finds_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    results().print("[bold]x[/bold] :smile: 12")
    assert capsys.readouterr().out == "[bold]x[/bold] :smile: 12\n"


@pytest.mark.parametrize(
    ("passed", "words"),
    [
        (timedelta(0), "now"),
        (timedelta(seconds=59), "now"),
        (timedelta(seconds=-30), "now"),
        (timedelta(minutes=1), "1 min"),
        (timedelta(minutes=59, seconds=59), "59 min"),
        (timedelta(hours=1), "1 h"),
        (timedelta(hours=23, minutes=59), "23 h"),
        (timedelta(days=1), "1 d"),
        (timedelta(days=400), "400 d"),
    ],
)
def test_how_long_ago_in_one_unit(passed: timedelta, words: str) -> None:
    assert ago((NOW - passed).isoformat(), NOW) == words


def test_how_long_ago_knows_time_zones_and_never() -> None:
    assert ago("2026-05-04T13:00:00+02:00", NOW) == "1 h"
    assert ago(None, NOW) == "–"


@pytest.mark.parametrize(
    ("size_bytes", "words"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1 kB"),
        (412_000_000, "412 MB"),
        (1_300_000_000, "1.3 GB"),
        (5_400_000_000_000, "5400.0 GB"),
    ],
)
def test_sizes_as_people_read_them(size_bytes: int, words: str) -> None:
    assert size(size_bytes) == words


@pytest.mark.parametrize("status", [*JobStatus, *TaskStatus])
def test_every_status_has_a_word_and_a_shape_of_its_own(status: str) -> None:
    look = look_of(status)
    assert look.shape != "?"
    assert look.word.istitle() or look.word == "Waiting again"


def test_a_status_of_tomorrow_is_shown_as_it_is() -> None:
    assert look_of("half\x1b-done").text().plain == r"? half\x1b-done"


def test_programs_are_named_as_their_makers_do() -> None:
    assert [program_of(name, "4.5") for name in ("blender", "ffmpeg", "gegl")] == [
        "Blender 4.5",
        "FFmpeg 4.5",
        "gegl 4.5",
    ]
