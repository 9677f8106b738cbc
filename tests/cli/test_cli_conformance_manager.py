"""``flamenco conformance manager``, as a person types it, with our own Manager."""

import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_world import Flamenco, Running

Background = Callable[..., Running]


def test_our_own_manager_conforms(background: Background, tmp_path: Path) -> None:
    kit = background("conformance", "manager")
    kit.until("--data NEW-FOLDER")
    started = re.search(r"FLAMENCO_MANAGER_TOKEN=(\S+) flamenco manager --server (\S+)", kit.err)
    assert started is not None, kit.err
    token, url = started.groups()
    arguments = ["manager", "--server", url, "--data", str(tmp_path / "m"), "--listen", "127.0.0.1:0"]
    manager = background(*arguments, FLAMENCO_MANAGER_TOKEN=token)
    outcome = kit.ended()
    assert outcome.status == 0, outcome.out
    lines = outcome.out.splitlines()
    for heading in ("hello  POST hello", "orders  GET orders", "resync  POST resync"):
        assert heading in lines
    assert lines[-1] == "The Manager: 23 passed"
    assert manager.stop(signal.SIGTERM).status == 0


def test_when_no_manager_comes_there_is_no_verdict(flamenco: Flamenco) -> None:
    outcome = flamenco("conformance", "manager", "--wait", "1")
    assert (outcome.status, outcome.out) == (3, "")
    assert "No Manager called within 1 seconds" in outcome.message


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--only", "nonsense"), "no check and no section 'nonsense'"),
        (("--listen", "here"), "write HOST:PORT"),
        (("--wait", "0"), "--wait"),
    ],
)
def test_wrong_use_is_told(flamenco: Flamenco, options: tuple[str, ...], words: str) -> None:
    outcome = flamenco("conformance", "manager", *options)
    assert (outcome.status, outcome.out) == (2, "")
    assert words in outcome.message
