"""Every setting of a Manager: written down, read back, and refused by its name where it cannot be meant."""

import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from flamenco_cli.services import manager_settings_document
from flamenco_core.errors import BadInput
from flamenco_manager.settings import Settings
from flamenco_runtime.settings import exposed_secrets, load_settings

PAGE = Path(__file__).parents[2] / "docs" / "manager-settings.md"
EXAMPLES = {item.name for item in fields(Settings) if item.metadata["shown"]}
MAY_BE_THE_DEFAULT = {"data"}
"""Its example is the default where most people are."""
SECRETS = {"token", "registration_token", "metrics_token"}


def load(file: Path) -> Settings:
    return load_settings(Settings, prefix="FLAMENCO_MANAGER_", environ={}, file=file)


def uncommented() -> str:
    """The document with its keys in force."""
    lines = manager_settings_document().splitlines()
    return "\n".join(line[1:] for line in lines if line.startswith("#") and not line.startswith("# "))


def test_the_page_holds_what_the_command_prints() -> None:
    assert f"```toml\n{manager_settings_document()}```\n" in PAGE.read_text(encoding="utf-8"), (
        "put what 'flamenco manager settings' prints into docs/manager-settings.md"
    )


def test_as_it_is_printed_it_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "manager.toml"
    file.write_text(manager_settings_document())
    assert load(file) == Settings()


def test_every_key_is_in_it_once_and_can_be_set_to_what_stands_there(tmp_path: Path) -> None:
    file = tmp_path / "manager.toml"
    file.write_text(uncommented())
    assert tomllib.loads(uncommented()).keys() == {item.name for item in fields(Settings)}
    loaded = load(file)
    for item in fields(Settings):
        if item.name in MAY_BE_THE_DEFAULT:
            continue
        value = getattr(loaded, item.name)
        assert (value == getattr(Settings(), item.name)) is (item.name not in EXAMPLES), item.name


def test_every_key_says_what_it_means() -> None:
    for item in fields(Settings):
        assert len(item.metadata["help"]) > 10, item.name


BAD = [
    *[(key, "5") for key in ("server", "listen", "data", "tls_certificate", "tls_key", "server_ca", "name", "token")],
    *[(key, "[1]") for key in ("registration_token", "metrics_token", "approve", "discovery", "variables")],
    *[
        (key, '""')
        for key in ("server", "listen", "data", "tls_key", "name", "token", "registration_token", "metrics_token")
    ],
    *[("server", value) for value in ('"farm:8000"', '"ftp://farm"')],
    *[("approve", '"nobody"'), ("discovery", '"radio"'), ("trusted_proxies", '"here"'), ("variables", "{x = 1}")],
    *[
        (item.name, value)
        for item in fields(Settings)
        if isinstance(item.default, int | float)
        for value in ('"many"', "true", "-1", "nan", "[]", "1e300")
    ],
    *[(item.name, "1.5") for item in fields(Settings) if isinstance(item.default, int)],
    *[(key, "0") for key in ("connections_per_address", "awaiting_workers", "new_workers_per_hour", "failed_attempts")],
    *[(key, "0") for key in ("lost_attempts", "job_failed_tasks", "keep_logs_days", "keep_previews_days")],
    *[("job_failed_percent", "100.5"), ("most_log_mib", "1"), ("most_log_mib", "65"), ("lisen", '"127.0.0.1:0"')],
]


@pytest.mark.parametrize(("key", "value"), BAD)
def test_what_cannot_be_meant_is_refused_by_its_name(tmp_path: Path, key: str, value: str) -> None:
    file = tmp_path / "manager.toml"
    file.write_text(f"{key} = {value}\n")
    with pytest.raises(BadInput, match=key):
        load(file)


def test_every_number_has_bounds() -> None:
    for item in fields(Settings):
        if isinstance(item.default, int | float):
            assert item.metadata["least"] is not None, item.name


@pytest.mark.parametrize("key", sorted(SECRETS))
def test_a_secret_in_a_file_that_others_may_read_is_found(tmp_path: Path, key: str) -> None:
    file = tmp_path / "manager.toml"
    file.write_text(f'name = "site"\n{key} = "hush"\n')
    for mode, found in ((0o600, []), (0o400, []), (0o640, [key]), (0o604, [key]), (0o666, [key])):
        file.chmod(mode)
        assert exposed_secrets(Settings, file) == found, oct(mode)


def test_a_file_without_secrets_may_be_read_by_all(tmp_path: Path) -> None:
    file = tmp_path / "manager.toml"
    file.write_text('name = "site"\n')
    file.chmod(0o644)
    assert exposed_secrets(Settings, file) == []


def test_no_secret_is_forgotten() -> None:
    assert {item.name for item in fields(Settings) if item.metadata["is_secret"]} == SECRETS
    assert {item.name for item in fields(Settings) if "token" in item.name} == SECRETS
