"""Reports: what Managers tell of their jobs, tasks, frames and Workers. Each is applied once (manager-api.md)."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Protocol

from flamenco_core.errors import Conflict
from flamenco_core.wire.manager_api import Report
from flamenco_server.events import Change, EventBus
from flamenco_server.managers import Link


class ReportGap(Conflict):
    """A report came before the one that must be applied first."""

    type = "report-gap"

    def __init__(self, expected: int) -> None:
        super().__init__(f"Report {expected} is expected next: send that one first.")
        self.members = {"expected": expected}


class ReportsDiffer(Conflict):
    """The Manager's reports are not those that were applied: one of the two stores went back."""

    type = "reports-differ"

    def __init__(self, number: int) -> None:
        super().__init__(f"Report {number} is not the one that was applied under this number: say hello again.")


class Verdict(Enum):
    """What to do with a report."""

    APPLY = "apply"
    KNOWN = "known"
    """Applied already: acknowledged, and ignored."""


@dataclass(frozen=True, slots=True)
class ReceivedReport:
    """A report with the SHA-256 of the very bytes that came."""

    report: Report
    sha256: str

    @classmethod
    def of(cls, report: Report, body: bytes) -> "ReceivedReport":
        """Make it of a parsed report and its bytes."""
        return cls(report, hashlib.sha256(body).hexdigest())


class ReportStore(Protocol):
    """Where reports are applied."""

    async def apply_report(self, manager_id: str, received: ReceivedReport, now: datetime) -> Sequence[Change]:
        """Apply a report, if it is the next one, together with its number, in one step; returns what changed.

        Objects are written only where their ``rev`` is newer; nothing is created but Workers and frames; what belongs
        to another Manager is left alone. Raises ReportGap, ReportsDiffer.
        """


async def receive_report(
    store: ReportStore, bus: EventBus, manager_id: str, received: ReceivedReport, *, now: datetime
) -> int:
    """Apply a report once, and return the number to acknowledge. Raises ReportGap, ReportsDiffer."""
    changes = await store.apply_report(manager_id, received, now)
    bus.publish(changes)
    return received.report.report


def judge(link: Link, received: ReceivedReport) -> Verdict:
    """Tell what to do with a report, given the last one that was applied. Raises ReportGap, ReportsDiffer."""
    number = received.report.report
    if number > link.last_report + 1:
        raise ReportGap(link.last_report + 1)
    if number <= link.last_report:
        if number == link.last_report and received.sha256 != link.last_report_digest:
            raise ReportsDiffer(number)
        return Verdict.KNOWN
    if received.report.previous != link.last_report_digest:
        raise ReportsDiffer(link.last_report)
    return Verdict.APPLY
