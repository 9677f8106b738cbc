"""Settings written down: a TOML file with every key, what it means and its default, all of it commented out."""

import json
import textwrap
from collections.abc import Iterator
from dataclasses import Field, fields
from pathlib import Path
from typing import Any

from flamenco_runtime.settings import Address, bounds_in_words

WIDTH = 100


def settings_document(kind: type, beginning: str) -> str:
    """Write the file of a settings class; ``beginning`` says whose it is and how it is used.

    Each key is set as it is without it. Where there is no default, or another one on each machine, an example stands
    there. Tables come last, as TOML wants it.
    """
    items = sorted(fields(kind), key=_is_table)
    return "\n\n".join([_comment(beginning), *("\n".join(_lines(item)) for item in items)]) + "\n"


def _lines(item: "Field[Any]") -> Iterator[str]:
    said, shown = item.metadata, item.metadata["shown"]
    bounds = bounds_in_words(said["least"], said["most"])
    yield _comment(said["help"] + (f" ({bounds})" if bounds else "") + ("; for example" if shown else ""))
    if shown is None:
        yield f"#{item.name} = {_toml(item.default)}"
    elif _is_table(item):
        yield from (f"#{line}" for line in shown.split("\n"))
    else:
        yield f"#{item.name} = {shown}"


def _is_table(item: "Field[Any]") -> bool:
    return str(item.metadata["shown"]).startswith("[")


def _comment(text: str) -> str:
    """Write text behind marks that differ from those before keys by a blank."""
    return "\n".join(f"# {line}" for part in text.split("\n") for line in textwrap.wrap(part, WIDTH))


def _toml(value: object) -> str:
    if isinstance(value, tuple):
        return json.dumps([str(one) for one in value])
    if isinstance(value, str | Path | Address):
        return json.dumps(str(value), ensure_ascii=False)
    return json.dumps(value)
