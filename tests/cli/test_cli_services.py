"""``flamenco server``, ``manager`` and ``worker``: each alone."""

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cli_world import Flamenco, RealServer, Running, flamenco_process

from flamenco_cli.connection import connection_in

Background = Callable[..., Running]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["server", "--listen", "99999"], "listen cannot be '99999': write HOST:PORT"),
        (["server", "--config", "{folder}/missing.toml"], "missing.toml"),
        (["server", "--config", "{folder}/typo.toml"], "lisen"),
        (["server", "--config", "{folder}/broken.toml"], "broken.toml"),
        (["server", "--log-level", "loud"], "'loud' is not one of"),
        (["server", "--data", "{folder}/typo.toml"], "is a file"),
        (["server", "serve"], "No such command 'serve'"),
        (["manager", "--server", "ftp://farm"], "server cannot be 'ftp://farm': write its URL"),
        (["manager", "--listen", "here"], "listen cannot be 'here'"),
        (["worker", "--manager", "farm:8080"], "manager cannot be 'farm:8080': write a URL"),
        (["worker", "--slots", "0"], "0 is not in the range"),
    ],
)
def test_what_cannot_be_meant_stops_the_start_and_changes_nothing(
    flamenco: Flamenco, tmp_path: Path, arguments: list[str], says: str
) -> None:
    (tmp_path / "typo.toml").write_text('lisen = "127.0.0.1:0"\n')
    (tmp_path / "broken.toml").write_text("listen =\n")
    name, *rest = (word.format(folder=tmp_path) for word in arguments)
    data = [] if "--data" in rest else ["--data", tmp_path / "data"]
    outcome = flamenco(name, *data, *rest)
    assert (outcome.status, outcome.out) == (2, "")
    assert says in outcome.message
    assert not (tmp_path / "data").exists()


def test_a_server_says_ready_once_on_standard_output_and_logs_to_standard_error(
    background: Background, tmp_path: Path
) -> None:
    server = background("server", "--data", str(tmp_path / "data"), "--listen", "127.0.0.1:0", "--log-json")
    server.until("ready: ", where="out")
    url = server.out.strip().removeprefix("ready: ")
    assert connection_in(tmp_path / "data").url == url
    taken = flamenco_process(
        "server", "--data", tmp_path / "b", "--listen", url.removeprefix("http://"), config=tmp_path
    )
    assert (taken.status, taken.out) == (3, "")
    assert f"Cannot listen on {url.removeprefix('http://')}: Address already in use. Choose another" in taken.message
    job = flamenco_process(
        "submit", "--type", "echo-sleep-test", "--json", "--data", tmp_path / "data", config=tmp_path
    )
    assert job.status == 0
    server.until("job compiled")
    outcome = server.stop(signal.SIGTERM)
    assert (outcome.status, outcome.out) == (0, f"ready: {url}\n")
    assert [json.loads(line)["level"] for line in outcome.err.splitlines()]


@contextmanager
def linked(background: Background, server: RealServer, data: Path, **environ: str) -> Iterator[Running]:
    manager = background("manager", "--server", server.url, "--data", str(data), "--listen", "127.0.0.1:0", **environ)
    manager.until("linked to the Server")
    yield manager
    assert manager.stop(signal.SIGINT).status == 0


def test_a_manager_is_linked_by_the_token_that_add_manager_printed_and_needs_none_later(
    flamenco: Flamenco, own_server: RealServer, background: Background, tmp_path: Path, config: Path
) -> None:
    token = flamenco("server", "add-manager", "studio").out.strip()
    (config / "connection.json").unlink()
    with linked(background, own_server, tmp_path / "m", FLAMENCO_MANAGER_TOKEN=token) as manager:
        assert token not in manager.err
    with linked(background, own_server, tmp_path / "m"):
        pass


def test_a_manager_adds_itself_where_its_user_is_signed_in_to_that_server(
    flamenco: Flamenco, own_server: RealServer, background: Background, tmp_path: Path
) -> None:
    with linked(background, own_server, tmp_path / "m"):
        (added,) = flamenco("managers", "--json").json
        assert added["away"] is False
