"""Where text goes: results to standard output, everything else to standard error. Rich obeys NO_COLOR by itself."""

import sys
import unicodedata
from datetime import UTC, datetime

import orjson
from rich.console import Console
from rich.text import Text
from rich.theme import Theme

FILE_WIDTH = 200
"""How wide tables are when nobody looks at them on a terminal."""

_JOINERS = "\u200c\u200d"
"""Invisible, but Persian words and many an emoji are made with them."""

# The terminal's own colours, not fixed ones: they stay readable on dark and on light backgrounds.
THEME = Theme({"good": "green", "bad": "red", "doubtful": "yellow", "busy": "blue", "still": "cyan", "quiet": "dim"})


def results() -> Console:
    """Return the console of standard output."""
    return _console(to_errors=False)


def notes() -> Console:
    """Return the console of standard error: progress, hints and errors."""
    return _console(to_errors=True)


def say(text: str, style: str = "") -> None:
    """Print to standard error, harmless whatever it quotes; a terminal wraps it."""
    notes().print(Text(harmless(text, also="\n"), style=style), soft_wrap=True)


def harmless(text: str, *, also: str = "") -> str:
    r"""Write what would steer a terminal, or turn the direction of reading, as escapes such as ``\x1b``.

    Names, logs and messages come from anybody. ``also`` lists such characters that may stay.
    """
    if text.isprintable():
        return text
    kept = _JOINERS + also
    return "".join(char if char in kept or not _steers(char) else _escaped(char) for char in text)


def _steers(char: str) -> bool:
    category = unicodedata.category(char)
    return category[0] == "C" or category in ("Zl", "Zp")


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode()


def print_json(document: object) -> None:
    """Print one JSON document to standard output."""
    sys.stdout.write(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode() + "\n")


def print_line(text: str) -> None:
    """Print a line that programs may read, at once and untouched, to standard output."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def ago(moment: str | None, now: datetime) -> str:
    """Say how long ago something was: ``now``, ``5 min``, ``3 h``, ``2 d``; a dash for never."""
    if moment is None:
        return "–"
    seconds = (now - datetime.fromisoformat(moment).astimezone(UTC)).total_seconds()
    for unit_s, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= unit_s:
            return f"{int(seconds // unit_s)} {unit}"
    return "now"


def size(size_bytes: float) -> str:
    """Write a size as people read it: ``412 MB``."""
    for unit in ("bytes", "kB", "MB"):
        if size_bytes < 1000:
            return f"{size_bytes:.0f} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:.1f} GB"


def _console(*, to_errors: bool) -> Console:
    stream = sys.stderr if to_errors else sys.stdout
    width = None if stream.isatty() else FILE_WIDTH
    return Console(stderr=to_errors, theme=THEME, highlight=False, markup=False, emoji=False, width=width)
