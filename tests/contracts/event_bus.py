"""What every engine of the event bus promises (``EventBus``)."""

import pytest

from flamenco_server.events import Change, EventBus


class EventBusContract:
    @pytest.fixture
    def bus(self) -> EventBus:
        raise NotImplementedError("the test of an engine overrides this fixture")

    async def test_every_listener_hears_every_change_in_order(self, bus: EventBus) -> None:
        changes = [Change("job", str(number)) for number in range(5)]
        one: list[Change] = []
        other: list[Change] = []
        with bus.listening(one.append), bus.listening(other.append):
            bus.publish(changes[:2])
            bus.publish(changes[2:])
        assert one == other == changes

    async def test_who_no_longer_listens_hears_nothing(self, bus: EventBus) -> None:
        heard: list[Change] = []
        bus.publish([Change("job", "before")])
        with bus.listening(heard.append):
            bus.publish([Change("job", "while")])
        bus.publish([Change("job", "after")])
        assert heard == [Change("job", "while")]

    async def test_one_function_may_listen_twice(self, bus: EventBus) -> None:
        heard: list[Change] = []
        with bus.listening(heard.append):
            with bus.listening(heard.append):
                bus.publish([Change("order", "m")])
            bus.publish([Change("order", "m")])
        assert len(heard) == 3

    async def test_a_listener_may_stop_listening_when_it_hears_something(self, bus: EventBus) -> None:
        heard: list[Change] = []
        last: list[Change] = []
        listening = bus.listening(lambda change: (heard.append(change), listening.__exit__(None, None, None)))
        listening.__enter__()
        with bus.listening(last.append):
            bus.publish([Change("job", "1"), Change("job", "2")])
        assert heard == [Change("job", "1")]
        assert last == [Change("job", "1"), Change("job", "2")]
