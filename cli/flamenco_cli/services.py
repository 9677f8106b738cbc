"""Running one service in this process: settings, log, signals, and a plain sentence when something is missing."""

import asyncio
import dataclasses
import os
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, TypeVar

import structlog

from flamenco_cli.client import open_client
from flamenco_cli.connection import NoFarmKnown, find_connection
from flamenco_cli.terminal import print_line, say
from flamenco_core.errors import Conflict, Forbidden, NotSignedIn, Unavailable
from flamenco_runtime.logs import configure_logging
from flamenco_runtime.service import stop_on_signals
from flamenco_runtime.settings import exposed_secrets, load_settings
from flamenco_runtime.settings_document import settings_document

S = TypeVar("S")
S_contra = TypeVar("S_contra", contravariant=True)

log = structlog.get_logger()

SERVER_PREFIX, MANAGER_PREFIX, WORKER_PREFIX = "FLAMENCO_SERVER_", "FLAMENCO_MANAGER_", "FLAMENCO_WORKER_"
"""How the environment variables of their settings begin."""

MANAGER_SETTINGS = """\
Settings of a Flamenco Manager. Start it with this file: flamenco manager --config FILE
A key may also stand in the environment, as in FLAMENCO_MANAGER_LISTEN, and some on the command line; \
the command line wins over the environment, and that over this file.
What stands here is what counts without it, but where it says "for example"."""
"""How the file of them begins."""


class Serve(Protocol[S_contra]):
    """A service's ``serve``: runs until ``stop`` is set; calls ``ready`` with its URL once it answers."""

    def __call__(self, settings: S_contra, *, stop: asyncio.Event, ready: Callable[[str], None]) -> Awaitable[None]:
        """Serve."""


@dataclass(frozen=True)
class Logs:
    """How a service writes its log."""

    level: str
    as_json: bool


class MissingExtra(Unavailable):
    """The packages of a component are not installed."""

    type = "missing-extra"


def run_server(overrides: Mapping[str, object], environ: Mapping[str, str], config: Path | None, logs: Logs) -> None:
    """Run a Server until SIGINT or SIGTERM. Raises BadSettings, MissingExtra, PortTaken."""
    with needing("server"):
        from flamenco_server.app import serve
        from flamenco_server.settings import Settings
    settings = _loaded(Settings, SERVER_PREFIX, overrides, environ, config, logs)
    _run(serve, settings, logs, quickly=True)


def run_manager(overrides: Mapping[str, object], environ: Mapping[str, str], config: Path | None, logs: Logs) -> None:
    """Run a Manager until SIGINT or SIGTERM, added to its Server first where this user may do that.

    Raises BadSettings, BadCertificate, MissingExtra, PortTaken, LinkRefused, NoPairing.
    """
    with needing("manager"):
        from flamenco_manager.serving import serve
        from flamenco_manager.settings import Settings
        from flamenco_runtime.tls import check_certificate
    settings = _loaded(Settings, MANAGER_PREFIX, overrides, environ, config, logs)
    if settings.token is None and not is_linked(settings.data):
        if settings.tls_certificate is not None and settings.tls_key is not None:
            check_certificate(settings.tls_certificate, settings.tls_key)  # or a person would confirm a code in vain
        token = asyncio.run(_token(settings.server, settings.name, settings.data, settings.server_ca, environ, logs))
        if token is None:  # stopped before anybody confirmed the code
            return
        settings = dataclasses.replace(settings, token=token)
    _run(serve, settings, logs, quickly=True)


def run_worker(overrides: Mapping[str, object], environ: Mapping[str, str], config: Path | None, logs: Logs) -> None:
    """Run a Worker until SIGINT or SIGTERM. Raises BadSettings, MissingExtra."""
    with needing("worker"):
        from flamenco_worker.app import serve
        from flamenco_worker.settings import Settings
    settings = _loaded(Settings, WORKER_PREFIX, overrides, environ, config, logs)
    _run(serve, settings, logs)


def manager_upkeep() -> ModuleType:
    """Return what checks, mends, copies and puts back the store of a Manager. Raises MissingExtra."""
    with needing("manager"):
        from flamenco_manager import upkeep
    return upkeep


def manager_data(data: Path | None, config: Path | None) -> Path:
    """Return the data folder of a Manager, also where ``data`` is that of a whole farm. Raises BadSettings."""
    with needing("manager"):
        from flamenco_manager.settings import Settings
    if data is None:
        data = load_settings(Settings, prefix=MANAGER_PREFIX, environ=os.environ, file=config).data
    of_a_farm = data / "manager"
    is_of_a_farm = not (data / "manager.sqlite").exists() and (of_a_farm / "manager.sqlite").exists()
    return (of_a_farm if is_of_a_farm else data).absolute()


def manager_settings_document() -> str:
    """Return a settings file of a Manager, with every key commented out. Raises MissingExtra."""
    with needing("manager"):
        from flamenco_manager.settings import Settings
    return settings_document(Settings, MANAGER_SETTINGS)


def _loaded(
    kind: type[S],
    prefix: str,
    overrides: Mapping[str, object],
    environ: Mapping[str, str],
    config: Path | None,
    logs: Logs,
) -> S:
    """Load a service's settings, its log being set up. Raises BadSettings."""
    configure_logging(level=logs.level, as_json=logs.as_json)
    settings = load_settings(kind, prefix=prefix, environ=environ, file=config, overrides=overrides)
    exposed = exposed_secrets(kind, config) if config is not None else []
    if exposed:
        log.warning(
            "others on this machine may read secrets", file=str(config), keys=exposed, what_to_do=f"chmod 600 {config}"
        )
    return settings


def is_linked(data: Path) -> bool:
    """Tell whether a Manager with this data folder has been linked to a Server."""
    return (data / "link.json").exists()


async def _token(
    server: str, name: str, data: Path, ca: Path | None, environ: Mapping[str, str], logs: Logs
) -> str | None:
    """Get a Manager its token: from the Server itself if this user may do that, else from whoever confirms a code.

    Returns None when it is stopped meanwhile.
    """
    try:
        connection = find_connection(None, environ)
    except (NoFarmKnown, NotSignedIn):
        connection = None
    if connection is not None and connection.url == server.rstrip("/"):
        async with open_client(connection) as client:
            try:
                return (await client.add_manager(name))["token"]
            except (Conflict, Forbidden) as error:  # a person can tell whether the name means this Manager
                say(f"This Manager cannot add itself: {error}")
    with needing("manager"):
        from flamenco_cli.pairing import paired

    return await paired(server, name, data, ca, quiet=logs.as_json)


def _run(serve: Serve[S_contra], settings: S_contra, logs: Logs, *, quickly: bool = False) -> None:
    """Run a service until it is stopped; ``quickly``: on uvloop, where it is installed (it is not made for Windows)."""
    configure_logging(level=logs.level, as_json=logs.as_json)

    async def until_stopped() -> None:
        with stop_on_signals() as stop:
            await serve(settings, stop=stop, ready=lambda url: print_line(f"ready: {url}"))

    (_quick_run() if quickly else asyncio.run)(until_stopped())


def _quick_run() -> Callable[[Coroutine[Any, Any, None]], None]:
    try:
        import uvloop
    except ImportError:
        return asyncio.run
    return uvloop.run


@contextmanager
def needing(component: str) -> Iterator[None]:
    """Say how to install what a component needs, where an import fails. Raises MissingExtra."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("flamenco"):
            raise
        raise MissingExtra(
            f"'flamenco {component}' needs the package {error.name}. Install it: pip install 'flamenco[{component}]'"
        ) from error
