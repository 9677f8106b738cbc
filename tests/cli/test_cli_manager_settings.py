"""``flamenco manager settings``, and the warning of a settings file whose secrets others may read."""

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_world import Flamenco, Running

Background = Callable[..., Running]
HUSH = "a-token-that-nobody-guesses"


def test_it_prints_a_file_that_a_manager_can_start_with(flamenco: Flamenco) -> None:
    outcome = flamenco("manager", "settings")
    assert (outcome.status, outcome.message) == (0, "")
    assert outcome.out.startswith("# Settings of a Flamenco Manager.")
    assert '\n#listen = "127.0.0.1:8080"\n' in outcome.out


@pytest.mark.parametrize(("mode", "is_warned"), [(0o600, False), (0o644, True)])
def test_secrets_that_others_may_read_are_warned_of_and_never_shown(
    background: Background, tmp_path: Path, mode: int, is_warned: bool
) -> None:
    file = tmp_path / "manager.toml"
    file.write_text(f'token = "{HUSH}"\nmetrics_token = "{HUSH}"\nserver = "http://127.0.0.1:9"\n')
    file.chmod(mode)
    manager = background(
        *("manager", "--config", str(file), "--data", str(tmp_path / "m"), "--listen", "127.0.0.1:0", "--log-json")
    )
    manager.until("no link to the Server yet")
    outcome = manager.stop(signal.SIGTERM)
    assert outcome.status == 0
    warned = [line for line in map(json.loads, outcome.err.splitlines()) if "may read secrets" in line["event"]]
    assert len(warned) == is_warned
    if warned:
        assert warned[0]["keys"] == ["token", "metrics_token"]
        assert warned[0]["what_to_do"] == f"chmod 600 {file}"
    assert HUSH not in outcome.err + outcome.out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["worker", "--manager", "https://127.0.0.1:9", "--ca", "{folder}/none.pem"], "none.pem: No such file"),
        (
            ["worker", "--manager", "https://127.0.0.1:9", "--ca", "{folder}/words.pem"],
            "words.pem is not a certificate",
        ),
        (["manager", "--config", "{folder}/tls.toml"], "none.pem: No such file"),
        (["manager", "--config", "{folder}/half.toml"], "tls_key is missing"),
        (["manager", "--config", "{folder}/unlinked.toml"], "none.pem: No such file"),
    ],
)
def test_a_certificate_that_cannot_be_used_stops_the_start_with_its_name(
    flamenco: Flamenco, tmp_path: Path, arguments: list[str], says: str
) -> None:
    (tmp_path / "words.pem").write_text("hello")
    none = tmp_path / "none.pem"
    (tmp_path / "tls.toml").write_text(f'tls_certificate = "{none}"\ntls_key = "{none}"\ntoken = "t"\n')
    (tmp_path / "unlinked.toml").write_text(f'tls_certificate = "{none}"\ntls_key = "{none}"\n')
    (tmp_path / "half.toml").write_text(f'tls_certificate = "{none}"\ntoken = "t"\n')
    name, *rest = (word.format(folder=tmp_path) for word in arguments)
    outcome = flamenco(name, "--data", tmp_path / "data", *rest)
    assert (outcome.status, outcome.out) == (2, "")
    assert says in outcome.message
