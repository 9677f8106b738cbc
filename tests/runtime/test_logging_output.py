"""Logging is set up for a whole process, so each of these runs in one of its own."""

import json
import subprocess
import sys

import pytest

HOSTILE = "a\nFORGED line\x1b[31m\u2028\u202e"
SAY = f"""
import logging, structlog, sys
from flamenco_runtime.logs import configure_logging
configure_logging(level=sys.argv[1], as_json=sys.argv[2] == "json")
log = structlog.get_logger()
log.debug("quiet")
log.info("task assigned", task="t1", name={HOSTILE!r}, names=[{HOSTILE!r}])
log.warning({HOSTILE!r})
logging.getLogger("library").warning("said %s", {HOSTILE!r})
logging.getLogger("library").info("chatter")
try:
    raise LookupError("the cause")
except LookupError:
    log.exception("request failed", path="/x")
"""


def said(level: str, form: str) -> str:
    done = subprocess.run([sys.executable, "-c", SAY, level, form], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    return done.stderr


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_foreign_text_cannot_forge_a_line_or_steer_a_terminal(form: str) -> None:
    output = said("info", form)
    assert not any(line.startswith("FORGED") for line in output.splitlines())
    assert "\x1b[31m\u2028" not in output
    assert "\u202e" not in output or form == "json"


def test_json_has_an_event_with_its_facts_a_line() -> None:
    entries = [json.loads(line) for line in said("info", "json").splitlines()]
    assert [(entry["event"], entry["level"]) for entry in entries] == [
        ("task assigned", "info"),
        (HOSTILE, "warning"),
        (f"said {HOSTILE}", "warning"),
        ("request failed", "error"),
    ]
    assert entries[0]["task"] == "t1"
    assert entries[0]["name"] == HOSTILE
    assert entries[0]["timestamp"].endswith("Z")
    assert "LookupError: the cause" in entries[3]["exception"]


def test_text_names_facts_and_shows_tracebacks() -> None:
    output = said("info", "text")
    assert "task assigned" in output
    assert "t1" in output
    assert "LookupError: the cause" in output


@pytest.mark.parametrize(("level", "events"), [("debug", 5), ("info", 4), ("warning", 3), ("error", 1)])
def test_the_level_says_what_is_heard(level: str, events: int) -> None:
    assert len(said(level, "json").splitlines()) == events


def test_libraries_chatter_is_not_heard() -> None:
    assert "chatter" not in said("debug", "json")
