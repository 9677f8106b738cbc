"""What a Manager forgets in time: Workers that nobody approved, orders that it need not recognise any more, garbage."""

import asyncio
from datetime import datetime
from typing import Protocol

import structlog

from flamenco_core.wire.resync import KEEP_ORDERS
from flamenco_manager.foreman import Foreman
from flamenco_manager.newcomers import forget_gone
from flamenco_runtime import garbage

EVERY_S = 3600.0

log = structlog.get_logger()


class Orders(Protocol):
    """Who keeps the orders that were applied."""

    async def forget_orders(self, before: datetime) -> int:
        """Forget some of those that were applied and reported before this; returns how many. 0: none is left."""


class Tidying:
    """Forgets what is too old, every hour."""

    def __init__(self, foreman: Foreman, orders: Orders) -> None:
        self._foreman = foreman
        self._orders = orders

    async def run(self) -> None:
        """Tidy up for ever."""
        while True:
            await self.tidy()
            await asyncio.sleep(EVERY_S)

    async def tidy(self) -> None:
        """Forget what is too old now."""
        now = self._foreman.now()
        for worker in forget_gone(self._foreman.farm, now):
            log.info(
                "worker forgotten", worker=worker.id, name=worker.name, reason="nobody approved it, and it is gone"
            )
        await self._foreman.settle()
        while await self._orders.forget_orders(now.wall - KEEP_ORDERS):
            pass
        garbage.sort_out()
