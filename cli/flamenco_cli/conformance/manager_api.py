"""What the kits for manager-api.md share: its sections, and how their checks are declared.

``server_groups`` play a Manager at a Server, ``manager_groups`` a Server to which a Manager comes.
"""

from collections.abc import Awaitable, Callable, Sequence
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from flamenco_cli.conformance import manager_groups, server_groups
from flamenco_cli.conformance.check import Check, Needs
from flamenco_core.identifiers import new_id

DOCUMENT = "manager-api.md"
TITLES = {
    "errors": "Calls and errors",
    "link": "POST link",
    "hello": "POST hello",
    "orders": "GET orders",
    "jobs": "GET jobs/ID and its tasks",
    "reports": "POST reports",
    "media": "Logs and thumbnails",
    "blobs": "HEAD and GET blobs/SHA256",
    "feeds": "When a store was lost or restored",
    "resync": "POST resync",
}
"""The parts of manager-api.md that are judged, in the order in which that is done."""

Run = Callable[[Any], Awaitable[None]]


class Checks:
    """The checks of one kit; files of its folder declare them."""

    def __init__(self) -> None:
        self._checks: list[Check] = []

    def declare(
        self, section: str, *, says: str, asked: str, expected: str, mend: str, needs: Needs = Needs.NOTHING
    ) -> Callable[[Run], Run]:
        """Declare a check, called as its function is, with dashes; ``says`` quotes the sentence that it is about."""

        def add(run: Run) -> Run:
            name = run.__name__.strip("_").replace("_", "-")
            self._checks.append(Check(name, section, asked, expected, mend, needs, run, document=DOCUMENT, says=says))
            return run

        return add

    def all(self) -> list[Check]:
        """Return those that were declared, section by section."""
        return sorted(self._checks, key=lambda check: list(TITLES).index(check.section))


SERVER = Checks()
"""What is asked of a Server."""
MANAGER = Checks()
"""What is asked of a Manager."""


def server_checks() -> Sequence[Check]:
    """Return every check of a Server."""
    _import_all(server_groups.__name__, server_groups.__path__)
    return SERVER.all()


def manager_checks() -> Sequence[Check]:
    """Return every check of a Manager."""
    _import_all(manager_groups.__name__, manager_groups.__path__)
    return MANAGER.all()


def _import_all(package: str, path: Any) -> None:
    for module in sorted(iter_modules(path), key=lambda found: found.name):
        import_module(f"{package}.{module.name}")


def an_unknown_id() -> str:
    """Return the id of nothing."""
    return new_id()
