"""Why a task fails: what a command raises, worded for the person who looks at the task."""

from flamenco_core.errors import FlamencoError


class CommandFailed(FlamencoError):
    """A command could not do its work; the message becomes the task's failure."""

    type = "command-failed"


class BadParameters(CommandFailed):
    """A command was given parameters that it cannot use."""

    type = "bad-parameters"


class UnknownCommand(CommandFailed):
    """No command has this name."""

    type = "unknown-command"
