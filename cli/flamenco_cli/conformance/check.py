"""What a check is, and how the files of ``groups`` declare theirs."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from flamenco_cli.conformance import groups
from flamenco_cli.conformance.visit import Visit

GROUPS = {
    "1": "Transport",
    "2": "Authentication",
    "3": "Errors",
    "4": "Shared types",
    "5": "Life of a Worker",
    "6": "Worker endpoints",
    "7": "Other endpoints",
    "8": "Variables in commands",
    "9": "What a Flamenco 3 Worker relies on",
    "14": "Where Flamenco differs from Flamenco 3 on purpose",
    "15": "What Flamenco adds",
}
"""The sections of worker-api.md that are judged."""
OURS = ("14", "15")
"""Those that no Flamenco 3 Manager follows."""


class Needs(Enum):
    """What a check needs besides the URL; the later ones need the earlier ones too."""

    NOTHING = auto()
    AWAKE = auto()
    """A Worker that the Manager lets be awake: it may have to be approved."""
    TASK = auto()
    """A task to be handed out."""
    FARM = auto()
    """A Server through which people steer."""


@dataclass(frozen=True)
class Check:
    """One check. ``section`` is that of ``document``, ``says`` what stands there, if that is quoted.

    ``mend`` tells whoever wrote what is judged what to do; ``run`` takes what plays the other side.
    """

    name: str
    section: str
    asked: str
    expected: str
    mend: str
    needs: Needs
    run: Callable[[Any], Awaitable[None]]
    is_slow: bool = False
    document: str = "worker-api.md"
    says: str = ""

    @property
    def group(self) -> str:
        """The section that it belongs to."""
        return self.section.partition(".")[0]

    @property
    def cited(self) -> str:
        """Where it is written."""
        return f"{self.document}: “{self.says}”" if self.says else f"{self.document} {self.section}"


class Outcome(StrEnum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "failed"
    NEEDS_APPROVAL = "need approval"
    """Nobody has approved the Workers that are played."""
    NOT_JUDGED = "not judged"


@dataclass(frozen=True)
class Verdict:
    """A check and how it ended; ``came`` is what was answered, or why nothing was asked."""

    check: Check
    outcome: Outcome
    came: str


_CHECKS: list[Check] = []


def check(
    section: str,
    *,
    asked: str,
    expected: str,
    mend: str,
    needs: Needs = Needs.NOTHING,
    name: str = "",
    is_slow: bool = False,
) -> Callable[[Callable[[Visit], Awaitable[None]]], Callable[[Visit], Awaitable[None]]]:
    """Declare a check: a function that asks, and raises Differs when the answer is not as expected.

    The check is called as the function is, with dashes. ``mend`` is for whoever wrote the Manager.
    """

    def declare(run: Callable[[Visit], Awaitable[None]]) -> Callable[[Visit], Awaitable[None]]:
        own_name = name or run.__name__.strip("_").replace("_", "-")
        _CHECKS.append(Check(own_name, section, asked, expected, mend, needs, run, is_slow))
        return run

    return declare


def all_checks() -> list[Check]:
    """Return every check, in the order of the protocol's sections."""
    for module in sorted(iter_modules(groups.__path__), key=lambda found: found.name):
        import_module(f"{groups.__name__}.{module.name}")
    return sorted(_CHECKS, key=lambda one: [int(part) for part in one.section.split(".")])
