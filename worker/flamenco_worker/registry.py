"""The commands that this Worker knows: every module in ``commands/`` adds its own."""

import importlib
import inspect
import pkgutil
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, get_type_hints

from flamenco_worker import commands
from flamenco_worker.command_run import CommandRun
from flamenco_worker.failures import UnknownCommand
from flamenco_worker.parameters import read_parameters

P = TypeVar("P")
CommandFunction = Callable[[P, CommandRun], Awaitable[None]]


@dataclass(frozen=True)
class KnownCommand:
    """A command: its name in tasks, the dataclass of its parameters, and the function that carries it out."""

    name: str
    parameters: type
    function: CommandFunction[Any]


def command(name: str) -> Callable[[CommandFunction[P]], CommandFunction[P]]:
    """Make a function a command; its first argument's type is that of the parameters."""

    def mark(function: CommandFunction[P]) -> CommandFunction[P]:
        function.flamenco_command = name  # type: ignore[attr-defined]
        return function

    return mark


def load_commands() -> dict[str, KnownCommand]:
    """Import every module in ``commands/`` and return the commands found there, by name."""
    found: dict[str, KnownCommand] = {}
    for entry in pkgutil.iter_modules(commands.__path__):
        module = importlib.import_module(f"{commands.__name__}.{entry.name}")
        for _, function in inspect.getmembers(module, inspect.isfunction):
            if name := getattr(function, "flamenco_command", None):
                found[name] = KnownCommand(name, next(iter(get_type_hints(function).values())), function)
    return found


async def run_command(known: Mapping[str, KnownCommand], name: str, given: Mapping[str, Any], run: CommandRun) -> None:
    """Carry out one command. Raises UnknownCommand, BadParameters, or what the command raises (CommandFailed)."""
    if name not in known:
        raise UnknownCommand(f"This Worker does not know the command {name!r}; it knows {', '.join(sorted(known))}.")
    found = known[name]
    await found.function(read_parameters(found.parameters, name, given), run)
