"""Which Server to talk to, with which token: found by ``--data``, the environment, or the user's configuration."""

import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import orjson
import platformdirs

from flamenco_core.errors import BadInput, NotSignedIn, Unavailable

FILE_NAME = "connection.json"
TOKEN_VARIABLE = "FLAMENCO_TOKEN"  # noqa: S105 (a name, no secret)
_VISIBLE = re.compile(r"[!-~]+")
"""What can stand in an HTTP header, and in a URL: no space, no control character, nothing beyond ASCII."""


@dataclass(frozen=True)
class Connection:
    """A Server's URL, without a slash at its end, and a token for it; ``token_from`` names where that was found."""

    url: str
    token: str = field(repr=False)
    token_from: str = field(default="", compare=False)


class BadServerUrl(BadInput):
    """A URL that can be no Server's."""

    type = "bad-server-url"


class BadToken(NotSignedIn):
    """A text that can be no token."""

    type = "bad-token"


class NoFarmKnown(Unavailable):
    """Nothing says which Server to talk to."""

    type = "no-farm-known"


class BadConnectionFile(BadInput):
    """A connection file that holds something else."""

    type = "bad-connection-file"


def find_connection(data: Path | None, environ: Mapping[str, str]) -> Connection:
    """Find the Server to talk to: in ``data`` if given, else in the environment, else in the user's configuration.

    FLAMENCO_TOKEN alone goes with the URL of the configuration. Raises NoFarmKnown, NotSignedIn (a URL without a token,
    or a bad one), BadServerUrl, BadConnectionFile.
    """
    if data is not None:
        return connection_in(data)
    url, token = environ.get("FLAMENCO_URL"), environ.get(TOKEN_VARIABLE)
    if url and not token:
        raise NotSignedIn(f"FLAMENCO_URL is {url}, but {TOKEN_VARIABLE} is not set. Set it to a token of that Server.")
    if url and token:
        return checked_connection(url, token, token_from=TOKEN_VARIABLE)
    own = config_folder(environ) / FILE_NAME
    if not own.exists():
        raise NoFarmKnown(
            "No farm is known here. Start one with 'flamenco up', or sign in to one that runs: 'flamenco login URL'."
        )
    known = read_connection(own)
    return checked_connection(known.url, token, token_from=TOKEN_VARIABLE) if token else known


def checked_connection(url: str, token: str, *, token_from: str) -> Connection:
    """Make a connection of what was written somewhere. Raises BadServerUrl, BadToken."""
    if not _can_be_server(url):
        raise BadServerUrl(f"{url!r} is not the URL of a Server. Write it like http://farm:8000.")
    if not _VISIBLE.fullmatch(token):
        raise BadToken(f"What is in {token_from} is not a token: it is empty, or has characters that no token has.")
    return Connection(url.rstrip("/"), token, token_from)


def _can_be_server(url: str) -> bool:
    """Tell whether it is an HTTP URL that paths can be added to; a name and password in it would fight the token."""
    try:
        parts = urlsplit(url)
        has_host = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return has_host and _VISIBLE.fullmatch(url) is not None and not set(url) & set("?#@")


def connection_in(data: Path) -> Connection:
    """Read what a Server left in its data folder, or below that of ``flamenco up``. Raises NoFarmKnown."""
    for candidate in (data / FILE_NAME, data / "server" / FILE_NAME):
        if candidate.exists():
            return read_connection(candidate)
    raise NoFarmKnown(f"There is no {FILE_NAME} in {data}. Start a farm there with 'flamenco up --data {data}'.")


def config_folder(environ: Mapping[str, str]) -> Path:
    """Return the user's configuration folder; FLAMENCO_CONFIG_DIR overrides the platform's own."""
    override = environ.get("FLAMENCO_CONFIG_DIR")
    return Path(override) if override else platformdirs.user_config_path("flamenco")


def read_connection(file: Path) -> Connection:
    """Read a connection file. Raises BadConnectionFile."""
    try:
        document = orjson.loads(file.read_bytes())
        return checked_connection(_text(document["url"]), _text(document["token"]), token_from=str(file))
    except OSError as error:
        raise BadConnectionFile(f"Cannot read {file}: {error.strerror}.") from error
    except (orjson.JSONDecodeError, KeyError, TypeError, BadServerUrl, BadToken) as error:
        raise BadConnectionFile(
            f"{file} is not a connection file. Remove it, then run 'flamenco login URL' or 'flamenco up'."
        ) from error


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def save_connection(connection: Connection, environ: Mapping[str, str]) -> Path:
    """Keep the connection in the user's configuration, readable by that user only; returns the file."""
    file = config_folder(environ) / FILE_NAME
    file.parent.mkdir(parents=True, exist_ok=True)
    write_private(file, orjson.dumps({"url": connection.url, "token": connection.token}) + b"\n")
    return file


def write_private(file: Path, content: bytes) -> None:
    """Write a file that only its owner may read (0600), whole or not at all."""
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}-")  # made with mode 0600
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
