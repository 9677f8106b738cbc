from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flamenco_core.paths import BadPath, absolute_path, relative_path, shown

GOOD = [
    "scene.blend",
    "textures/wood.png",
    "a/b/c/d/e",
    ".hidden/x",
    "..data",
    "a..b",
    "...x",
    "with space/and more.blend",
    "ümläut/日本語/😀.png",
    "console.txt",
    "com0",
    "com10.log",
    "auxiliary/nullity",
    "~/x",
    "$HOME/x",
    "-o",
    "{jobs}/x",
    "100%.png",
    "a" * 255,
    "/".join(["a" * 100] * 10),
]
HOSTILE = {
    "": "relative path",
    "/": "relative path",
    "/etc/passwd": "relative path",
    "//server/share": "relative path",
    "..": "has a part '..'",
    "../x": "has a part '..'",
    "a/../../x": "has a part '..'",
    "a/..": "has a part '..'",
    ".": "has a part '.'",
    "./a": "has a part '.'",
    "a/./b": "has a part '.'",
    "a//b": "has a part ''",
    "a/": "has a part ''",
    "a\\b": "backslash",
    "..\\x": "backslash",
    "\\\\server\\share": "backslash",
    "C:\\x": "backslash",
    "C:x": "colon",
    "c:/windows": "colon",
    "a/C:/b": "colon",
    "file.png:stream": "colon",
    "a:": "colon",
    "trailing.": "ends in a dot or a space",
    "trailing /x": "ends in a dot or a space",
    "a/... /x": "ends in a dot or a space",
    "...": "ends in a dot or a space",
    " ": "ends in a dot or a space",
    "con": "device on Windows",
    "NUL": "device on Windows",
    "a/Aux.txt": "device on Windows",
    "nul .txt": "device on Windows",
    "prn.tar.gz": "device on Windows",
    "COM1": "device on Windows",
    "lpt9.x": "device on Windows",
    "com¹.txt": "device on Windows",
    "CONIN$": "device on Windows",
    "a\x00b": "control character",
    "a\nb": "control character",
    "a\x7fb": "control character",
    "a\x85b": "control character",
    "a\x1b[31mb": "control character",
    "a\u2028b": "control character",
    "a\u202egnp.exe": "control character",
    "a\u2066b": "control character",
    "a\ud800b": "control character",
    "a" * 256: "longer than 255 bytes",
    "ü" * 128: "longer than 255 bytes",
    "/".join(["a" * 100] * 11): "longer than 1024 bytes",
}


@pytest.mark.parametrize("text", GOOD)
def test_a_path_inside_the_checkout_is_kept_as_it_is(text: str) -> None:
    assert relative_path(text) == PurePosixPath(text)
    assert str(relative_path(text)) == text


@pytest.mark.parametrize(("text", "reason"), HOSTILE.items(), ids=ascii)
def test_a_hostile_path_is_refused_and_the_message_says_why(text: str, reason: str) -> None:
    with pytest.raises(BadPath) as caught:
        relative_path(text)
    assert reason in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize(
    "device", ["con", "prn", "aux", "nul"] + [f"{p}{n}" for p in ("com", "lpt") for n in range(1, 10)]
)
@pytest.mark.parametrize("pattern", ["{}", "{}.txt", "a/{}/b", "a/{}.b.c"])
def test_windows_devices_are_refused_in_any_case_and_with_any_ending(device: str, pattern: str) -> None:
    for name in (device, device.upper(), device.capitalize()):
        with pytest.raises(BadPath, match="device"):
            relative_path(pattern.format(name))


@given(st.text(max_size=40) | st.lists(st.sampled_from(["..", ".", "a", "", "C:", "nul", "\\", "x "])).map("/".join))
def test_what_is_accepted_stays_inside_the_checkout(text: str) -> None:
    try:
        path = relative_path(text)
    except BadPath:
        return
    assert not path.is_absolute()
    assert ".." not in path.parts
    assert str(path) == text
    assert "\\" not in text
    assert ":" not in text
    assert text.encode().decode() == text


@pytest.mark.parametrize(
    "text",
    [
        "/",
        "/out/frames",
        "/out/######",
        "/a..b/c",
        "/a/..b",
        "/a/b..",
        "/a/.hidden",
        "/a/.",
        "C:/out",
        "c:\\out\\x",
        "\\\\server\\share\\out",
        "{jobs}",
        "{jobs}/x",
        "{shared_2}\\x",
        "/srv/{project}/x",
    ],
)
def test_an_absolute_path_is_kept_as_it_is(text: str) -> None:
    assert absolute_path(text) == text


@pytest.mark.parametrize(
    "text", ["", "out", "./out", "out/x", "~/out", "C:out", "C:", "{jobs", "{}", "{a-b}/x", "\\x", "//"[:0]]
)
def test_a_relative_path_is_refused_since_it_means_something_else_on_every_worker(text: str) -> None:
    with pytest.raises(BadPath, match="must be an absolute path"):
        absolute_path(text)


@pytest.mark.parametrize(
    "text",
    [
        "/..",
        "/../etc",
        "/a/../b",
        "/a/..",
        "C:/a/../b",
        "C:\\a\\..\\b",
        "C:\\..",
        "\\\\s\\..\\x",
        "{jobs}/../x",
        "{jobs}../x",
        "{jobs}..",
        "/a/..{x}",
        "C:\\a\\.. \\b",
        "C:\\a\\...\\b",
        "/a/. ./b",
    ],
)
def test_an_absolute_path_does_not_climb(text: str) -> None:
    with pytest.raises(BadPath, match=r"contains '\.\.'"):
        absolute_path(text)


@pytest.mark.parametrize("text", ["/a\nb", "/a\x00", "/\x1b[0m", "/a\u202eb", "/a\u2029b", "/\udfff"])
def test_an_absolute_path_has_no_control_characters(text: str) -> None:
    with pytest.raises(BadPath, match="control character"):
        absolute_path(text)


@given(st.text(max_size=200))
def test_a_foreign_text_is_shown_short_and_on_one_line(text: str) -> None:
    assert len(shown(text)) <= 80
    assert len(shown(text).splitlines()) == 1


def test_a_foreign_text_is_shown_readably() -> None:
    assert shown("größe.png") == "'größe.png'"
    assert shown("a\u202eb") == r"'a\u202eb'"
    assert shown("x" * 100) == "'" + "x" * 75 + "...'"
    assert shown("it's" * 50).endswith('..."')
