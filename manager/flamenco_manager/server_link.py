"""The link to the Server: hello, orders in, reports out, and what must be sent beside them (manager-api.md)."""

import asyncio
import platform
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import structlog

from flamenco_core import VERSION
from flamenco_core.errors import Conflict, FlamencoError, NotSignedIn
from flamenco_core.wire.manager_api import Hello, HelloReply, Order
from flamenco_manager.farm import Changes
from flamenco_manager.job_arrival import Arrivals, Source
from flamenco_manager.link_watch import LinkWatch
from flamenco_manager.orders import Orders
from flamenco_manager.stores.outbox import FrozenReport, LinkState
from flamenco_manager.uploads import Receiver, Uploads
from flamenco_runtime.http_client import pauses

log = structlog.get_logger()

LINK_AGAIN = (
    "Start it without a token, and without link.json in its data folder: it shows a code, which "
    "'flamenco server link CODE --again' links under the same name."
)
LATEST_REPORT_S = 2.0
"""A change is reported after so long at the latest, when the Server can be reached."""
SOONEST_REPORT_S = 0.05
"""So long changes gather that came together, even when something ended."""
RESTS = 3.0
"""Reports take one part of the time, and rest so many: the busier the site, the more each report coalesces."""


class MustResync(Conflict):
    """The two stores do not fit together: one of them was lost, or put back from a backup."""

    type = "must-resync"


class Server(Source, Receiver, Protocol):
    """The calls to the Server."""

    def know_feeds(self, own: str, servers: str) -> None:
        """Carry both feeds on every call from now on."""

    async def hello(self, hello: Hello) -> HelloReply:
        """Say who we are, and how far we have come."""

    async def orders(self, after: int) -> list[Order]:
        """Wait for orders after a number; asking acknowledges those up to it."""

    async def report(self, body: bytes) -> int:
        """Send a frozen report; returns the number up to which the Server has everything on disk."""


class Outbox(Protocol):
    """How far the link has come, on disk."""

    async def state(self) -> LinkState:
        """Return how far both sides have come."""

    async def adopt_server(self, feed: str) -> None:
        """Note the feed of the Server's store."""

    async def first_report(self) -> tuple[int, str]:
        """Return the number of the first report that we hold or will make, and the digest of the one before it."""

    async def unsent(self) -> FrozenReport | None:
        """Return the first report that the Server has not acknowledged, if any is frozen."""

    async def freeze(self, now: datetime) -> FrozenReport | None:
        """Freeze what was not reported yet into the next report; None if there is nothing new."""

    async def acknowledged(self, number: int) -> None:
        """Drop the reports up to this number."""


@dataclass(frozen=True)
class Introduction:
    """What a Manager says of itself at each hello."""

    name: str
    jobs_folder: str

    def hello(self, state: LinkState, first_report: int, previous_digest: str) -> Hello:
        """Say who we are and how far we have come; the report comes from ``Outbox.first_report``."""
        return Hello(
            name=self.name,
            software=f"Flamenco {VERSION}",
            platform=platform.system().lower(),
            feed=state.feed,
            server_feed=state.server_feed,
            jobs_folder=self.jobs_folder,
            last_order=state.last_order,
            last_order_digest=state.last_order_digest,
            first_report=first_report,
            previous_report_digest=previous_digest,
        )


class ServerLink:
    """Keeps the Server and this Manager in step, for as long as it runs, whatever happens to the connection."""

    def __init__(
        self,
        server: Server,
        outbox: Outbox,
        introduction: Introduction,
        orders: Orders,
        arrivals: Arrivals,
        uploads: Uploads,
        follow_settings: Callable[[Mapping[str, Any]], Awaitable[None]],
        clock: Callable[[], datetime],
        watch: LinkWatch,
    ) -> None:
        self._server = server
        self._outbox = outbox
        self._introduction = introduction
        self._orders = orders
        self._arrivals = arrivals
        self._uploads = uploads
        self._follow_settings = follow_settings
        """Called with the farm's settings at each hello."""
        self._clock = clock
        self._watch = watch
        self.patience_s = 0.0
        """How long we go on without the Server when the two stores do not fit, before we say so."""
        self._changed = asyncio.Event()
        self._urgent = asyncio.Event()

    def note(self, changes: Changes) -> None:
        """Note that there is something to report; sooner, if it began or ended."""
        self._watch.changed()
        self._changed.set()
        if changes.is_urgent:
            self._urgent.set()
        if changes.ended_attempts:
            self._uploads.wake()

    async def run(self) -> None:
        """Stay linked for ever: another feed, or a gap, leads to a new hello.

        Raises MustResync when the two stores do not fit together any more.
        """
        while True:
            await self._hello()
            self._changed.set()
            try:
                # In a task of its own: a TaskGroup cancels the task that it runs in, and 3.11 never takes that back.
                await asyncio.create_task(self._keep_in_step())
            except* Conflict as errors:
                self._watch.lost()
                log.warning("the Server wants a new hello", error=str(errors.exceptions[0]))
            _obey_cancellation()

    async def _keep_in_step(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._take_orders())
            group.create_task(self._send_reports())
            group.create_task(self._arrivals.run(self._server))
            group.create_task(self._uploads.run(self._server))

    async def _hello(self) -> None:
        for pause_s in pauses():
            try:
                await self._say_hello()
            except MustResync:
                await asyncio.sleep(self.patience_s)
                raise
            except NotSignedIn:  # what the Server says of it is meant for people
                log.error("the Server does not know this Manager's token", what_to_do=LINK_AGAIN)
            except FlamencoError as error:
                log.warning("no link to the Server yet", error=str(error))
            else:
                return
            await asyncio.sleep(pause_s)

    async def _say_hello(self) -> None:
        state = await self._outbox.state()
        first_report, previous_digest = await self._outbox.first_report()
        reply = await self._server.hello(self._introduction.hello(state, first_report, previous_digest))
        _check_fit(state, first_report, reply)
        await self._outbox.adopt_server(reply.feed)
        await self._outbox.acknowledged(reply.next_report - 1)
        self._server.know_feeds(state.feed, reply.feed)
        await self._follow_settings(reply.settings)
        self._watch.linked()
        log.info("linked to the Server", manager=reply.manager, next_order=reply.next_order)

    async def _take_orders(self) -> None:
        tries = pauses()
        while True:
            state = await self._outbox.state()
            try:
                orders = await self._server.orders(state.last_order)
                tries = pauses()
                self._watch.linked()
            except Conflict:
                raise
            except FlamencoError as error:
                self._watch.lost()
                log.info("orders cannot be fetched", error=str(error))
                await asyncio.sleep(next(tries))
                continue
            for number, order in enumerate(orders, start=state.last_order + 1):
                if order.order != number:
                    raise Conflict(f"Order {order.order} came where order {number} was due.")
                await self._orders.apply(order)

    async def _send_reports(self) -> None:
        tries = pauses()
        while True:
            began_s = asyncio.get_running_loop().time()
            report = await self._next_report()
            if report is None:
                await self._wait_for_changes()
                continue
            try:
                acknowledged = await self._server.report(report.body)
                tries = pauses()
            except Conflict:
                raise
            except FlamencoError as error:
                self._watch.lost()
                log.warning("report cannot be delivered", report=report.number, error=str(error))
                await asyncio.sleep(next(tries))
                continue
            self._watch.acknowledged()
            await self._outbox.acknowledged(min(acknowledged, report.number))
            took_s = asyncio.get_running_loop().time() - began_s
            await asyncio.sleep(min(LATEST_REPORT_S, max(SOONEST_REPORT_S, RESTS * took_s)))

    async def _next_report(self) -> FrozenReport | None:
        """Return the report that waits for the Server, or else one of what has changed; None if nothing has."""
        report = await self._outbox.unsent()
        if report is not None:
            self._watch.waits()
            return report
        began_s = self._watch.now_s
        report = await self._outbox.freeze(self._clock())
        if report is None:
            self._watch.reported_all(began_s)
        else:
            self._watch.froze(began_s, is_all=report.is_all)
        return report

    async def _wait_for_changes(self) -> None:
        """Wait until there is something to tell, and let it gather: shortly if it is urgent, else a little longer."""
        await self._changed.wait()
        try:
            # Not wait_for: in Python 3.11 it loses a cancellation that comes together with what it waits for.
            async with asyncio.timeout(LATEST_REPORT_S):
                await self._urgent.wait()
        except TimeoutError:
            pass
        else:
            await asyncio.sleep(SOONEST_REPORT_S)
        self._changed.clear()
        self._urgent.clear()


def _obey_cancellation() -> None:
    """End the task that runs this if somebody cancelled it: a TaskGroup forgets that when a child fails as well."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _check_fit(state: LinkState, first_report: int, reply: HelloReply) -> None:
    """Compare what both sides say of the past. Raises MustResync."""
    if reply.resync:
        raise MustResync("The Server asks to begin anew.")
    if state.server_feed not in (None, reply.feed):
        raise MustResync("The Server has another store than the one that this Manager knows.")
    if reply.next_order != state.last_order + 1:
        raise MustResync(
            f"The Server would send order {reply.next_order}, but {state.last_order} is the last one here."
        )
    if not first_report <= reply.next_report <= state.next_report:
        raise MustResync(f"The Server expects report {reply.next_report}, which this Manager does not have.")
