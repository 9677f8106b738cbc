"""Tables that fit where they are shown: what matters least is left out before anything is cut."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from flamenco_cli.terminal import harmless

GAP = 2
"""Cells between two columns."""
LEAST_PROSE = 16
"""Cells that a column of prose needs before it can be read; it wraps beyond that."""


@dataclass(frozen=True)
class Column:
    """A column. One of ``prose`` is wrapped, others never; the highest ``spare`` goes first, 0 never."""

    heading: str
    right: bool = False
    prose: bool = False
    spare: int = 0


class Rows:
    """A table without lines. Texts in it are shown as they are: never as markup, and harmless."""

    def __init__(self, *columns: Column) -> None:
        self._columns = columns
        self._rows: list[Sequence[Text]] = []

    def add(self, *cells: str | Text) -> None:
        """Add a row, a cell for each column."""
        self._rows.append([Text(harmless(cell)) if isinstance(cell, str) else cell for cell in cells])

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        shown = self._shown(options.max_width)
        table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="quiet")
        for number in shown:
            column = self._columns[number]
            table.add_column(
                column.heading,
                justify="right" if column.right else "left",
                no_wrap=not column.prose,
                overflow="fold",
                min_width=self._least(number) if column.prose else self._width(number),
            )
        for row in self._rows:
            table.add_row(*(row[number] for number in shown))
        yield table

    def _shown(self, width: int) -> list[int]:
        """Choose the columns that fit, by their numbers."""
        shown = list(range(len(self._columns)))
        by_worth = sorted((number for number in shown if self._columns[number].spare), key=self._spare, reverse=True)
        for number in by_worth:
            if sum(self._least(kept) + GAP for kept in shown) - GAP > width:
                shown.remove(number)
        return shown

    def _spare(self, number: int) -> int:
        return self._columns[number].spare

    def _least(self, number: int) -> int:
        width = self._width(number)
        return min(width, LEAST_PROSE) if self._columns[number].prose else width

    def _width(self, number: int) -> int:
        return max(cell_len(self._columns[number].heading), *(row[number].cell_len for row in self._rows), 0)
