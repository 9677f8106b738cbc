"""Runs checks one by one, each on its own, and says how each ended."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from flamenco_cli.conformance.check import OURS, Check, Needs, Outcome, Verdict
from flamenco_cli.conformance.peer import Differs
from flamenco_cli.conformance.visit import NeedsApproval, NotJudged, Visit
from flamenco_core.errors import FlamencoError
from flamenco_runtime.http_client import Unreachable

ASK_AGAIN_S = 1.0


@dataclass(frozen=True)
class Scope:
    """Which checks are wanted. ``only``: names, or sections such as ``6.7``; all if empty."""

    is_flamenco3: bool = False
    with_slow: bool = False
    only: Sequence[str] = ()

    def holds(self, check: Check) -> bool:
        """Tell whether a check is wanted."""
        if self.is_flamenco3 and check.group in OURS:
            return False
        wanted = (check.name, check.section, check.group)
        return not self.only or any(word in wanted for word in self.only)


async def judged(visit: Visit, checks: Iterable[Check], scope: Scope, patience: "Patience") -> AsyncIterator[Verdict]:
    """Make the checks that are wanted, in turn. Raises Unreachable."""
    for check in filter(scope.holds, checks):
        missing = _missing(visit, check, scope)
        if missing is not None:
            yield Verdict(check, Outcome.NOT_JUDGED, missing)
            continue
        while True:
            try:
                yield await made(visit, check)
            except NeedsApproval as waiting:
                if await patience.is_over(str(waiting)):
                    yield Verdict(check, Outcome.NEEDS_APPROVAL, "see above")
                    break
            else:
                break


class Patience:
    """How long a person may take to approve our Workers, in seconds, counted over the whole run."""

    def __init__(self, wait_s: float, tell: Callable[[str], None]) -> None:
        self._left = round(wait_s / ASK_AGAIN_S)
        self._tell = tell
        self._told: set[str] = set()

    async def is_over(self, advice: str) -> bool:
        """Wait a moment, and tell whether that was the last one; ``advice`` is told once."""
        if advice not in self._told:
            self._told.add(advice)
            self._tell(advice)
        if self._left <= 0:
            return True
        self._left -= 1
        await asyncio.sleep(ASK_AGAIN_S)
        return False


class Guest(Protocol):
    """Whoever plays the other side: checks ask with it."""

    def forget(self) -> None:
        """Look at nothing that came before: a check begins."""

    def what_came(self) -> str:
        """Say in a few words what came in this check."""

    def last(self) -> str:
        """Say what came last."""

    async def clean_up(self) -> None:
        """Take back what a check left behind. Raises Differs."""


async def made(guest: Guest, check: Check) -> Verdict:
    """Make one check, and clean up after it. Raises NeedsApproval, Unreachable."""
    guest.forget()
    try:
        await check.run(guest)
    except NeedsApproval:
        raise
    except NotJudged as reason:
        return Verdict(check, Outcome.NOT_JUDGED, str(reason))
    except Differs as difference:
        return Verdict(check, Outcome.FAILED, str(difference))
    except (KeyError, TypeError, ValueError, AttributeError) as error:  # an answer of a shape that no check foresaw
        return Verdict(check, Outcome.FAILED, f"an answer that cannot be read ({error!r}): {guest.last()}")
    except Unreachable:
        raise
    except FlamencoError as error:  # of the Server that we asked for work
        return Verdict(check, Outcome.NOT_JUDGED, str(error))
    else:
        return Verdict(check, Outcome.PASSED, guest.what_came())
    finally:
        await _cleaned_up(guest)


async def _cleaned_up(guest: Guest) -> None:
    try:
        await guest.clean_up()
    except Differs:
        return  # the checks that follow bring everything to a known state themselves


def _missing(visit: Visit, check: Check, scope: Scope) -> str | None:
    """Say what a check needs that was not given."""
    if check.is_slow and not scope.with_slow:
        return "takes a minute (--slow)"
    if check.needs in (Needs.TASK, Needs.FARM) and not visit.source.has_tasks:
        return "needs a task (--task-source)"
    if check.needs is Needs.FARM and not visit.source.has_farm:
        return "needs the Server of a farm (--task-source flamenco)"
    return None
