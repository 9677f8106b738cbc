"""Rules for paths that come from elsewhere.

This module also travels in the add-on, so it stays on Python 3.10 and the standard library.
"""

import re
import unicodedata
from pathlib import PurePosixPath

_WINDOWS_DEVICES = frozenset(
    ["con", "prn", "aux", "nul", "conin$", "conout$"]
    + [f"{port}{number}" for port in ("com", "lpt") for number in "123456789¹²³"]
)
_ABSOLUTE = re.compile(r"/|\\\\|[A-Za-z]:[/\\]|\{[A-Za-z_][A-Za-z0-9_]*\}")
_PARENT = re.compile(r"(?:^|[/\\}])\.[. ]*\.[. ]*(?:[/\\{]|$)")
"""``..`` between separators or variables; also with the dots and spaces behind it that Windows drops."""
_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")


class BadPath(ValueError):
    """A path that is refused; the message says why."""


def relative_path(text: str) -> PurePosixPath:
    """Check the path of a file inside a checkout, with ``/`` between its parts.

    Refused is whatever could leave the checkout or mean two files on some platform: absolute paths, drives, ``..``,
    backslashes, control characters and line separators, Windows device names, trailing dots and spaces. Raises BadPath.
    """
    if not text or text.startswith("/"):
        raise BadPath(f"{shown(text)} must be a relative path inside the job's folder.")
    if len(text.encode("utf-8", "surrogatepass")) > 1024:
        raise BadPath(f"{shown(text)} is longer than 1024 bytes.")
    if "\\" in text:
        raise BadPath(f"{shown(text)} has a backslash; write / between folders.")
    for part in text.split("/"):
        _check_part(part, text)
    return PurePosixPath(text)


def absolute_path(text: str) -> str:
    """Check a path on storage that Workers see: absolute on POSIX or Windows, or beginning with a ``{variable}``.

    Raises BadPath for a relative path, for ``..`` anywhere, and for control characters.
    """
    if not _ABSOLUTE.match(text):
        raise BadPath(f"{shown(text)} must be an absolute path, so that it means the same on every Worker.")
    if _PARENT.search(text):
        raise BadPath(f"{shown(text)} contains '..'; write the path without it.")
    _check_characters(text)
    return text


def shown(text: str, most: int = 80) -> str:
    """Quote a foreign text for a message: control characters escaped, shortened to ``most`` characters."""
    quoted = ascii(text) if any(_is_unprintable(char) for char in text) else repr(text)
    return quoted if len(quoted) <= most else quoted[: most - 4] + "..." + quoted[0]


def _check_part(part: str, text: str) -> None:
    if part in ("", ".", ".."):
        raise BadPath(f"{shown(text)} has a part {part!r}; it would leave the job's folder or mean nothing.")
    if ":" in part:
        raise BadPath(f"{shown(text)} has a colon, which names a drive or a stream on Windows.")
    if part[-1] in ". ":
        raise BadPath(f"{shown(text)} has a part that ends in a dot or a space, which Windows drops.")
    if part.split(".", maxsplit=1)[0].rstrip(" ").lower() in _WINDOWS_DEVICES:
        raise BadPath(f"{shown(text)} has a part that is a device on Windows ({part!r}).")
    if len(part.encode("utf-8", "surrogatepass")) > 255:
        raise BadPath(f"{shown(text)} has a part longer than 255 bytes.")
    _check_characters(part)


def _check_characters(text: str) -> None:
    if any(_is_unprintable(char) for char in text):
        raise BadPath(f"{shown(text)} has a control character.")


def _is_unprintable(char: str) -> bool:
    return char in _BIDI or unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp")
