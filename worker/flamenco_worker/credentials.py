"""Who a slot is towards the Manager, kept on disk with mode 0600."""

import os
import secrets
from dataclasses import dataclass, replace
from pathlib import Path

import orjson

from flamenco_core.errors import BadInput
from flamenco_core.identifiers import is_uuid, new_id

SECRET_BYTES = 32
"""Random bytes of a secret; as text it stays below the 72 bytes that Flamenco 3 can hash."""


@dataclass(frozen=True)
class Credentials:
    """The id that the Manager gave and the secret that we made up. No id yet: registration has not succeeded."""

    uuid: str | None
    secret: str

    def registered_as(self, uuid: str) -> "Credentials":
        """Return them with the id that the Manager gave."""
        return replace(self, uuid=uuid)


def new_credentials() -> Credentials:
    """Make up a secret."""
    return Credentials(None, secrets.token_hex(SECRET_BYTES))


def load_credentials(path: Path) -> Credentials | None:
    """Read what is kept; None when there is nothing. Raises BadInput when the file is damaged."""
    try:
        document = orjson.loads(path.read_bytes())
        return Credentials(document["uuid"], document["secret"])
    except FileNotFoundError:
        return None
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise BadInput(f"{path} is damaged. Remove it, and this slot registers as a new Worker.") from error


def save_credentials(path: Path, credentials: Credentials) -> None:
    """Keep them: whole or not at all."""
    document = {"uuid": credentials.uuid, "secret": credentials.secret}
    _write_private(path, orjson.dumps(document))


def node_id(data: Path) -> str:
    """Return the id of this machine, made up at the first start."""
    path = data / "node"
    try:
        known = path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        known = ""
    if is_uuid(known):
        return known
    fresh = new_id()
    _write_private(path, fresh.encode())
    return fresh


def _write_private(path: Path, contents: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".new")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(contents)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
