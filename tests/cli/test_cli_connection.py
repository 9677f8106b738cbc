"""Which Server is talked to, and what is kept of it."""

import json
import os
import stat
from pathlib import Path

import platformdirs
import pytest
from cli_world import Flamenco, RealServer

from flamenco_cli.connection import (
    BadConnectionFile,
    BadServerUrl,
    BadToken,
    Connection,
    NoFarmKnown,
    checked_connection,
    config_folder,
    connection_in,
    find_connection,
    read_connection,
    save_connection,
)
from flamenco_core.errors import NotSignedIn

DATA = Connection("http://data:1", "data-token")
OWN = Connection("http://own:2", "own-token")
GIVEN = {"FLAMENCO_URL": "http://given:3", "FLAMENCO_TOKEN": "given-token"}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return written(tmp_path / "data", DATA)


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """An environment whose configuration folder knows a farm."""
    environ = {"FLAMENCO_CONFIG_DIR": str(tmp_path / "own")}
    save_connection(OWN, environ)
    return environ


def written(folder: Path, connection: Connection) -> Path:
    """Write a connection file as a Server does."""
    folder.mkdir(parents=True)
    (folder / "connection.json").write_text(json.dumps({"url": connection.url, "token": connection.token}))
    return folder


def test_the_data_folder_wins_over_the_environment_and_that_over_the_configuration(
    data: Path, environ: dict[str, str]
) -> None:
    assert find_connection(data, {**environ, **GIVEN}) == DATA
    assert find_connection(None, {**environ, **GIVEN}) == Connection("http://given:3", "given-token")
    assert find_connection(None, environ) == OWN


def test_a_token_of_the_environment_alone_goes_with_the_url_of_the_configuration(environ: dict[str, str]) -> None:
    found = find_connection(None, {**environ, "FLAMENCO_TOKEN": "another"})
    assert found == Connection(OWN.url, "another")
    assert found.token_from == "FLAMENCO_TOKEN"


def test_a_url_of_the_environment_never_goes_with_a_token_of_another_server(environ: dict[str, str]) -> None:
    for token in ({}, {"FLAMENCO_TOKEN": ""}):
        with pytest.raises(NotSignedIn, match="http://given:3, but FLAMENCO_TOKEN is not set"):
            find_connection(None, {**environ, "FLAMENCO_URL": "http://given:3", **token})


def test_empty_variables_are_as_good_as_none(environ: dict[str, str]) -> None:
    assert find_connection(None, {**environ, "FLAMENCO_URL": "", "FLAMENCO_TOKEN": ""}) == OWN


def test_where_no_farm_is_known_it_is_said_how_one_becomes_known(tmp_path: Path) -> None:
    with pytest.raises(NoFarmKnown, match=r"flamenco up.*flamenco login"):
        find_connection(None, {"FLAMENCO_CONFIG_DIR": str(tmp_path)})
    with pytest.raises(NoFarmKnown, match=f"flamenco up --data {tmp_path}"):
        find_connection(tmp_path, {})


def test_the_data_folder_of_up_holds_that_of_its_server(tmp_path: Path) -> None:
    written(tmp_path / "farm" / "server", DATA)
    assert connection_in(tmp_path / "farm") == DATA


def test_the_configuration_folder_is_the_platform_s_unless_the_environment_names_another(tmp_path: Path) -> None:
    assert config_folder({}) == platformdirs.user_config_path("flamenco")
    assert config_folder({"FLAMENCO_CONFIG_DIR": str(tmp_path)}) == tmp_path


def test_what_is_kept_is_for_its_owner_only_whatever_the_umask(tmp_path: Path) -> None:
    environ = {"FLAMENCO_CONFIG_DIR": str(tmp_path / "a" / "b")}
    before = os.umask(0)
    try:
        file = save_connection(OWN, environ)
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text()) == {"url": OWN.url, "token": OWN.token}


def test_a_file_that_everybody_could_read_is_replaced_by_one_that_only_its_owner_can(environ: dict[str, str]) -> None:
    file = config_folder(environ) / "connection.json"
    file.chmod(0o644)
    save_connection(DATA, environ)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert find_connection(None, environ) == DATA
    assert [entry.name for entry in file.parent.iterdir()] == ["connection.json"]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "not json",
        "[]",
        "{}",
        '"text"',
        "7",
        '{"url": "http://farm:1"}',
        '{"token": "t"}',
        '{"url": 7, "token": "t"}',
        '{"url": "http://farm:1", "token": null}',
        '{"url": "farm", "token": "t"}',
        '{"url": "http://farm:1", "token": "two words"}',
        "\xff",
    ],
)
def test_a_file_that_holds_something_else_is_named_and_what_to_do(tmp_path: Path, content: str) -> None:
    file = tmp_path / "connection.json"
    file.write_text(content, encoding="latin-1")
    with pytest.raises(BadConnectionFile, match=r"connection\.json is not a connection file\. Remove it") as caught:
        read_connection(file)
    assert str(tmp_path) in str(caught.value)


def test_a_file_that_cannot_be_read_is_named_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "connection.json").mkdir()
    with pytest.raises(BadConnectionFile, match=r"Cannot read .*connection\.json: Is a directory"):
        read_connection(tmp_path / "connection.json")


@pytest.mark.parametrize(
    "url", ["http://farm", "http://farm:8000/", "https://farm.example/flamenco/", "http://[::1]:8000", "http://1.2.3.4"]
)
def test_a_url_is_kept_without_the_slash_at_its_end(url: str) -> None:
    assert checked_connection(url, "t", token_from="x").url == url.rstrip("/")


@pytest.mark.parametrize(
    "url",
    [
        *("", "farm", "farm:8000", "ftp://farm", "http://", "http://:8000", "http://farm:0", "http://farm:99999"),
        *("http://farm:x", "http://[::1", "http://farm/?a", "http://farm/#a", "http://me:pw@farm", "http://fa rm"),
        *("http://farm\n", "javascript:alert(1)"),
    ],
)
def test_what_is_no_server_s_url_is_refused_with_an_example(url: str) -> None:
    with pytest.raises(BadServerUrl, match="http://farm:8000"):
        checked_connection(url, "t", token_from="x")


@pytest.mark.parametrize("token", ["", " ", "two words", "line\nbreak", "tøken", "\x00"])
def test_what_can_be_no_token_is_told_with_where_it_was_found(token: str) -> None:
    with pytest.raises(BadToken, match="What is in FLAMENCO_TOKEN is not a token"):
        checked_connection("http://farm", token, token_from="FLAMENCO_TOKEN")


def test_a_token_never_shows_when_a_connection_is_printed() -> None:
    assert "own-token" not in repr(OWN)


@pytest.mark.usefixtures("signed_in")
def test_a_command_works_with_each_way_of_finding_the_farm(
    flamenco: Flamenco, server: RealServer, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert flamenco("workers", "--json").json == []
    (config / "connection.json").unlink()
    assert flamenco("workers", "--json").status == 3
    assert flamenco("workers", "--json", "--data", server.data).json == []
    assert flamenco("--data", server.data, "workers", "--json").json == []
    assert flamenco("--data", server.data, "server", "add-manager", "anew", "--json").json["name"] == "anew"
    monkeypatch.setenv("FLAMENCO_URL", server.url)
    assert flamenco("workers").status == 4
    monkeypatch.setenv("FLAMENCO_TOKEN", connection_in(server.data).token)
    assert flamenco("workers", "--json").json == []


@pytest.mark.usefixtures("signed_in")
def test_a_wrong_token_is_told_with_where_it_was_found(
    flamenco: Flamenco, server: RealServer, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_connection(Connection(server.url, "wrong"), {"FLAMENCO_CONFIG_DIR": str(config)})
    outcome = flamenco("jobs")
    assert outcome.status == 4
    assert f"does not know the token in {config}/connection.json" in outcome.message
    assert f"flamenco login {server.url}" in outcome.message
    monkeypatch.setenv("FLAMENCO_TOKEN", "wrong-too")
    assert "does not know the token in FLAMENCO_TOKEN" in flamenco("jobs").message
    assert "wrong-too" not in flamenco("jobs").message


def test_a_server_that_is_not_there_ends_as_3_and_what_to_do(
    flamenco: Flamenco, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLAMENCO_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("FLAMENCO_TOKEN", "any")
    outcome = flamenco("jobs")
    assert outcome.status == 3
    assert "Cannot reach http://127.0.0.1:9" in outcome.message
    assert "Connection refused" in outcome.message
    assert "flamenco up" in outcome.message


def test_a_bad_configuration_file_ends_as_a_sentence(flamenco: Flamenco, config: Path) -> None:
    config.mkdir()
    (config / "connection.json").write_text("{")
    outcome = flamenco("jobs")
    assert outcome.status == 2
    assert f"{config}/connection.json is not a connection file" in outcome.message
