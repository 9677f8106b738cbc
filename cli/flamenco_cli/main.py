"""The root of the ``flamenco`` command, and the one place where errors become a sentence and an exit code."""

import difflib
import io
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from flamenco_cli.exit_codes import ExitCode, exit_code_of
from flamenco_cli.running import FOLDER
from flamenco_cli.teaching import write_lines
from flamenco_cli.terminal import harmless, notes, say
from flamenco_core.errors import FlamencoError

NAME = "flamenco"

_FIRST_STEPS = [
    "flamenco demo                                  see it work: a short animation",
    "flamenco up                                    start a farm on this computer",
    "flamenco open                                  open its page in the browser",
    "flamenco submit scene.blend -f 1-250 --wait    render, and watch",
]

_FINDING = [
    "--data DIR                      the data folder of a farm on this computer",
    "FLAMENCO_URL, FLAMENCO_TOKEN    what the environment says; a token alone is for the farm below",
    "your configuration              what 'flamenco up' or 'flamenco login URL' left there",
]

_SECTIONS = {
    "Jobs": {
        "submit": "submit",
        "jobs": "jobs",
        "job": "jobs",
        "watch": "jobs",
        "why": "why",
        "pause": "steering",
        "resume": "steering",
        "cancel": "steering",
        "requeue": "steering",
        "priority": "steering",
        "delete": "steering",
        "undelete": "steering",
        "tasks": "tasks",
        "log": "tasks",
        "frames": "frames",
    },
    "Farm": {
        "workers": "farm",
        "managers": "farm",
        "job-types": "farm",
        "tag": "farm_wide",
        "settings": "farm_wide",
        "open": "account",
        "login": "account",
    },
    "Services": {"up": "up", "server": "services", "manager": "services", "worker": "services"},
    "More": {"demo": "demo", "conformance": "conformance", "completion": "completion"},
}
"""The commands as help shows them, and the modules that they are in; a module is imported when it is needed."""
_MODULES = {name: module for section in _SECTIONS.values() for name, module in section.items()}


@dataclass
class Invocation:
    """What is known of this call of the program."""

    debug: bool = False


class NobodyReads(Exception):
    """Whoever read our output has gone. Click would leave with 1, which here means that a job failed."""


@contextmanager
def _noticing_gone_readers() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError as error:
        raise NobodyReads from error


class Verbs(click.Group):
    """A group whose commands are imported when they are called."""

    @_noticing_gone_readers()
    def make_context(self, *args: Any, **options: Any) -> click.Context:
        """Read the line; ``--help`` prints here already."""
        return super().make_context(*args, **options)

    @_noticing_gone_readers()
    def invoke(self, ctx: click.Context) -> Any:
        """Carry out what was read."""
        return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the order of the sections."""
        return list(_MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in _MODULES:
            return None
        module = import_module(f"flamenco_cli.commands.{_MODULES[cmd_name]}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_") + "_command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is named; an unknown one is answered with what it resembles."""
        name = args[0]
        if name in _MODULES or ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        alike = " or ".join(repr(known) for known in difflib.get_close_matches(name, _MODULES))
        raise click.UsageError(f"There is no command {name!r}." + (f" Did you mean {alike}?" if alike else ""), ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands in sections."""
        for title, names in _SECTIONS.items():
            rows = [
                (name, command.get_short_help_str(120)) for name in names if (command := self.get_command(ctx, name))
            ]
            with formatter.section(title):
                formatter.write_dl(rows)
        write_lines(formatter, "Which farm, the first found of", _FINDING)
        write_lines(formatter, "First steps", _FIRST_STEPS)


@click.group(cls=Verbs, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--data", type=FOLDER, help="Data folder of the farm, for whichever command follows.")
@click.option("--debug", is_flag=True, help="Show where in the program an error came from.")
@click.version_option(package_name="flamenco", prog_name=NAME)
@click.pass_context
def root(ctx: click.Context, data: Path | None, debug: bool) -> None:
    """Render on a farm: submit jobs, watch them, run the services.

    Jobs, tasks and Workers may be named by the first characters of their id. Exit codes: 0 done, 1 the job failed,
    2 wrong use, 3 cannot connect, 4 not allowed.
    """
    ctx.ensure_object(Invocation).debug = debug
    if data is not None:
        ctx.default_map = {name: {"data": data} for name in _MODULES}
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def run(arguments: Sequence[str]) -> int:
    """Carry out a command line and return the exit code; errors end as a sentence on standard error."""
    invocation = Invocation()
    try:
        returned = root.main(list(arguments), prog_name=NAME, standalone_mode=False, obj=invocation)
        sys.stdout.flush()  # now, so that a reader who has gone is noticed here and not when Python ends
    except (NobodyReads, BrokenPipeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains when it flushes at its end
        return ExitCode.NOBODY_READS
    except (click.ClickException, click.Abort, FlamencoError, KeyboardInterrupt, OSError) as error:
        if invocation.debug:
            notes().print_exception()
        return _explain(error)
    except Exception as error:  # noqa: BLE001 (the last resort: people get a sentence, --debug the traceback)
        if invocation.debug:
            notes().print_exception()
        _say(f"Something went wrong inside Flamenco: {error!r}. 'flamenco --debug …' shows where.")
        return ExitCode.OUR_FAULT
    return returned if isinstance(returned, int) else ExitCode.DONE


def main() -> None:
    """Be the ``flamenco`` program."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without our shapes shows ? in their place
    sys.exit(int(run(sys.argv[1:])))


def _explain(error: BaseException) -> ExitCode:
    if isinstance(error, click.ClickException):
        error.show()
        return ExitCode.WRONG_USE
    if isinstance(error, FlamencoError):
        _say(str(error))
        return exit_code_of(error)
    if isinstance(error, OSError):
        _say(f"{error.filename or 'The system'}: {error.strerror or error}.")
        return ExitCode.WRONG_USE
    say("\nInterrupted.", "quiet")
    return ExitCode.INTERRUPTED


def _say(message: str) -> None:
    notes().print(Text.assemble(("Error: ", "bad"), harmless(message, also="\n")), soft_wrap=True)


if __name__ == "__main__":
    main()
