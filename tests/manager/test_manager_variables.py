"""Variables in commands: by platform and audience, one way and both ways."""

import string
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flamenco_core.wire.variables import ALL, MOST_VARIABLES, PLATFORMS, Variable, Variables, VariableValue
from flamenco_core.wire.worker_api import Command
from flamenco_manager.farm_variables import FarmVariables
from flamenco_manager.variables import BadVariables, expand, folders, listed, lookup, predefined, read_variables, submit


def one_way(value: str = "", **values: str) -> Variable:
    return variable(value, values, is_twoway=False)


def two_way(value: str = "", **values: str) -> Variable:
    return variable(value, values, is_twoway=True)


def variable(value: str, values: Mapping[str, str], *, is_twoway: bool) -> Variable:
    for_all = [VariableValue(value)] if value else []
    return Variable([*for_all, *(VariableValue(text, platform) for platform, text in values.items())], is_twoway)


def expanded(text: str, variables: Variables, platform: str = "linux", own: str = "linux") -> str:
    (command,) = expand([Command("echo", {"message": text})], lookup(variables, platform, own))
    message: str = command.parameters["message"]
    return message


def submitted(text: str, variables: Variables, platform: str) -> str:
    (command,) = submit([Command("echo", {"message": text})], folders(variables, platform))
    message: str = command.parameters["message"]
    return message


STORAGE = {"storage": two_way(linux="/mnt/storage", windows="S:\\", darwin="/Volumes/storage")}


def test_texts_and_texts_in_lists_are_expanded_and_nothing_else() -> None:
    parameters = {
        "exe": "{blender}",
        "args": ["{jobs}/ID/a.blend", 7, 1.5, None, True, ["{jobs}"]],
        "nested": {"path": "{jobs}"},
        "{jobs}": "{unknown} {blenderArgs}",
        "fps": 24,
    }
    commands = [Command("blender-render", parameters, 3)]
    (command,) = expand(commands, lookup(predefined("/farm/jobs"), "linux", "linux"))
    assert command == Command(
        "blender-render",
        {
            "exe": "blender",
            "args": ["/farm/jobs/ID/a.blend", 7, 1.5, None, True, ["{jobs}"]],
            "nested": {"path": "{jobs}"},
            "{jobs}": "{unknown} -b",
            "fps": 24,
        },
        3,
    )


def test_the_closest_value_holds() -> None:
    variables = {
        "x": Variable(
            [
                VariableValue("any"),
                VariableValue("people", audience="users"),
                VariableValue("linux", "linux"),
                VariableValue("linux workers", "linux", "workers"),
                VariableValue("windows people", "windows", "users"),
            ]
        ),
        "drive": one_way(windows="F:"),
    }
    found = {
        (audience, platform): listed(variables, audience, platform)["x"].value
        for audience in ("workers", "users")
        for platform in ("linux", "windows", "darwin", "plan9", "LINUX")
    }
    assert found == {
        ("workers", "linux"): "linux workers",
        ("workers", "LINUX"): "linux workers",
        ("workers", "windows"): "any",
        ("workers", "darwin"): "any",
        ("workers", "plan9"): "any",
        ("users", "linux"): "linux",
        ("users", "LINUX"): "linux",
        ("users", "windows"): "windows people",
        ("users", "darwin"): "people",
        ("users", "plan9"): "people",
    }
    assert "drive" not in listed(variables, "workers", "linux")


def test_names_in_values_are_filled_in() -> None:
    variables = {"root": one_way("/mnt"), "show": one_way("{root}/show"), "shots": one_way("{show}/{show}/{unknown}")}
    assert expanded("{shots}", variables) == "/mnt/show//mnt/show/{unknown}"


def test_what_is_filled_in_is_not_read_again() -> None:
    assert expanded("{{a}}", {"a": one_way("b"), "b": one_way("no")}) == "{b}"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"a": "x{a}y"}, "x{a}y"),
        ({"a": "{b}", "b": "{a}"}, "{b}"),
        ({"a": "1{b}", "b": "2{c}", "c": "3{b}"}, "12{c}"),
        ({"a": "{b}{c}", "b": "{c}", "c": "end"}, "endend"),
    ],
)
def test_a_name_that_comes_back_to_itself_stays(values: dict[str, str], expected: str) -> None:
    assert expanded("{a}", {name: one_way(value) for name, value in values.items()}) == expected


def test_a_two_way_variable_makes_its_text_a_path_of_the_platform() -> None:
    for platform, expected in (
        ("linux", "/mnt/storage/show/a b/shot.blend"),
        ("windows", "S:\\show\\a b\\shot.blend"),
        ("darwin", "/Volumes/storage/show/a b/shot.blend"),
    ):
        assert expanded("{storage}/show\\a b/shot.blend", STORAGE, platform) == expected


def test_a_one_way_variable_in_which_a_two_way_one_stands_does_too() -> None:
    variables = {**STORAGE, "show": one_way("{storage}/show")}
    assert expanded("{show}/shot.blend", variables, "windows") == "S:\\show\\shot.blend"


def test_a_text_without_two_way_variables_keeps_its_slashes() -> None:
    variables = {**STORAGE, "filter": one_way("scale=iw/2:ih/2")}
    for text in ("{filter},fps=24/1", "a\\b/c", "C:dir", "//textures/a.png"):
        expected = text.replace("{filter}", "scale=iw/2:ih/2")
        assert [expanded(text, variables, platform) for platform in PLATFORMS] == [expected] * len(PLATFORMS)


def test_a_name_without_a_value_on_the_platform_stays_and_so_does_its_text() -> None:
    assert expanded("{storage}\\a/b", STORAGE, "freebsd") == "{storage}\\a/b"


def test_paths_of_this_managers_own_platform_become_those_of_the_workers() -> None:
    variables = {**STORAGE, **predefined("/mnt/storage/farm/jobs")}
    assert expanded("{jobs}/ID/shot.blend", variables, "windows") == "S:\\farm\\jobs\\ID\\shot.blend"
    assert expanded("/mnt/storage", variables, "darwin") == "/Volumes/storage"
    assert expanded("S:/farm/shot.blend", variables, "linux", own="windows") == "/mnt/storage/farm/shot.blend"


def test_a_path_is_moved_once() -> None:
    variables = {"a": two_way(linux="/mnt/long", darwin="/b"), "b": two_way(linux="/b", darwin="/c")}
    assert expanded("/mnt/long/x", variables, "darwin") == "/b/x"


def test_what_a_one_way_variable_names_here_is_no_folder_that_moves() -> None:
    assert expanded("blender", predefined("/jobs"), "windows") == "blender"


def test_a_two_way_variable_that_comes_to_nothing_by_another_changes_no_path() -> None:
    variables = {"root": one_way("/"), "storage": two_way(linux="{root}", windows="S:")}
    for text in ("", "/", "/a"):
        assert expanded(text, variables, "windows") == submitted(text, variables, "linux") == text


def test_separators_that_come_by_another_variable_do_not_matter() -> None:
    variables = {"root": one_way("/mnt/"), "storage": two_way(linux="{root}", windows="S:")}
    assert submitted("/mnt/a", variables, "linux") == "{storage}/a"


def test_a_path_stays_where_it_is_the_same_on_the_workers_platform() -> None:
    assert expanded("/mnt/storage/odd\\name", STORAGE, "linux") == "/mnt/storage/odd\\name"
    assert expanded("/mnt/storage/odd\\name", STORAGE, "freebsd") == "/mnt/storage/odd\\name"  # no value there


@pytest.mark.parametrize("path", ["/mnt/storage2/a", "/mnt/storagea", "x/mnt/storage/a", "/MNT/storage/a", "/mnt", ""])
def test_folders_match_whole_and_exactly(path: str) -> None:
    assert expanded(path, STORAGE, "windows") == path
    assert submitted(path, STORAGE, "linux") == path


def test_on_windows_case_and_slashes_do_not_matter() -> None:
    variables = {
        "storage": two_way(windows="\\\\Server\\Share", linux="/mnt/storage"),
        "drive": two_way(windows="S:\\"),
    }
    for path in ("\\\\server\\SHARE\\a\\B.blend", "//Server/Share/a/B.blend", "\\\\Server/share\\a/B.blend"):
        assert submitted(path, variables, "windows") == "{storage}/a/B.blend"
        assert expanded(path, variables, "linux", own="windows") == "/mnt/storage/a/B.blend"
    for path in ("s:\\a", "S:/a"):
        assert submitted(path, variables, "windows") == "{drive}/a"
    assert expanded("{storage}/a/B", variables, "windows") == "\\\\Server\\Share\\a\\B"


@pytest.mark.parametrize(("text", "expected"), [("{drive}", "F:\\"), ("{drive}dir", "F:\\dir"), ("{drive}/d", "F:\\d")])
def test_a_path_on_a_drive_begins_at_its_root(text: str, expected: str) -> None:
    assert expanded(text, {"drive": two_way(windows="F:\\")}, "windows") == expected


def test_a_drive_alone_does_not_make_a_relative_path_its_own() -> None:
    assert submitted("S:a", STORAGE, "windows") == "S:a"
    assert submitted("S:", STORAGE, "windows") == "{storage}"


def test_the_longest_match_wins() -> None:
    variables = {
        "a": two_way(linux="/mnt", windows="M:"),
        "b": two_way(linux="/mnt/show/shots", windows="P:"),
        "c": two_way(linux="/mnt/show", windows="N:"),
    }
    for path, at_submission, on_windows in (
        ("/mnt/show/shots/1", "{b}/1", "P:\\1"),
        ("/mnt/show/1", "{c}/1", "N:\\1"),
        ("/mnt/show/shots2", "{c}/shots2", "N:\\shots2"),
        ("/mnt/1", "{a}/1", "M:\\1"),
    ):
        assert submitted(path, variables, "linux") == at_submission
        assert expanded(path, variables, "windows") == on_windows


def test_submitters_are_users_and_workers_are_workers() -> None:
    values = [VariableValue("/home/me", "linux", "users"), VariableValue("/mnt", "linux", "workers")]
    variables = {"storage": Variable(values, is_twoway=True)}
    assert submitted("/home/me/a", variables, "linux") == "{storage}/a"
    assert submitted("/mnt/a", variables, "linux") == "/mnt/a"
    assert expanded("{storage}/a", variables) == "/mnt/a"


def test_only_two_way_variables_work_backwards_and_only_for_a_known_platform() -> None:
    assert submitted("/mnt/a", {"one": one_way("/mnt")}, "linux") == "/mnt/a"
    assert submitted("/mnt/storage/a", STORAGE, "") == "/mnt/storage/a"


def test_a_backslash_in_a_name_is_kept_where_it_does_not_separate() -> None:
    assert submitted("/mnt/storage/odd\\name", STORAGE, "linux") == "{storage}/odd\\name"
    assert submitted("S:\\odd\\name", STORAGE, "windows") == "{storage}/odd/name"


def test_at_submission_numbers_and_nested_lists_are_left_alone() -> None:
    command = Command("x", {"a": ["/mnt/storage/a", 7, ["/mnt/storage"]], "b": {"c": "/mnt/storage"}, "d": 1.5}, 2)
    assert submit([command], folders(STORAGE, "linux")) == [
        Command("x", {"a": ["{storage}/a", 7, ["/mnt/storage"]], "b": {"c": "/mnt/storage"}, "d": 1.5}, 2)
    ]


# Properties.

NAMES = st.sampled_from(["a", "b", "c", "d"])
TEXTS = st.lists(st.sampled_from(["{a}", "{b}", "{c}", "{d}", "{e}", "/", "\\", "x", "{", "}", ":"])).map("".join)
PARTS = st.text(string.ascii_letters + string.digits + " ._-ü#", min_size=1, max_size=6)
PLATFORM = st.sampled_from(PLATFORMS)


@given(st.dictionaries(NAMES, TEXTS), TEXTS, PLATFORM)
def test_filling_in_ends_and_leaves_only_names_that_are_unknown_or_in_circles(
    values: dict[str, str], text: str, platform: str
) -> None:
    variables = {name: one_way(value) if value else one_way(linux="") for name, value in values.items()}
    filled = {name: item.value for name, item in listed(variables, "workers", platform).items()}
    assert all(len(value) <= 10_000 for value in filled.values())
    if not any("{" in value for value in filled.values()):
        expected = text
        for name, value in filled.items():
            expected = expected.replace(f"{{{name}}}", value)
        if "{{" not in text:
            assert expanded(text, variables, platform) == expected


@given(st.text(), PLATFORM, PLATFORM)
def test_a_text_without_variables_and_in_no_known_folder_survives(text: str, platform: str, own: str) -> None:
    known = any(part in text.lower() for part in ("storage", "s:"))
    if "{" not in text and not known:
        assert expanded(text, {**STORAGE, **predefined("/jobs")}, platform, own) == text
        assert submitted(text, STORAGE, platform) == text


@given(st.lists(PARTS, max_size=4), st.sampled_from(["linux", "windows", "darwin"]))
def test_a_submitters_path_comes_back_on_the_same_platform(parts: list[str], platform: str) -> None:
    folder = next(value.value for value in STORAGE["storage"].values if value.platform == platform).rstrip("\\")
    separator = "\\" if platform == "windows" else "/"
    path = separator.join([folder, *parts])
    at_submission = submitted(path, STORAGE, platform)
    assert at_submission == "/".join(["{storage}", *parts])
    assert expanded(at_submission, STORAGE, platform) == (path + "\\" if path == "S:" else path)


@given(st.lists(PARTS, min_size=1, max_size=4), PLATFORM, PLATFORM)
def test_a_folder_elsewhere_has_the_same_files_below_it(parts: list[str], sender: str, worker: str) -> None:
    variables = {"storage": two_way("/all/storage", windows="\\\\server\\share", darwin="/Volumes/s")}
    here = listed(variables, "users", sender)["storage"].value
    there = listed(variables, "workers", worker)["storage"].value
    path, expected = here + "/" + "/".join(parts), there + "/" + "/".join(parts)
    assert expanded(submitted(path, variables, sender), variables, worker) == (
        expected.replace("/", "\\") if worker == "windows" else expected
    )


# What settings say.


def test_variables_are_read_from_settings() -> None:
    read = read_variables(
        {
            "storage": {
                "is_twoway": True,
                "values": [{"platform": "linux", "value": "/mnt/s"}, {"audience": "users", "value": "/home/s"}],
            },
            "one": {"values": [{"value": ""}]},
        }
    )
    assert read == {
        "storage": Variable([VariableValue("/mnt/s", "linux"), VariableValue("/home/s", ALL, "users")], is_twoway=True),
        "one": Variable([VariableValue("")]),
    }


VALUES = {"values": [{"value": "/mnt"}]}


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ([], ""),
        ("x", ""),
        (None, ""),
        ({"a b": VALUES}, "a b"),
        ({"": VALUES}, ""),
        ({"9a": VALUES}, "9a"),
        ({"a" * 65: VALUES}, "a" * 65),
        ({"jobs": VALUES}, "jobs"),
        ({"a": []}, "a"),
        ({"a": {}}, "a.values"),
        ({"a": {**VALUES, "is_twoway": 1}}, "a.is_twoway"),
        ({"a": {"values": [{}]}}, "a.values.0.value"),
        ({"a": {"values": [{"value": 1}]}}, "a.values.0.value"),
        ({"a": {"values": [{"value": "a\nb"}]}}, "a.values.0.value"),
        ({"a": {"values": [{"value": "x", "platform": "macos"}]}}, "a.values.0.platform"),
        ({"a": {"values": [{"value": "x", "audience": "all of them"}]}}, "a.values.0.audience"),
        ({"a": {"values": [{"value": "x"}, {"value": "y"}]}}, "a.values.0"),
        ({"a": {"is_twoway": True, "values": [{"value": "/"}]}}, "a.values.0"),
        ({"a": {"is_twoway": True, "values": [{"value": ""}]}}, "a.values.0"),
    ],
)
def test_bad_variables_are_refused_and_the_field_is_named(document: object, field: str) -> None:
    with pytest.raises(BadVariables) as refused:
        read_variables(document)
    assert field in list(refused.value.errors)


def test_why_values_of_a_variable_are_refused_can_be_read() -> None:
    with pytest.raises(BadVariables, match="A two-way variable stands for a folder below the root"):
        read_variables({"a": {"is_twoway": True, "values": [{"value": "/"}]}})
    with pytest.raises(BadVariables, match="There are several for linux, all"):
        read_variables({"a": {"values": [{"value": "x", "platform": "linux"}, {"value": "y", "platform": "linux"}]}})


def test_there_cannot_be_any_number_of_variables() -> None:
    with pytest.raises(BadVariables, match=str(MOST_VARIABLES)):
        read_variables({f"v{number}": VALUES for number in range(MOST_VARIABLES + 1)})


def test_values_cannot_grow_without_measure() -> None:
    doubling = {f"v{number}": {"values": [{"value": f"{{v{number + 1}}}" * 2}]} for number in range(60)}
    with pytest.raises(BadVariables, match="more than 10000 characters"):
        read_variables({**doubling, "v60": VALUES})
    nothing = {**doubling, "v60": {"values": [{"value": ""}]}}
    assert listed(read_variables(nothing), "workers", "linux")["v0"].value == ""


# Which of them hold.


def test_the_servers_variables_replace_those_of_the_settings_file_by_name() -> None:
    of_site = {"a": one_way("site a"), "b": one_way("site b"), "blender": one_way("/opt/blender")}
    known = FarmVariables(of_site, "/farm/jobs", "linux")
    commands = [Command("echo", {"message": "{a} {b} {blender} {ffmpeg} {jobs}"})]
    assert known.expanded(commands, "windows")[0].parameters["message"] == (
        "site a site b /opt/blender ffmpeg.exe /farm/jobs"
    )
    known.use({"a": one_way("server a"), "jobs": one_way("elsewhere")})
    assert known.expanded(commands, "Windows")[0].parameters["message"] == (
        "server a site b /opt/blender ffmpeg.exe /farm/jobs"
    )
    known.use({})
    assert known.expanded(commands, "plan9")[0].parameters["message"] == (
        "site a site b /opt/blender ffmpeg /farm/jobs"
    )


def test_variables_that_do_not_fit_the_others_change_nothing() -> None:
    known = FarmVariables({"a": one_way("x" * 4000)}, "/farm/jobs", "linux")
    with pytest.raises(BadVariables, match="variable b"):
        known.use({"b": one_way("{a}{a}{a}"), "c": one_way("c")})
    assert set(known.listed("workers", "linux")) == {"a", "blender", "blenderArgs", "ffmpeg", "jobs"}


def test_they_are_listed_for_people_and_for_workers() -> None:
    known = FarmVariables(STORAGE, "/farm/jobs", "linux")
    assert known.listed("users", "windows")["storage"].value == "S:"
    assert known.listed("users", "windows")["storage"].is_twoway
    assert not known.listed("workers", "linux")["jobs"].is_twoway
    assert known.listed("nobody", "linux") == known.listed("workers", "plan9") == {}
