"""``sleep``: waits."""

import asyncio
import math
from dataclasses import dataclass, field

from flamenco_worker.command_run import CommandRun
from flamenco_worker.failures import BadParameters
from flamenco_worker.registry import command


@dataclass(frozen=True)
class Sleep:
    """``duration_in_seconds``: how long, from 0 on."""

    duration_in_seconds: float = field(metadata={"key": "duration_in_seconds"})


@command("sleep")
async def sleep(parameters: Sleep, run: CommandRun) -> None:
    """Wait so long. Raises BadParameters for a negative time."""
    seconds = parameters.duration_in_seconds
    if not 0 <= seconds < math.inf:
        raise BadParameters(f"sleep: duration_in_seconds must be 0 or more, not {seconds:g}.")
    run.reporter.log(f"Sleeping for {seconds:g} seconds.")
    await asyncio.sleep(seconds)
