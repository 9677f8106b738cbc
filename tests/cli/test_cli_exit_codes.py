"""What the shell is told."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from cli_world import Outcome, environment

from flamenco_cli.exit_codes import ExitCode, JobNotCompleted, exit_code_of
from flamenco_cli.main import root
from flamenco_core.errors import (
    BadInput,
    Conflict,
    FlamencoError,
    Forbidden,
    NotFound,
    NotSignedIn,
    Outdated,
    TooLarge,
    Unavailable,
)
from flamenco_runtime.http_client import Unreachable
from flamenco_runtime.service import PortTaken


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (JobNotCompleted, 1),
        (BadInput, 2),
        (TooLarge, 2),
        (NotFound, 2),
        (Conflict, 2),
        (Outdated, 2),
        (FlamencoError, 2),
        (Unavailable, 3),
        (Unreachable, 3),
        (PortTaken, 3),
        (NotSignedIn, 4),
        (Forbidden, 4),
    ],
)
def test_each_kind_of_error_has_its_exit_code(error: type[FlamencoError], code: int) -> None:
    assert exit_code_of(error("why")) == code


@pytest.fixture
def failing(request: pytest.FixtureRequest) -> Iterator[str]:
    """A command that raises what the test asks for, as a command line may meet it."""
    raises = request.param

    @click.command("fail-on-purpose")
    def command() -> None:
        raise raises

    root.add_command(command)
    yield "fail-on-purpose"
    root.commands.pop("fail-on-purpose")


def carried_out(code: str, tmp_path: Path, *arguments: str) -> Outcome:
    """Run ``flamenco`` in a process in which ``code`` ran first."""
    program = f"import sys; {code}; from flamenco_cli.main import main; sys.argv[0] = 'flamenco'; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=60,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


BROKEN = "import flamenco_cli.connection as c; c.connection_in = lambda data: 1 / 0"
"""A mistake of ours, in a process of its own."""


def test_a_mistake_of_ours_ends_as_a_sentence_and_code_70(tmp_path: Path) -> None:
    outcome = carried_out(BROKEN, tmp_path, "jobs", "--data", str(tmp_path))
    assert outcome.status == ExitCode.OUR_FAULT
    assert "Traceback" not in outcome.err
    assert "flamenco --debug" in outcome.message
    assert outcome.out == ""


def test_debug_shows_where(tmp_path: Path) -> None:
    outcome = carried_out(BROKEN, tmp_path, "--debug", "jobs", "--data", str(tmp_path))
    assert outcome.status == ExitCode.OUR_FAULT
    assert "ZeroDivisionError" in outcome.err
    assert "Traceback" in outcome.err


def test_a_reader_that_has_gone_is_no_error(tmp_path: Path) -> None:
    """``flamenco --help | true``: nobody reads, nothing is said."""
    command = f"{sys.executable} -m flamenco_cli completion bash | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command], env=environment(tmp_path), capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() in ("0", "141")  # 0: it was all in the pipe before the reader went
    assert "BrokenPipe" not in done.stderr
    assert "Traceback" not in done.stderr
