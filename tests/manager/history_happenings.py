"""How what happens next in a history is drawn: of all that makes sense just now, some things more often than others."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from naive_records import Brief


@dataclass(frozen=True)
class Deed:
    """One thing that may happen. ``often``: how many times more than others; ``when``: where it makes sense at all."""

    does: Callable[..., None]
    often: int
    when: Callable[[Any], object]
    arguments: dict[str, st.SearchStrategy[Any]]
    is_work: bool

    @property
    def name(self) -> str:
        return self.does.__name__


@dataclass(frozen=True, repr=False)
class Happening(Brief):
    """A deed with its arguments."""

    deed: Deed
    arguments: dict[str, Any]

    def __repr__(self) -> str:
        return f"{self.deed.name}({', '.join(f'{name}={value!r}' for name, value in self.arguments.items())})"


@st.composite
def happenings(draw: st.DrawFn, possible: Sequence[Deed]) -> Happening:
    """Draw one of these deeds, and its arguments."""
    deed = possible[draw(st.integers(0, len(possible) - 1))]
    return Happening(deed, {name: draw(strategy) for name, strategy in deed.arguments.items()})


DEEDS: list[Deed] = []


def deed(
    often: int = 1,
    *,
    is_work: bool = False,
    when: Callable[[Any], object] = lambda _: True,
    **arguments: st.SearchStrategy[Any],
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Let a method be something that may happen, with arguments drawn so. Work is part of each history."""

    def add(does: Callable[..., None]) -> Callable[..., None]:
        DEEDS.append(Deed(does, often, when, arguments, is_work))
        return does

    return add
