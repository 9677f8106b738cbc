"""Which Server to talk to: from the preferences, or from the file that ``flamenco up`` leaves for this user."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from .problems import Problem

FILE_NAME = "connection.json"


@dataclass(frozen=True)
class Connection:
    """A Server's URL, without a slash at the end, and the token to show there."""

    url: str
    token: str

    @property
    def host(self) -> str:
        """The short name of the Server, for a line of text."""
        return urlsplit(self.url).netloc


def choose_connection(url: str, token: str, environ: Mapping[str, str], home: Path) -> Connection:
    """Take what the preferences say, and what they leave empty from the user's connection file.

    A token belongs to its Server: that of the file is used only with the file's own URL. Raises Problem.
    """
    url = url.strip().rstrip("/")
    stored = _read(config_folder(environ, home, sys.platform) / FILE_NAME)
    if stored is not None and url in ("", stored.url):
        return Connection(stored.url, token.strip() or stored.token)
    if not url:
        raise Problem("No Server is set. Type its URL and your token into the add-on's preferences.")
    if not token.strip():
        raise Problem(f"No token for {url} is set. Paste yours into the add-on's preferences.")
    return Connection(_checked_url(url), token.strip())


def config_folder(environ: Mapping[str, str], home: Path, platform: str) -> Path:
    """Return the folder of Flamenco's per-user configuration, the same that the command line uses."""
    if environ.get("FLAMENCO_CONFIG_DIR"):
        return Path(environ["FLAMENCO_CONFIG_DIR"])
    if platform == "win32":
        local = environ.get("LOCALAPPDATA")
        return (Path(local) if local else home / "AppData" / "Local") / "flamenco" / "flamenco"
    if platform == "darwin":
        return home / "Library" / "Application Support" / "flamenco"
    configured = environ.get("XDG_CONFIG_HOME", "").strip()
    return (Path(configured) if configured else home / ".config") / "flamenco"


def _read(file: Path) -> "Connection | None":
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        return Connection(_checked_url(document["url"].rstrip("/")), document["token"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Problem(
            f"The connection file {file} cannot be read. Start 'flamenco up' again, or delete the file.", str(error)
        ) from error


def _checked_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:  # a port that is no number
        usable = False
    if not usable:
        raise Problem(f"{url} is not the URL of a Server. It looks like http://127.0.0.1:8000.")
    return url
