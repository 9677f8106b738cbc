"""What the shell is told."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_world import PROGRAM, Flamenco, Outcome, RealServer, Running, environment, flamenco_process

from flamenco_cli.exit_codes import ExitCode, JobNotCompleted, exit_code_of
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


@pytest.mark.parametrize("arguments", [["--help"], ["up", "--help"], ["jobs", "--json"]])
@pytest.mark.usefixtures("signed_in")
def test_a_reader_that_has_gone_is_no_error(config: Path, arguments: list[str]) -> None:
    """``flamenco jobs | true``: nothing is said, and 141 is what a shell calls SIGPIPE."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [*PROGRAM, *arguments],
            env=environment(config, PYTHONUNBUFFERED=""),  # so that little is written before the end
            stdout=writing,
            stderr=subprocess.PIPE,
            timeout=60,
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (ExitCode.NOBODY_READS, b"")


@pytest.mark.parametrize("wrong", [["jbos"], ["submitt"], ["worker", "aprove"], ["jobs", "--statsu", "failed"]])
def test_a_word_that_is_nearly_right_is_answered_with_the_right_one(flamenco: Flamenco, wrong: list[str]) -> None:
    outcome = flamenco(*wrong)
    assert outcome.status == ExitCode.WRONG_USE
    assert "Did you mean" in outcome.message


def test_a_word_like_none_of_ours_is_answered_with_where_they_are_listed(flamenco: Flamenco) -> None:
    outcome = flamenco("xyzzy")
    assert outcome.status == ExitCode.WRONG_USE
    assert "There is no command 'xyzzy'." in outcome.message
    assert "flamenco --help" in outcome.message
    assert "Did you mean" not in outcome.message


def test_ctrl_c_ends_as_130_and_says_so(background: Callable[..., Running], own_server: RealServer) -> None:
    job_id = own_server.submit()
    watching = background("watch", job_id)
    watching.until("Preparing")
    outcome = watching.stop(signal.SIGINT)
    assert outcome.status == ExitCode.INTERRUPTED
    assert "Interrupted." in outcome.err
    assert "Traceback" not in outcome.err
    assert own_server.api.get(f"jobs/{job_id}")["cancel_requested"] is False


def test_a_terminal_that_lacks_our_shapes_gets_question_marks(config: Path, own_server: RealServer) -> None:
    own_server.submit()
    outcome = flamenco_process("jobs", config=config, PYTHONIOENCODING="latin-1")
    assert outcome.status == ExitCode.DONE
    assert "? Preparing" in outcome.out
