"""What all tests share: a closed network (see pyproject.toml), and a summary of the real programs that were driven."""

import os
import signal
import tempfile
from collections import Counter
from pathlib import Path

import pytest

from what_ran import RECORD

pytest.register_assert_rewrite("contracts")


def pytest_configure(config: pytest.Config) -> None:
    """Let all test processes of this run note what they drive in one file, and Ctrl-C reach what they start.

    Shells start what runs in the background with SIGINT ignored, and children inherit that.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if not hasattr(config, "workerinput") and RECORD not in os.environ:
        handle, path = tempfile.mkstemp(prefix="flamenco-tests-")
        os.close(handle)
        os.environ[RECORD] = path


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what ran against what."""
    path = Path(os.environ[RECORD])
    programs = Counter(path.read_text(encoding="utf-8").splitlines())
    terminalreporter.section("real programs that were driven")
    for program, times in sorted(programs.items()):
        terminalreporter.write_line(f"{program} ({times} times)")
    if not programs:
        terminalreporter.write_line("none")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the file of notes."""
    if not hasattr(config, "workerinput"):
        Path(os.environ.pop(RECORD)).unlink(missing_ok=True)
