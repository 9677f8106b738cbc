"""``flamenco submit``: everything that can be checked is checked before a byte is sent."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cli_world import Flamenco, RealServer, flamenco_process
from lossy_proxy import LossyProxy, lose_first, lossy_proxy

from flamenco_cli.blobs import Blob, ChangedFile, hashed, upload
from flamenco_cli.client import open_client
from flamenco_cli.commands.submit import WORTH_SHOWING_BYTES
from flamenco_cli.connection import Connection, connection_in, save_connection

pytestmark = pytest.mark.usefixtures("signed_in")

NAP = ["--type", "echo-sleep-test"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: a blend file, as far as can be told without Blender, and one that is none."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    (folder / "scene.blend").write_bytes(b"BLENDER-v405" + os.urandom(1000))
    (folder / "text.blend").write_text("not Blender's")
    return folder


@pytest.fixture
def proxy(server: RealServer, config: Path) -> Iterator[LossyProxy]:
    """A proxy between the user and the Server."""
    with lossy_proxy(server.url) as proxy:
        token = connection_in(server.data).token
        save_connection(Connection(proxy.url, token), {"FLAMENCO_CONFIG_DIR": str(config)})
        yield proxy


def jobs(server: RealServer) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = server.api.get("jobs?limit=200")["jobs"]
    return found


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


WRONG: list[tuple[list[str], str]] = [
    ([], "needs a blend file: flamenco submit FILE.blend -f 1-250 -o DIR"),
    (["missing.blend"], "There is no file missing.blend"),
    (["."], ". is a folder, not a blend file"),
    (["text.blend"], "text.blend is not a blend file"),
    (["text.blend", *NAP], "text.blend is not a blend file"),
    (["scene.blend", "-f", "10-1"], "-f: '10-1' ends before it begins. Write 1-10 instead"),
    (["scene.blend", "-f", "abc"], "-f: 'abc' is not a frame range. Write for example 1-250"),
    (["scene.blend", "-f", ""], "-f: No frames given"),
    (["scene.blend", "-f", "1", "-o", ""], "-o: the folder is empty"),
    (["scene.blend", "-f", "1", "-o", " "], "-o: the folder is empty"),
    (["scene.blend", "-f", "1-10:0"], "-f: '1-10:0' has a step of 0"),
    (["scene.blend", "-f", "1-2000000"], "-f: '1-2000000' goes beyond frame"),
    (["scene.blend", "--set", "frames=abc"], "settings.frames: 'abc' is not a frame range"),
    (["scene.blend", "-f", "1", "--set", "frames=1"], "Give the frames once: -f or --set frames=…, not both"),
    (["scene.blend", "-o", "x", "--set", "render_output_path=/y", "-f", "1"], "Give the render_output_path once: -o"),
    (["scene.blend", "-f", "1", "--set", "blendfile=x.blend"], "Give the blendfile once: FILE or"),
    (["scene.blend", "-f", "1", "-o", "text.blend/x"], "Cannot make the output folder"),
    (["scene.blend", "-f", "1", "-o", "/proc/no"], "Cannot make the output folder /proc/no"),
    (["scene.blend", "-f", "1", "--set", "render_output_path=/a/../b"], "'/a/../b' contains '..'"),
    (
        ["scene.blend", "-f", "1", "--set", "chunk_size=many"],
        "Setting chunk_size cannot be 'many': write a whole number",
    ),
    (["scene.blend", "-f", "1", "--set", "chunk_size=-1"], "settings.chunk_size: -1"),
    (["scene.blend", "-f", "1", "--set", "format=GIF"], "settings.format: 'GIF' is not one of PNG"),
    (["scene.blend", "-f", "1", "--set", "colour=red"], "has no setting 'colour'. It has: blendfile, chunk_size"),
    (["scene.blend", "-f", "1", "--set", "fps"], "'fps' is not a setting. Write KEY=VALUE"),
    (
        ["scene.blend", "-f", "1", "--type", "nope"],
        "There is no job type 'nope'. This Server has: echo-sleep-test, simple",
    ),
    (["scene.blend", "-f", "1", "--type", "../x"], "There is no job type '../x'"),
    (["scene.blend", "-f", "1", "--name", "a\nb"], "name: must be a line of text"),
    (["scene.blend", "-f", "1", "--name", "x" * 201], "name:"),
    (["scene.blend", "-f", "1", "--name", "\udcff"], "'\\udcff' is not UTF-8 text"),
    (["scene.blend", "-f", "1", "--set", "scene=\udcff"], "is not UTF-8 text"),
    (["scene.blend", "-f", "1", "-o", "\udcff"], "is not UTF-8 text"),
    (["scene.blend", "-f", "1", "--priority", "101"], "Invalid value for '--priority'"),
    (["scene.blend", "another.blend"], "unexpected extra argument"),
    ([*NAP, "-f", "1"], "Job type echo-sleep-test has no setting frames: leave -f out"),
    ([*NAP, "-o", "x"], "has no setting render_output_path: leave -o out"),
    ([*NAP, "scene.blend"], "has no setting blendfile: leave FILE out"),
    ([*NAP, "--set", "sleep_repeats=-1"], "settings.sleep_repeats: -1 is less than 0"),
    ([*NAP, "--set", "sleep_duration_seconds=soon"], "Setting sleep_duration_seconds cannot be 'soon': write a number"),
]


@pytest.mark.parametrize(("arguments", "says"), WRONG, ids=[" ".join(map(ascii, words)) for words, _ in WRONG])
def test_what_cannot_be_meant_is_told_and_leaves_nothing_anywhere(
    flamenco: Flamenco, server: RealServer, folder: Path, arguments: list[str], says: str
) -> None:
    before = (jobs(server), tree(folder), tree(server.data / "blobs"))
    for more in ([], ["--json", "--wait"]):
        outcome = flamenco("submit", *arguments, *more)
        assert (outcome.status, outcome.out) == (2, "")
        assert says in outcome.message
    assert (jobs(server), tree(folder), tree(server.data / "blobs")) == before


@pytest.mark.parametrize("name", ["CON.blend", "tab\tbed.blend", "\udcff.blend"])
def test_a_file_whose_name_some_worker_could_not_have_is_refused(
    flamenco: Flamenco, server: RealServer, folder: Path, name: str
) -> None:
    (folder / "scene.blend").rename(folder / name)
    before = len(jobs(server))
    outcome = flamenco("submit", name, "-f", "1")
    assert outcome.status == 2
    assert "Save the file under another name." in outcome.message
    assert len(jobs(server)) == before


def test_a_file_that_may_not_be_read_is_named(flamenco: Flamenco, folder: Path) -> None:
    (folder / "loop.blend").symlink_to("loop.blend")
    outcome = flamenco("submit", "loop.blend", "-f", "1")
    assert outcome.status == 2
    assert "Cannot read loop.blend" in outcome.message


def test_a_job_is_printed_as_its_id_and_its_page(flamenco: Flamenco, server: RealServer, folder: Path) -> None:
    outcome = flamenco("submit", "scene.blend", "-f", "1-3", "-o", "out")
    assert outcome.status == 0
    job = jobs(server)[0]
    assert outcome.out.splitlines() == [job["id"], f"{server.url}/jobs/{job['id']}"]
    assert outcome.err == ""
    settings = server.api.get(f"jobs/{job['id']}")["settings"]
    assert (job["name"], job["priority"]) == ("scene", 50)
    assert settings["frames"] == "1-3"
    assert settings["blendfile"] == "scene.blend"
    assert settings["render_output_path"] == str(folder / "out")
    assert (folder / "out").is_dir()


def test_what_was_chosen_for_the_person_is_told(flamenco: Flamenco, folder: Path) -> None:
    (folder / "scene.blend").rename(folder / "[red]boom.blend")
    outcome = flamenco("submit", "[red]boom.blend", "-f", "1", "--json")
    assert outcome.err == f"Frames go to {folder}/[red]boom-frames (choose another folder with -o).\n"
    assert outcome.json["settings"]["render_output_path"] == f"{folder}/[red]boom-frames"
    assert outcome.json["name"] == "[red]boom"


def test_the_frames_of_the_file_are_meant_when_none_are_given(flamenco: Flamenco, scene: Path, tmp_path: Path) -> None:
    outcome = flamenco("submit", scene, "-o", tmp_path / "out", "--json")
    assert outcome.json["frames"] == "1-6"
    assert outcome.err == "Frames 1-6, as set in the file (choose others with -f).\n"


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("a/../b", "{folder}/b"),
        ("../work/c/", "{folder}/c"),
        ("~/d", "{home}/d"),
        ("e/frame_####", "{folder}/e/frame_####"),
    ],
)
def test_the_output_is_made_absolute_before_it_is_sent(
    flamenco: Flamenco, folder: Path, monkeypatch: pytest.MonkeyPatch, given: str, meant: str
) -> None:
    home = folder.parent / "home"
    monkeypatch.setenv("HOME", str(home))
    output = flamenco("submit", "scene.blend", "-f", "1", "-o", given, "--json").json["settings"]["render_output_path"]
    assert output == meant.format(folder=folder, home=home)
    made = Path(output).parent if "#" in output else Path(output)
    assert made.is_dir()
    assert not Path(output, "####").exists()


def test_json_prints_the_job_and_nothing_else(flamenco: Flamenco, server: RealServer) -> None:
    outcome = flamenco(
        "submit", *NAP, "--set", "sleep_repeats=1000", "--set", "sleep_duration_seconds=0", "--json", "--priority", 7
    )
    assert outcome.status == 0
    assert outcome.json == server.api.get(f"jobs/{outcome.json['id']}") | {
        key: outcome.json[key] for key in ("status", "activity", "task_count", "task_counts", "steps_total")
    }
    assert outcome.json["settings"]["sleep_repeats"] == 1000
    assert outcome.json["settings"]["sleep_duration_seconds"] == 0
    assert (outcome.json["name"], outcome.json["priority"]) == ("Echo and sleep", 7)


def test_an_existing_output_folder_is_left_as_it_is_when_the_job_is_refused(flamenco: Flamenco, folder: Path) -> None:
    (folder / "out").mkdir()
    assert flamenco("submit", "scene.blend", "-f", "1", "-o", "out/new/deep", "--set", "format=GIF").status == 2
    assert tree(folder / "out") == []


def test_a_file_that_the_server_has_is_not_sent_again(flamenco: Flamenco, proxy: LossyProxy, folder: Path) -> None:
    for _ in range(2):
        assert flamenco("submit", "scene.blend", "-f", "1", "-o", "out").status == 0
    assert proxy.times("PUT", "/api/v1/blobs/") == 1


def test_a_lost_answer_does_not_double_the_job(flamenco: Flamenco, proxy: LossyProxy, server: RealServer) -> None:
    before = len(jobs(server))
    proxy.loses = lose_first(2, "POST", "/api/v1/jobs")
    outcome = flamenco("submit", *NAP, "--json")
    assert proxy.times("POST", "/api/v1/jobs") == 3
    assert outcome.status == 0
    assert [job["id"] for job in jobs(server)][: len(jobs(server)) - before] == [outcome.json["id"]]


def test_a_lost_answer_to_a_file_is_no_loss(flamenco: Flamenco, proxy: LossyProxy, folder: Path) -> None:
    proxy.loses = lose_first(1, "PUT", "/api/v1/blobs/")
    assert flamenco("submit", "scene.blend", "-f", "1", "-o", "out").status == 0
    assert proxy.times("PUT", "/api/v1/blobs/") == 2


def test_a_server_whose_answers_never_come_is_given_up_as_3(
    flamenco: Flamenco, proxy: LossyProxy, server: RealServer
) -> None:
    before = len(jobs(server))
    proxy.loses = lambda method, path: method == "POST"
    outcome = flamenco("submit", *NAP)
    assert (outcome.status, outcome.out) == (3, "")
    assert "Cannot reach" in outcome.message
    assert len(jobs(server)) == before + 1, "however often it asked"


async def test_a_file_that_changes_while_it_is_sent_is_told_as_that(server: RealServer, tmp_path: Path) -> None:
    file = tmp_path / "scene.blend"
    file.write_bytes(b"BLENDER before" * 100)
    blob = await hashed(file, "scene.blend", lambda more: None)
    file.write_bytes(b"BLENDER after!" * 100)
    assert isinstance(blob, Blob)
    async with open_client(connection_in(server.data)) as client:
        with pytest.raises(ChangedFile, match=r"scene\.blend changed while it was sent"):
            await upload(client, blob, lambda more: None)


async def test_every_byte_is_counted_once_also_when_it_is_sent_twice(
    proxy: LossyProxy, server: RealServer, tmp_path: Path
) -> None:
    file = tmp_path / "scene.blend"
    file.write_bytes(os.urandom(3_000_000))
    read, sent = list[int](), list[int]()
    blob = await hashed(file, "scene.blend", read.append)
    proxy.loses = lose_first(1, "PUT", "/api/v1/blobs/")
    async with open_client(Connection(proxy.url, connection_in(server.data).token)) as client:
        await upload(client, blob, sent.append)
    assert sum(read) == sum(sent) == blob.size_bytes


def test_off_a_terminal_a_big_file_is_announced(flamenco: Flamenco, folder: Path) -> None:
    with (folder / "scene.blend").open("ab") as file:
        file.truncate(WORTH_SHOWING_BYTES)
    outcome = flamenco("submit", "scene.blend", "-f", "1", "-o", "out", "--json")
    assert outcome.err.splitlines() == ["Reading 20 MB …", "Sending 20 MB …"]
    assert outcome.json["status"] == "under-construction"


def test_without_the_library_that_reads_blend_files_the_frames_must_be_given(config: Path, folder: Path) -> None:
    (folder / "sitecustomize.py").write_text("import sys; sys.modules['blender_asset_tracer'] = None")
    outcome = flamenco_process(
        "submit", "scene.blend", config=config, PYTHONPATH=f"{folder}:{os.environ.get('PYTHONPATH', '')}"
    )
    assert outcome.status == 3
    assert "pip install 'flamenco[submit]'. Or give the frames: -f 1-250." in outcome.message
