"""Works beside the event loop: in order, together where they come together, each with its own outcome."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from flamenco_runtime.lane import Lane


@pytest.fixture
def lane() -> Iterator[Lane]:
    lane = Lane("test")
    yield lane
    lane.close()


async def test_works_are_done_in_order_in_another_thread(lane: Lane) -> None:
    done: list[int] = []
    await asyncio.gather(*[lane.run(lambda number=number: done.append(number)) for number in range(100)])  # type: ignore[misc]
    assert done == list(range(100))
    assert await lane.run(threading.get_ident) != threading.get_ident()


async def test_a_work_that_raises_harms_no_other(lane: Lane) -> None:
    before, bad, after = lane.run(lambda: 1), lane.run(lambda: 1 // 0), lane.run(lambda: 2)
    assert (await before, await after) == (1, 2)
    with pytest.raises(ZeroDivisionError):
        await bad


async def test_what_comes_while_it_is_busy_goes_together(lane: Lane) -> None:
    gate = threading.Event()
    first = lane.run(gate.wait)
    others = [lane.run(lambda: 0) for _ in range(50)]
    gate.set()
    await first
    resolved_at = []
    for other in others:
        other.add_done_callback(lambda _: resolved_at.append(asyncio.get_running_loop().time()))
    await asyncio.gather(*others)
    assert len(resolved_at) == 50


async def test_a_work_whose_request_went_away_is_done_all_the_same(lane: Lane) -> None:
    gate = threading.Event()
    lane.run(gate.wait)
    done: list[int] = []
    lane.run(lambda: done.append(1)).cancel()
    gate.set()
    await lane.run(lambda: None)
    assert done == [1]


async def test_closing_does_what_waits_and_then_the_last_work() -> None:
    lane, done = Lane("test"), []
    for number in range(10):
        lane.run(lambda number=number: done.append(number))  # type: ignore[misc]
    await asyncio.to_thread(lane.close, lambda: done.append(99))
    assert done == [*range(10), 99]
