"""What a person, or a program, gets to see of verdicts."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from flamenco_cli.conformance.check import GROUPS, Outcome, Verdict
from flamenco_cli.terminal import harmless

_MARKS = {
    Outcome.PASSED: ("● ok  ", "good"),
    Outcome.FAILED: ("■ FAIL", "bad"),
    Outcome.NEEDS_APPROVAL: ("▲ wait", "doubtful"),
    Outcome.NOT_JUDGED: ("○ –   ", "quiet"),
}


class Printer:
    """Prints verdicts as they come: a heading per section, a line per check, more where one failed.

    ``titles`` are those of the sections, by the number or word that stands before them.
    """

    def __init__(self, console: Console, titles: Mapping[str, str] = GROUPS) -> None:
        self._console = console
        self._titles = titles
        self._group = ""

    def show(self, verdict: Verdict) -> None:
        """Print one verdict."""
        check = verdict.check
        if check.group != self._group:
            self._group = check.group
            self._line(Text(f"\n{check.group}  {self._titles[check.group]}", style="bold"))
        mark, style = _MARKS[verdict.outcome]
        line = Text.assemble((mark, style), f" {check.name}: ", (check.asked, "quiet"))
        line.append(f" → expected {check.expected} ({check.cited})")
        came = harmless(verdict.came)
        if verdict.outcome is Outcome.FAILED:
            self._line(line)
            self._line(Text.assemble("       came:    ", (came, "bad")))
            self._line(Text(f"       to mend: {check.mend}"))
            return
        word = "came" if verdict.outcome is Outcome.PASSED else verdict.outcome.value
        line.append(f"; {word}: {came}" if came else "", style="quiet")
        self._line(line)

    def summary(self, url: str, verdicts: Sequence[Verdict]) -> None:
        """Print how many checks ended how, and repeat which ones failed."""
        failed = [verdict.check.name for verdict in verdicts if verdict.outcome is Outcome.FAILED]
        self._line(Text(f"\n{url}: {_counted(verdicts)}", style="bad" if failed else "good"))
        for name in failed:
            self._line(Text(f"  ■ {name}", style="bad"))

    def _line(self, text: Text) -> None:
        self._console.print(text, soft_wrap=True)


def as_document(
    url: str, verdicts: Sequence[Verdict], titles: Mapping[str, str] = GROUPS, **facts: object
) -> dict[str, Any]:
    """Return everything for programs; ``facts`` are what else there is to say of the whole."""
    counts = Counter(verdict.outcome for verdict in verdicts)
    return {
        "url": url,
        **facts,
        "summary": {_word(outcome): counts[outcome] for outcome in Outcome},
        "checks": [
            {
                "name": verdict.check.name,
                "section": verdict.check.section,
                "group": titles[verdict.check.group],
                **({"says": verdict.check.says} if verdict.check.says else {}),
                "asked": verdict.check.asked,
                "expected": verdict.check.expected,
                "outcome": _word(verdict.outcome),
                "came": verdict.came,
                "mend": verdict.check.mend,
            }
            for verdict in verdicts
        ],
    }


def _word(outcome: Outcome) -> str:
    """Write an outcome as a program likes it."""
    return outcome.name.lower()


def _counted(verdicts: Sequence[Verdict]) -> str:
    counts = Counter(verdict.outcome for verdict in verdicts)
    return ", ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome if counts[outcome]) or "nothing to judge"
