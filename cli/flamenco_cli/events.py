"""Server-sent events (WHATWG HTML, "Server-sent events"): bytes in, events out."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson


@dataclass(frozen=True)
class Event:
    """One event: its kind (``job``, ``task``, ``frame``, …) and its object, as in the API's lists."""

    kind: str
    document: Any


class EventReader:
    """Puts events together from the pieces of a stream, however it was cut."""

    def __init__(self) -> None:
        self._rest = b""
        self._kind = "message"
        self._data: list[str] = []

    def feed(self, piece: bytes) -> Iterator[Event]:
        """Take the next bytes; yields the events that they complete."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            event = self._take(line.decode("utf-8", "replace").rstrip("\r"))
            if event is not None:
                yield event

    def _take(self, line: str) -> Event | None:
        if not line:
            return self._complete()
        name, _, value = line.partition(":")  # a line that begins with a colon is a comment: name is empty
        value = value.removeprefix(" ")
        if name == "event":
            self._kind = value
        elif name == "data":
            self._data.append(value)
        return None

    def _complete(self) -> Event | None:
        kind, data = self._kind, self._data
        self._kind, self._data = "message", []
        return Event(kind, orjson.loads("\n".join(data))) if data else None
