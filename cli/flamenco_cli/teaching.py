"""Commands whose help ends with examples."""

from collections.abc import Sequence
from typing import Any

import click

SENTENCE = 200
"""So many characters of a command's first sentence are shown at most."""


class Verb(click.Command):
    """A command with ``examples``: lines that can be typed as they are."""

    def __init__(self, *args: Any, examples: Sequence[str], **options: Any) -> None:
        super().__init__(*args, **options)
        self._examples = examples

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples."""
        write_lines(formatter, "Examples", self._examples)


class Group(click.Group):
    """A group of subcommands, with ``examples``."""

    def __init__(self, *args: Any, examples: Sequence[str], **options: Any) -> None:
        super().__init__(*args, **options)
        self._examples = examples

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples."""
        write_lines(formatter, "Examples", self._examples)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands with their whole first sentences: click cuts them where a line ends."""
        rows = [(name, command.get_short_help_str(SENTENCE)) for name, command in sorted(self.commands.items())]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)


class Service(Group):
    """A group that runs a service when no subcommand is given."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{**options, "invoke_without_command": True})


def write_lines(formatter: click.HelpFormatter, title: str, lines: Sequence[str]) -> None:
    """Write a section of lines that are not wrapped."""
    with formatter.section(title):
        for line in lines:
            formatter.write(f"{'':>{formatter.current_indent}}{line}\n")
