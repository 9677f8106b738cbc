"""Settings of a service: one frozen dataclass, filled from defaults, a TOML file, the environment, the command line.

Later ones win. Unknown keys and bad values stop the start with a message; nothing falls back silently.
"""

import ipaddress
import math
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from flamenco_core.errors import BadInput

S = TypeVar("S")
_PORT = re.compile(r"\d{1,5}", re.ASCII)
_WHOLE_NUMBER = re.compile(r"-?\d{1,18}", re.ASCII)


class BadSettings(BadInput):
    """Settings that cannot be used; the message names the key, where it came from, and what would be right."""

    type = "bad-settings"


@dataclass(frozen=True)
class Address:
    """Where a service listens; port 0 asks the system for a free one."""

    host: str
    port: int
    scheme: str = field(default="http", compare=False)
    """``https`` where it speaks TLS."""

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """The address as a URL that this machine can open (a wildcard host becomes loopback)."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 (recognised, not bound)
        return f"{self.scheme}://{Address(host, self.port)}"

    @property
    def is_loopback(self) -> bool:
        """Tell whether only this machine reaches it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def parse_address(text: str) -> Address:
    """Read ``HOST:PORT``. Raises ValueError with what would be right."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or "/" in host or not _PORT.fullmatch(port) or int(port) > 65535:
        raise ValueError("write HOST:PORT, for example 127.0.0.1:8000")
    return Address(host.strip("[]"), int(port))


def setting(
    default: Any,
    help_text: str,
    read: Callable[[object], object] | None = None,
    *,
    least: float | None = None,
    most: float | None = None,
    is_secret: bool = False,
    shown: str | None = None,
) -> Any:
    """Declare a field of a settings class: its default, and its meaning with the unit.

    ``read`` makes the value of what a source says (ValueError, TypeError, BadInput: what would be right); without it,
    the field's type decides. ``least`` and ``most`` bound a number, once ``check_bounds`` is called. ``is_secret``:
    nobody else may read a file with it. ``shown``: TOML for documents, where the default is none, or not the same on
    all machines.
    """
    metadata = {
        "help": help_text,
        "read": read,
        "least": least,
        "most": most,
        "is_secret": is_secret,
        "shown": shown,
    }
    return field(default=default, metadata=metadata)


def check_bounds(settings: Any) -> None:
    """Refuse numbers beyond what their settings say. Raises BadSettings."""
    for item in fields(settings):
        value, least, most = getattr(settings, item.name), item.metadata["least"], item.metadata["most"]
        if value is None:
            continue
        if (least is not None and value < least) or (most is not None and value > most):
            wanted = bounds_in_words(least, most)
            raise BadSettings(f"{item.name} cannot be {value:_.15g}: write a number {wanted}.")


def bounds_in_words(least: float | None, most: float | None) -> str:
    """Say which numbers may stand there; empty: any."""
    if most is None:
        return "" if least is None else f"from {least:_.15g}"
    return f"up to {most:_.15g}" if least is None else f"from {least:_.15g} to {most:_.15g}"


def exposed_secrets(kind: type, file: Path) -> list[str]:
    """Return the secrets in a settings file that others on this machine may read; none on Windows."""
    if os.name != "posix" or not file.stat().st_mode & 0o077:
        return []
    secret = {item.name for item in fields(kind) if item.metadata["is_secret"]}
    return [key for key in _read_file(file) if key in secret]


def load_settings(
    kind: type[S],
    *,
    prefix: str,
    environ: Mapping[str, str],
    file: Path | None = None,
    overrides: Mapping[str, object] | None = None,
) -> S:
    """Fill the settings class ``kind``.

    ``prefix`` is that of its environment variables (``FLAMENCO_SERVER_``), ``overrides`` come from the command line;
    those that are None were not given. Raises BadSettings.
    """
    known = {item.name: item for item in fields(kind)}  # type: ignore[arg-type]
    hints = get_type_hints(kind)
    values: dict[str, object] = {}
    for source, given in (
        (str(file), _read_file(file) if file else {}),
        ("the environment", _from_environment(prefix, environ)),
        ("the command line", {key: value for key, value in (overrides or {}).items() if value is not None}),
    ):
        for key, value in given.items():
            if key not in known:
                raise BadSettings(f"{source}: unknown setting {key!r}. Known are: {', '.join(sorted(known))}.")
            values[key] = _converted(known[key].metadata["read"] or _CONVERSIONS[hints[key]], value, key, source)
    return kind(**values)


def _read_file(file: Path) -> Mapping[str, object]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadSettings(f"Cannot read the settings file {file}: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadSettings(f"{file} is not a TOML file: {error}.") from error


def _from_environment(prefix: str, environ: Mapping[str, str]) -> dict[str, object]:
    return {name.removeprefix(prefix).lower(): value for name, value in environ.items() if name.startswith(prefix)}


def _converted(read: Callable[[object], object], value: object, key: str, source: str) -> object:
    try:
        return read(value)
    except BadInput as error:
        raise BadSettings(f"{source}: {key}: {error}", error.errors) from error
    except (ValueError, TypeError) as error:
        raise BadSettings(f"{source}: {key} cannot be {value!r}: {error}.") from error


def _boolean(value: object) -> bool:
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    word = str(value).lower()
    if word not in words:
        raise ValueError("write true or false")
    return words[word]


def _whole_number(value: object) -> int:
    if isinstance(value, bool) or not _WHOLE_NUMBER.fullmatch(str(value)):
        raise ValueError("write a whole number")
    return int(str(value))


def _number(value: object) -> float:
    number = math.nan if isinstance(value, bool) else float(str(value))
    if not math.isfinite(number):
        raise ValueError("write a number")
    return number


def _text(value: object) -> str:
    if not isinstance(value, str | Path):
        raise TypeError("write a text")
    return str(value)


def _path(value: object) -> Path:
    text = _text(value)
    if not text or "\0" in text:
        raise ValueError("write a path")
    return Path(text).expanduser().absolute()


def _address(value: object) -> Address:
    return value if isinstance(value, Address) else parse_address(_text(value))


_CONVERSIONS: dict[object, Callable[[object], object]] = {
    bool: _boolean,
    int: _whole_number,
    float: _number,
    float | None: _number,
    str: _text,
    Path: _path,
    Path | None: _path,
    Address: _address,
    str | None: _text,
}
