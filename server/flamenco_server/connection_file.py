"""``DATA/connection.json``: how programs of this machine's user reach the Server, without being asked for a token."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

NAME = "connection.json"


@dataclass(frozen=True, slots=True)
class Connection:
    """Where the Server answers, and the admin's token."""

    url: str
    token: str


def read_connection(folder: Path) -> Connection | None:
    """Return what the file says, None if it is missing or cannot be understood (then a new one is made)."""
    try:
        content: Any = orjson.loads((folder / NAME).read_bytes())
        return Connection(str(content["url"]), str(content["token"]))
    except (FileNotFoundError, orjson.JSONDecodeError, KeyError, TypeError):
        return None


def write_connection(folder: Path, connection: Connection) -> None:
    """Write the file in one step, readable by its owner only."""
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f".{NAME}.{os.getpid()}"
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(orjson.dumps({"url": connection.url, "token": connection.token}, option=orjson.OPT_INDENT_2))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(folder / NAME)
