"""What a running Manager does for whoever keeps it: a check, and a backup, while it goes on."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from flamenco_core.errors import Conflict
from flamenco_manager.audit import Audit
from flamenco_manager.long_work import OnProgress, Tell, telling

Copy = Callable[[Path, OnProgress], Mapping[str, Any]]
"""Copies the store into a file, in the thread that calls it, and returns what it holds."""


class AtWork(Conflict):
    """The same is being done already."""

    type = "at-work"


class RunningUpkeep:
    """Checks and backs up a running Manager; one at a time, so that they take no more than their share of it."""

    def __init__(self, audit: Audit, copy: Copy) -> None:
        self._audit = audit
        self._copy = copy
        self._turn = asyncio.Lock()

    async def check(self, tell: Tell) -> Mapping[str, Any]:
        """Check memory and store. Raises AtWork, Unavailable."""
        async with self._alone():
            return (await self._audit.run(tell)).document()

    async def back_up(self, target: Path, tell: Tell) -> Mapping[str, Any]:
        """Copy the store as it is now into a file. Raises AtWork, CopyFailed, DamagedStore."""
        async with self._alone():
            return await telling("Copying the store", tell, lambda on_progress: self._copy(target, on_progress))

    def _alone(self) -> asyncio.Lock:
        if self._turn.locked():
            raise AtWork("This Manager is just being checked or backed up: try again when that is done.")
        return self._turn
