"""``flamenco login`` and ``open``."""

import http.client
import io
import json
import os
import pty
import stat
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cli_world import PROGRAM, Flamenco, RealServer, environment, flamenco_process

from flamenco_cli.connection import connection_in


def typed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Let standard input be a file with this in it."""
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def kept(config: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads((config / "connection.json").read_text())
    return found


def test_a_token_from_standard_input_is_checked_and_kept_for_its_owner_only(
    flamenco: Flamenco, server: RealServer, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = connection_in(server.data).token
    typed(monkeypatch, f" {token} \n")
    outcome = flamenco("login", f"{server.url}/")
    assert (outcome.status, outcome.out) == (0, "")
    assert f"Signed in to {server.url} as admin (admin)." in outcome.message
    assert f"{config}/connection.json" in outcome.message
    assert token not in outcome.err
    assert kept(config) == {"url": server.url, "token": token}
    assert stat.S_IMODE((config / "connection.json").stat().st_mode) == 0o600
    assert flamenco("jobs").status == 0


@pytest.mark.parametrize(
    ("url", "token", "status", "says"),
    [
        ("{server}", "wrong", 4, "does not know the token in standard input"),
        ("{server}", "", 4, "What is in standard input is not a token: it is empty"),
        ("{server}", "two words", 4, "What is in standard input is not a token"),
        ("http://127.0.0.1:9", "any", 3, "Connection refused"),
        ("http://no-such-host.invalid", "any", 3, "Cannot reach http://no-such-host.invalid"),
        ("farm", "any", 2, "'farm' is not the URL of a Server. Write it like http://farm:8000."),
    ],
)
def test_a_sign_in_that_does_not_work_keeps_what_was_known(
    flamenco: Flamenco,
    server: RealServer,
    signed_in: object,
    config: Path,
    monkeypatch: pytest.MonkeyPatch,
    url: str,
    token: str,
    status: int,
    says: str,
) -> None:
    before = kept(config)
    typed(monkeypatch, token)
    outcome = flamenco("login", url.format(server=server.url))
    assert (outcome.status, outcome.out) == (status, "")
    assert says in outcome.message
    assert kept(config) == before


def test_on_a_terminal_the_token_is_asked_for_and_not_shown(server: RealServer, config: Path) -> None:
    token = connection_in(server.data).token
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*PROGRAM, "login", server.url],
        env=environment(config),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    shown = b""
    while b"Token:" not in shown:
        shown += os.read(ours, 1024)
    os.write(ours, token.encode() + b"\n")
    assert process.wait(60) == 0
    shown += os.read(ours, 65536)
    os.close(ours)
    assert b"Signed in" in shown
    assert token.encode() not in shown
    assert kept(config)["token"] == token


@pytest.mark.usefixtures("signed_in")
def test_the_link_signs_in_one_browser_once_and_carries_no_token(flamenco: Flamenco, server: RealServer) -> None:
    outcome = flamenco("open", "--print")
    (link,) = outcome.out.split()
    assert (outcome.status, outcome.err) == (0, "")
    assert link.startswith(f"{server.url}/")
    assert connection_in(server.data).token not in link
    first, cookie = followed(link)
    assert first == 303
    assert cookie is not None
    second, cookie = followed(link)
    assert second >= 400
    assert cookie is None


def followed(link: str) -> tuple[int, str | None]:
    """Open a link once, as a browser would: the status, and the cookie that it sets."""
    parts = urlsplit(link)
    connection = http.client.HTTPConnection(parts.netloc, timeout=30)
    connection.request("GET", parts.path)
    answer = connection.getresponse()
    connection.close()
    return answer.status, answer.getheader("Set-Cookie")


@pytest.mark.usefixtures("signed_in")
def test_the_browser_is_opened_with_the_link(server: RealServer, config: Path, tmp_path: Path) -> None:
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened\n')
    browser.chmod(0o755)
    outcome = flamenco_process("open", config=config, BROWSER=f"{browser} %s")
    assert (outcome.status, outcome.out) == (0, "")
    assert outcome.message == f"Opened {server.url} in your browser."
    assert (tmp_path / "opened").read_text().startswith(f"{server.url}/")


@pytest.mark.usefixtures("signed_in")
def test_where_no_browser_can_be_opened_the_link_is_printed(server: RealServer, config: Path) -> None:
    outcome = flamenco_process("open", config=config, BROWSER="false %s")
    assert outcome.status == 0
    assert "No browser could be opened" in outcome.message
    assert outcome.out.startswith(f"{server.url}/")
