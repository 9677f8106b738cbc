from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flamenco_core.errors import BadInput
from flamenco_runtime.settings import Address, BadSettings, load_settings, parse_address, setting

PREFIX = "FLAMENCO_TEST_"


def read_names(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError("write a list of names")
    if "" in value:
        raise BadInput("A name is empty.", {"names.0": "Empty."})
    return tuple(value)


@dataclass(frozen=True)
class Settings:
    data: Path = setting(Path("/var/data"), "A folder.")
    listen: Address = setting(Address("127.0.0.1", 8000), "HOST:PORT.")
    job_types: Path | None = setting(None, "A folder.")
    token: str | None = setting(None, "A secret.")
    name: str = setting("node", "A name.")
    slots: int = setting(1, "How many.")
    timeout_s: float = setting(60.0, "Seconds.")
    approve: bool = setting(False, "Whether.")
    names: tuple[str, ...] = setting((), "Some names.", read=read_names)


def load(
    tmp_path: Path, toml: str | None = None, environ: dict[str, str] | None = None, **overrides: object
) -> Settings:
    file = None
    if toml is not None:
        file = tmp_path / "settings.toml"
        file.write_text(toml)
    return load_settings(Settings, prefix=PREFIX, environ=environ or {}, file=file, overrides=overrides)


def test_defaults_hold_where_nothing_is_given(tmp_path: Path) -> None:
    assert load(tmp_path) == Settings()


def test_later_sources_win(tmp_path: Path) -> None:
    toml = 'name = "file"\nslots = 2\ntimeout_s = 2.5\n'
    environ = {"FLAMENCO_TEST_NAME": "environment", "FLAMENCO_TEST_SLOTS": "3"}
    loaded = load(tmp_path, toml, environ, name="command line", slots=None)
    assert (loaded.name, loaded.slots, loaded.timeout_s) == ("command line", 3, 2.5)


def test_values_of_the_environment_become_what_the_fields_are(tmp_path: Path) -> None:
    given = {
        "DATA": "/srv/x", "LISTEN": "0.0.0.0:80", "JOB_TYPES": "/srv/types", "TOKEN": "abc", "NAME": "n", "SLOTS": "4",
        "TIMEOUT_S": "1e2", "APPROVE": "Yes",
    }  # fmt: skip
    loaded = load(tmp_path, environ={PREFIX + key: value for key, value in given.items()})
    assert loaded == Settings(Path("/srv/x"), Address("0.0.0.0", 80), Path("/srv/types"), "abc", "n", 4, 100.0, True)


def test_values_of_the_command_line_may_be_what_the_fields_are(tmp_path: Path) -> None:
    loaded = load(tmp_path, data=Path("/x"), listen=Address("::1", 0), slots=2, approve=True, timeout_s=3)
    assert (loaded.data, loaded.listen, loaded.slots, loaded.approve) == (Path("/x"), Address("::1", 0), 2, True)


def test_a_field_may_have_a_reader_of_its_own(tmp_path: Path) -> None:
    assert load(tmp_path, 'names = ["a", "b"]').names == ("a", "b")
    with pytest.raises(BadSettings, match=r"the environment: names cannot be 'a': write a list of names"):
        load(tmp_path, environ={"FLAMENCO_TEST_NAMES": "a"})
    with pytest.raises(BadSettings, match=r"settings.toml: names: A name is empty") as refused:
        load(tmp_path, 'names = [""]')
    assert refused.value.errors == {"names.0": "Empty."}


def test_paths_become_absolute_and_know_the_home_folder(tmp_path: Path) -> None:
    assert load(tmp_path, data="x/y").data == Path.cwd() / "x" / "y"
    assert load(tmp_path, data="~/y").data == Path.home() / "y"


def test_foreign_variables_are_left_alone(tmp_path: Path) -> None:
    assert load(tmp_path, environ={"FLAMENCO_URL": "http://x", "PATH": "/bin", "FLAMENCO_TESTX": "1"}) == Settings()


@pytest.mark.parametrize(
    ("toml", "environ", "overrides", "source"),
    [
        ("slotz = 1", {}, {}, "settings.toml"),
        ("", {"FLAMENCO_TEST_SLOTZ": "1"}, {}, "the environment"),
        ("", {}, {"slotz": 1}, "the command line"),
    ],
)
def test_an_unknown_key_stops_the_start(
    tmp_path: Path, toml: str, environ: dict[str, str], overrides: dict[str, object], source: str
) -> None:
    with pytest.raises(BadSettings) as caught:
        load(tmp_path, toml, environ, **overrides)
    message = str(caught.value)
    assert f"{source}: unknown setting 'slotz'. Known are: approve, data," in message


BAD: dict[str, list[object]] = {
    "slots": ["", "x", "1.5", "--5", "+5", "²", "٣", "0x10", "1e3", "9" * 5000, " 1", True, 1.5, [1]],
    "timeout_s": ["", "x", "nan", "inf", "-inf", True, [1.0]],
    "approve": ["", "maybe", "2", 2, []],
    "listen": [
        "", "8000", ":8000", "localhost", "localhost:", "localhost:x", "localhost:65536", "localhost:-1",
        "localhost:9" + "9" * 5000, "http://localhost:80", "h:²", 8000,
    ],
    "data": ["", "a\0b", 5, True],
    "job_types": ["", 5],
    "name": [5, True, ["x"], {"x": 1}],
    "token": [5, False],
}  # fmt: skip


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in BAD.items() for value in values])
def test_a_bad_value_stops_the_start_and_the_message_names_key_source_and_cure(
    tmp_path: Path, key: str, value: object
) -> None:
    with pytest.raises(BadSettings) as caught:
        load(tmp_path, **{key: value})
    assert str(caught.value).startswith(f"the command line: {key} cannot be ")


def test_the_cure_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match=r"cannot be '8000': write HOST:PORT, for example 127\.0\.0\.1:8000\."):
        load(tmp_path, environ={"FLAMENCO_TEST_LISTEN": "8000"})


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match=r"Cannot read the settings file .*none\.toml: No such file"):
        load_settings(Settings, prefix=PREFIX, environ={}, file=tmp_path / "none.toml")


@pytest.mark.parametrize("contents", [b"slots = ", b"\xff\xfe", b"slots = 1\nslots = 2"])
def test_a_file_that_is_not_toml_is_named(tmp_path: Path, contents: bytes) -> None:
    file = tmp_path / "settings.toml"
    file.write_bytes(contents)
    with pytest.raises(BadSettings, match="is not a TOML file"):
        load_settings(Settings, prefix=PREFIX, environ={}, file=file)


@given(st.sampled_from(["127.0.0.1", "localhost", "::1", "::", "0.0.0.0", "node-1.example"]), st.integers(0, 65535))
def test_an_address_is_written_and_read_again(host: str, port: int) -> None:
    assert parse_address(str(Address(host, port))) == Address(host, port)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),
        ("::", "http://[::1]:80"),
        ("fe80::1", "http://[fe80::1]:80"),
    ],
)
def test_an_address_has_a_url_that_this_machine_can_open(host: str, url: str) -> None:
    assert Address(host, 80).url == url
