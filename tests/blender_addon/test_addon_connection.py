import json
from pathlib import Path

import pytest

from flamenco.connection import Connection, choose_connection, config_folder
from flamenco.problems import Problem


def stored_at(folder: Path, content: str = '{"url": "http://127.0.0.1:8000", "token": "stored"}') -> dict[str, str]:
    (folder / "connection.json").write_text(content)
    return {"FLAMENCO_CONFIG_DIR": str(folder)}


def test_empty_preferences_take_what_flamenco_up_left(tmp_path: Path) -> None:
    environ = stored_at(tmp_path)
    assert choose_connection("", "", environ, tmp_path) == Connection("http://127.0.0.1:8000", "stored")
    assert choose_connection("http://127.0.0.1:8000/", "own", environ, tmp_path).token == "own"


def test_the_stored_token_is_never_sent_to_another_server(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="No token for http://farm is set"):
        choose_connection("http://farm", "", stored_at(tmp_path), tmp_path)


def test_without_anything_the_sentence_says_where_to_type(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="Type its URL and your token"):
        choose_connection("", "", {"FLAMENCO_CONFIG_DIR": str(tmp_path)}, tmp_path)


@pytest.mark.parametrize("content", ["{", "[]", '{"url": 1}', json.dumps({"url": "ftp://x", "token": "t"})])
def test_a_broken_connection_file_is_named(tmp_path: Path, content: str) -> None:
    with pytest.raises(Problem, match=r"connection\.json cannot be read|is not the URL"):
        choose_connection("", "", stored_at(tmp_path, content), tmp_path)


@pytest.mark.parametrize("url", ["farm:8000", "ftp://farm", "http://", "http://farm:port", "http://farm:0"])
def test_a_url_that_is_none_says_how_one_looks(tmp_path: Path, url: str) -> None:
    with pytest.raises(Problem, match=r"It looks like http://127\.0\.0\.1:8000"):
        choose_connection(url, "token", {"FLAMENCO_CONFIG_DIR": str(tmp_path)}, tmp_path)


@pytest.mark.parametrize(
    ("platform", "environ", "folder"),
    [
        ("linux", {}, "/home/me/.config/flamenco"),
        ("linux", {"XDG_CONFIG_HOME": "/cfg"}, "/cfg/flamenco"),
        ("darwin", {}, "/home/me/Library/Application Support/flamenco"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/flamenco/flamenco"),
        ("win32", {"FLAMENCO_CONFIG_DIR": "/own"}, "/own"),
    ],
)
def test_the_configuration_is_where_the_command_line_has_it(
    platform: str, environ: dict[str, str], folder: str
) -> None:
    assert config_folder(environ, Path("/home/me"), platform) == Path(folder)
