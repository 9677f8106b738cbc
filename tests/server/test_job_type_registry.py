"""Which job types there are: built-in ones, and a studio's own, which are read again when they change."""

import os
from pathlib import Path

import pytest
from server_world import a_job_type

from flamenco_server.job_type_registry import BrokenJobType, JobTypes, UnknownJobType, load_source

GOOD = a_job_type("yield task()")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def types(folder: Path) -> JobTypes:
    return JobTypes(folder)


async def test_built_in_job_types_are_there_without_a_folder() -> None:
    assert {"simple-blender-render", "echo-sleep-test"} <= set(await JobTypes().all())


async def test_an_unknown_job_type_is_told_with_those_that_there_are() -> None:
    with pytest.raises(
        UnknownJobType, match=r"'simple'\. Known are: echo-sleep-test, simple-blender-render"
    ) as refused:
        await JobTypes().get("simple")
    assert list(refused.value.errors) == ["type"]


async def test_a_studios_own_stand_beside_the_built_in_ones(types: JobTypes, folder: Path) -> None:
    built_in = set(await types.all())
    (folder / "own.py").write_text(GOOD)
    assert set(await types.all()) == built_in | {"own"}
    assert (await types.get("own")).source == GOOD


async def test_a_studios_own_wins_over_a_built_in_one_of_the_same_name(types: JobTypes, folder: Path) -> None:
    before = await types.get("echo-sleep-test")
    (folder / "echo.py").write_text(a_job_type("yield task()", name="echo-sleep-test"))
    assert (await types.get("echo-sleep-test")).type.label == "Own"
    (folder / "echo.py").unlink()
    assert await types.get("echo-sleep-test") == before


async def test_a_changed_file_is_read_again_and_has_another_etag(types: JobTypes, folder: Path) -> None:
    file = folder / "own.py"
    file.write_text(GOOD)
    before = await types.get("own")
    assert await types.get("own") is before
    file.write_text(a_job_type("yield task('other')"))
    after = await types.get("own")
    assert after.etag != before.etag
    file.write_text(GOOD)
    os.utime(file, ns=(0, 0))
    assert (await types.get("own")).etag == before.etag


async def test_the_etag_says_which_source_it_was(types: JobTypes, folder: Path) -> None:
    (folder / "own.py").write_text(GOOD)
    loaded = load_source(GOOD, "elsewhere.py")
    assert loaded is not None
    assert (await types.get("own")).etag == loaded.etag
    assert (await JobTypes(folder).get("own")).etag == loaded.etag


async def test_a_file_without_a_job_type_is_no_job_type(types: JobTypes, folder: Path) -> None:
    (folder / "shared.py").write_text("HELPS = 1\n")
    assert set(await types.all()) == set(await JobTypes().all())


@pytest.mark.parametrize(
    "broken",
    [
        b"JOB_TYPE = (",
        b"import no_such_module",
        b"raise RuntimeError('no')",
        b"JOB_TYPE = 'own'",
        b"# caf\xe9",
        b"\0",
        b"# coding: no-such-encoding",
    ],
    ids=["syntax", "import", "raises", "wrong class", "not UTF-8", "NUL", "unknown encoding"],
)
async def test_a_broken_file_is_left_out_and_hides_no_other(types: JobTypes, folder: Path, broken: bytes) -> None:
    (folder / "broken.py").write_bytes(broken)
    (folder / "own.py").write_text(GOOD)
    assert {"own", "echo-sleep-test"} <= set(await types.all())
    (folder / "broken.py").write_text(a_job_type("yield task()", name="mended"))
    assert "mended" in await types.all()


async def test_what_cannot_be_read_is_left_out_and_hides_no_other(types: JobTypes, folder: Path) -> None:
    (folder / "folder.py").mkdir()
    (folder / "gone.py").symlink_to(folder / "nowhere.py")
    (folder / "own.py").write_text(GOOD)
    assert {"own", "echo-sleep-test"} <= set(await types.all())


async def test_a_folder_that_is_not_there_has_no_job_types(tmp_path: Path) -> None:
    assert set(await JobTypes(tmp_path / "nowhere").all()) == set(await JobTypes().all())


@pytest.mark.parametrize(("source", "words"), [("JOB_TYPE = 1", "must be a"), ("1 / 0", "ZeroDivisionError")])
def test_a_broken_source_is_told_with_its_file_and_why(source: str, words: str) -> None:
    with pytest.raises(BrokenJobType, match=f"own.py.*{words}"):
        load_source(source, "own.py")
