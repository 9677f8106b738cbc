"""What is kept is passed over by the garbage collector, and what is garbage is found all the same."""

import gc
from collections.abc import Iterator

import pytest

from flamenco_runtime import garbage


class Ring:
    """Something that refers to itself, so only the garbage collector finds it."""

    alive = 0

    def __init__(self) -> None:
        self.itself = self
        Ring.alive += 1

    def __del__(self) -> None:
        Ring.alive -= 1


@pytest.fixture(autouse=True)
def nothing_is_kept() -> Iterator[None]:
    gc.collect()
    yield
    gc.unfreeze()


def test_sorting_out_finds_what_was_kept_and_is_garbage_and_keeps_the_rest() -> None:
    Ring()
    garbage.keep()
    gc.collect()
    assert Ring.alive == 1  # it was passed over
    garbage.sort_out()
    assert Ring.alive == 0
    assert gc.get_freeze_count() > 0
