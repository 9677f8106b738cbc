"""The token for the Server, kept in ``DATA/link.json`` (mode 0600), so that later starts need none."""

import os
from pathlib import Path

import orjson

from flamenco_core.errors import BadInput


class NoToken(BadInput):
    """The Manager was never linked."""

    type = "no-token"


def token_for(file: Path, server: str, given: str | None) -> str:
    """Return the token to use with a Server; one that is given is kept for later starts. Raises NoToken."""
    if given is not None:
        _keep(file, server, given)
        return given
    try:
        return str(orjson.loads(file.read_bytes())["token"])
    except FileNotFoundError:
        raise NoToken(
            "This Manager has no token for its Server: run `flamenco server add-manager NAME` there, "
            "and start this with FLAMENCO_MANAGER_TOKEN set to what it prints."
        ) from None
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise NoToken(
            f"{file} cannot be read. Remove it, and this Manager shows a code with which it is linked again."
        ) from error


def _keep(file: Path, server: str, token: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(orjson.dumps({"server": server, "token": token}))
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(file)
