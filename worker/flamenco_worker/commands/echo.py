"""``echo``: writes a message to the task's log."""

from dataclasses import dataclass

from flamenco_worker.command_run import CommandRun
from flamenco_worker.registry import command


@dataclass(frozen=True)
class Echo:
    """``message``: what to write."""

    message: str


@command("echo")
async def echo(parameters: Echo, run: CommandRun) -> None:
    """Write the message, line by line."""
    for line in parameters.message.splitlines() or [""]:
        run.reporter.log(line)
