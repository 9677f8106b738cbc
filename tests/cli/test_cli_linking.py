"""A Manager without a token shows a code, and ``flamenco server link`` links it: real processes, a real Server."""

import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_world import Flamenco, Outcome, RealServer, Running, flamenco_process

from end_to_end.farm import eventually
from flamenco_core.wire.linking import CODE_LETTERS

Background = Callable[..., Running]
Start = Callable[..., Running]
CODE = re.compile(f"[{CODE_LETTERS}]{{4}}-[{CODE_LETTERS}]{{4}}")


def codes(manager: Running) -> list[str]:
    """The codes that it has shown, each once."""
    return list(dict.fromkeys(CODE.findall(manager.err)))


def until_linked(manager: Running) -> None:
    """Wait until the Server has answered its hello."""
    manager.until("next_order")


@pytest.fixture
def unlinked(background: Background, own_server: RealServer, tmp_path: Path) -> Start:
    """Start a Manager whose user is not signed in anywhere, and wait for its code."""

    def start(name: str = "north", *options: str, data: str = "m") -> Running:
        ports = ["--server", own_server.url, "--listen", "127.0.0.1:0"]
        config = str(tmp_path / "nobody")
        folder = ["--data", str(tmp_path / data)]
        manager = background("manager", *ports, *folder, "--name", name, *options, FLAMENCO_CONFIG_DIR=config)
        manager.until("a person must link this Manager")
        return manager

    return start


def test_a_manager_shows_a_code_is_linked_by_it_and_needs_none_later(
    flamenco: Flamenco, own_server: RealServer, unlinked: Start, background: Background, tmp_path: Path
) -> None:
    manager = unlinked()
    manager.until("Compare the key")
    (code,) = codes(manager)
    shown = " ".join(manager.err.split())
    for words in (f"not linked to the Server {own_server.url} yet", f"{own_server.url}/link", "lives 10 minutes"):
        assert words in shown
    assert f"flamenco server link {code}" in shown
    waiting = flamenco("managers")
    assert "north, from 127.0.0.1, waits to be linked" in waiting.message
    assert code not in waiting.message
    outcome = flamenco("server", "link", code.lower(), "--yes", "--json")
    assert (outcome.status, outcome.json["name"]) == (0, "north")
    key = re.search(r"shown there: ([0-9a-f ]+)", shown)
    assert key is not None
    assert f"Key {key[1].strip()} (the Manager must show the same)" in outcome.message
    until_linked(manager)
    assert (tmp_path / "m" / "link.json").stat().st_mode & 0o777 == 0o600
    (listed,) = flamenco("managers", "--json").json
    assert (listed["name"], listed["away"]) == ("north", False)
    assert manager.stop(signal.SIGTERM).status == 0
    ports = ["--server", own_server.url, "--listen", "127.0.0.1:0", "--data", str(tmp_path / "m")]
    again = background("manager", *ports, FLAMENCO_CONFIG_DIR=str(tmp_path / "nobody"))
    until_linked(again)
    assert codes(again) == []


def test_a_server_that_restarts_meanwhile_does_no_harm(
    flamenco: Flamenco, own_server: RealServer, unlinked: Start
) -> None:
    manager = unlinked()
    own_server.stop()
    manager.until("the Server cannot be asked about the code")
    own_server.start()
    (code,) = codes(manager)
    assert flamenco("server", "link", code, "--yes").status == 0
    until_linked(manager)


def test_a_code_that_is_over_is_followed_by_another(flamenco: Flamenco, unlinked: Start) -> None:
    manager = unlinked()
    told = [flamenco("server", "link", "BBBB-BBBB", "--yes") for _ in range(5)]
    assert [outcome.status for outcome in told] == [2] * 5
    assert "all open codes ended" in told[-1].message
    first, second = eventually(lambda: found if len(found := codes(manager)) == 2 else None, "a second code")
    assert flamenco("server", "link", first, "--yes").status == 2
    assert flamenco("server", "link", second, "--yes").status == 0
    until_linked(manager)


def test_a_manager_that_is_refused_says_so_and_ends(flamenco: Flamenco, unlinked: Start, tmp_path: Path) -> None:
    manager = unlinked()
    (code,) = codes(manager)
    refused = flamenco("server", "link", code, "--refuse")
    assert (refused.status, refused.out) == (0, "")
    assert "north is refused" in refused.message
    outcome = manager.ended()
    assert (outcome.status, outcome.out) == (4, "")
    assert "a person refused it" in outcome.message
    assert not (tmp_path / "m" / "link.json").exists()
    assert flamenco("managers", "--json").json == []


def test_a_manager_that_waits_holds_its_folder_and_can_be_stopped(unlinked: Start, tmp_path: Path) -> None:
    manager = unlinked()
    server = ["--server", "http://127.0.0.1:9"]
    other = flamenco_process("manager", *server, "--data", tmp_path / "m", config=tmp_path / "nobody")
    assert (other.status, other.out) == (2, "")
    assert "Another Manager uses" in other.message
    stopped = manager.stop(signal.SIGINT)
    assert (stopped.status, stopped.out) == (0, "")


def test_names_that_are_taken_and_tokens_that_were_lost(
    flamenco: Flamenco, own_server: RealServer, unlinked: Start
) -> None:
    own_server.api.post("managers", {"name": "north"})
    own_server.api.post("managers", {"name": "east"})
    other, lost = unlinked("north"), unlinked("east", data="lost")
    (code,), (lost_code,) = codes(other), codes(lost)
    outcome = flamenco("server", "link", code, "--yes")
    assert outcome.status == 2
    assert "There is a Manager 'north' already, never seen" in outcome.message
    assert "--name NAME" in outcome.message
    assert "--again" in outcome.message
    assert flamenco("server", "link", code, "--name", "south", "--yes").status == 0
    assert flamenco("server", "link", lost_code, "--again", "--yes").status == 0
    for manager in (other, lost):
        until_linked(manager)
    assert sorted(one["name"] for one in flamenco("managers", "--json").json) == ["east", "north", "south"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["BCDF"], "must be the 8 letters that the Manager shows"),
        (["BCDF-GHJK"], "No Manager shows this code now"),
        (["BCDF-GHJK", "--again", "--name", "x"], "--again goes without --name"),
        (["BCDF-GHJK", "--again", "--refuse"], "--again goes without --name and --refuse"),
    ],
)
def test_what_cannot_be_linked(flamenco: Flamenco, own_server: RealServer, arguments: list[str], says: str) -> None:
    outcome: Outcome = flamenco("server", "link", *arguments, "--yes")
    assert (outcome.status, outcome.out) == (2, "")
    assert says in outcome.message


def test_nobody_is_linked_unasked(flamenco: Flamenco, unlinked: Start) -> None:
    (code,) = codes(unlinked())
    outcome = flamenco("server", "link", code)
    assert outcome.status == 2
    assert "give --yes" in outcome.message
    assert flamenco("managers", "--json").json == []


def test_a_manager_whose_server_is_not_there_yet_goes_on_trying(
    background: Background, flamenco: Flamenco, own_server: RealServer, tmp_path: Path
) -> None:
    url = own_server.url
    own_server.stop()
    manager = background(
        *("manager", "--server", url, "--listen", "127.0.0.1:0", "--data", str(tmp_path / "m"), "--log-json"),
        FLAMENCO_CONFIG_DIR=str(tmp_path / "nobody"),
    )
    manager.until("no code from the Server yet")
    own_server.start()
    manager.until("a person must link this Manager")
    assert "{" in manager.err.splitlines()[0]
    assert flamenco("server", "link", codes(manager)[0], "--yes").status == 0
    until_linked(manager)


def test_what_does_not_link_managers_is_named(background: Background, own_server: RealServer, tmp_path: Path) -> None:
    config = str(tmp_path / "nobody")
    manager = background(
        *("manager", "--server", f"{own_server.url}/elsewhere", "--data", str(tmp_path / "m")),
        FLAMENCO_CONFIG_DIR=config,
    )
    outcome = manager.ended()
    assert (outcome.status, outcome.out) == (4, "")
    assert not (tmp_path / "m" / "link.json").exists()
