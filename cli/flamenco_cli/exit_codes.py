"""What the shell is told at the end (ux.md, "CLI")."""

from enum import IntEnum

from flamenco_core.errors import FlamencoError, Forbidden, NotSignedIn, Unavailable


class ExitCode(IntEnum):
    """Exit codes of every ``flamenco`` command."""

    DONE = 0
    """It was done."""
    JOB_FAILED = 1
    """The job that was waited for ended, and not as completed."""
    DIFFERS = 1
    """What was judged does not conform (the same number: something that was looked at is not as it should be)."""
    WRONG_USE = 2
    """What was asked cannot be done like this; the message says how."""
    CANNOT_CONNECT = 3
    """Nobody answered, or a service could not start."""
    NOT_ALLOWED = 4
    """No credentials, or ones that do not allow it."""
    OUR_FAULT = 70
    """A mistake in Flamenco itself (EX_SOFTWARE of sysexits.h)."""
    INTERRUPTED = 130
    """Ctrl-C, as shells number it: 128 + SIGINT."""
    NOBODY_READS = 141
    """Whoever read our output has gone (``flamenco jobs | head``): 128 + SIGPIPE."""


class JobNotCompleted(FlamencoError):
    """The job that was waited for has ended, but it failed or was canceled."""

    type = "job-not-completed"


def exit_code_of(error: FlamencoError) -> ExitCode:
    """Map one of our errors to what the shell is told."""
    if isinstance(error, JobNotCompleted):
        return ExitCode.JOB_FAILED
    if isinstance(error, Unavailable):
        return ExitCode.CANNOT_CONNECT
    if isinstance(error, NotSignedIn | Forbidden):
        return ExitCode.NOT_ALLOWED
    return ExitCode.WRONG_USE
