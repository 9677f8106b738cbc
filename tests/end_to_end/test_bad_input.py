"""Bad input to a real Server: a clear error that names the field, and nothing left behind."""

import hashlib
import http.client
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from end_to_end.farm import FLAMENCO, Api, Farm, free_port

NO_BLEND = b"This is not a blend file."


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    """A Server alone: what it refuses never gets to a Manager."""
    farm = Farm(tmp_path_factory.mktemp("farm"), blender="none")
    farm.start_server()
    yield farm
    farm.stop()


@pytest.fixture(autouse=True)
def _nothing_is_left_behind(farm: Farm) -> Iterator[None]:
    before = farm.api.get("jobs")["jobs"]
    yield
    assert farm.api.get("jobs")["jobs"] == before == []


def submission(**changes: object) -> dict[str, object]:
    return {"name": "job", "type": "echo-sleep-test", "settings": {"message": "hello"}, **changes}


def animation(**changes: object) -> dict[str, object]:
    settings = {"frames": "1-3", "blendfile": "scene.blend", "render_output_path": "/tmp/out", "fps": 24, **changes}
    return submission(type="simple-blender-render", settings=settings)


def refused(farm: Farm, document: object) -> tuple[int, dict[str, object]]:
    status, body = farm.api.send("POST", "jobs", json.dumps(document).encode())
    return status, json.loads(body)


@pytest.mark.parametrize(
    ("document", "status", "field", "words"),
    [
        (submission(type="no-such-type"), 422, "type", "simple-blender-render"),
        (submission(settings={"sleep_repeats": "many"}), 422, "settings.sleep_repeats", "whole number"),
        (submission(settings={"sleep_repeats": True}), 422, "settings.sleep_repeats", "whole number"),
        (submission(settings={"slep": 1}), 422, "settings.slep", "no such setting; it has message"),
        (submission(priority="high"), 422, "priority", ""),
        (submission(unknown=1), 422, "unknown", ""),
        (submission(name=""), 422, "name", ""),
        (animation(frames="10-1"), 422, "settings.frames", "Write 1-10"),
        (animation(frames="abc"), 422, "settings.frames", "'abc'"),
        (animation(render_output_path="/tmp/../etc"), 422, "settings.render_output_path", "'..'"),
        (animation(render_output_path="somewhere"), 422, "settings.render_output_path", "absolute"),
        (animation(), 422, "settings.blendfile", "scene.blend"),
        (submission(files=[{"path": "../x", "sha256": "0" * 64, "size_bytes": 1}]), 422, "files.0.path", "'..'"),
        (submission(files=[{"path": "/etc/x", "sha256": "0" * 64, "size_bytes": 1}]), 422, "files.0.path", "relative"),
    ],
)
def test_a_bad_field_is_named(farm: Farm, document: object, status: int, field: str, words: str) -> None:
    answered, problem = refused(farm, document)
    assert answered == status, problem
    errors = problem["errors"]
    assert isinstance(errors, dict)
    assert field in errors, errors
    assert words in errors[field]


def test_a_file_that_is_no_blend_file_is_refused(farm: Farm) -> None:
    digest = hashlib.sha256(NO_BLEND).hexdigest()
    assert farm.api.send("PUT", f"blobs/{digest}", NO_BLEND)[0] == 201
    document = animation()
    document["files"] = [{"path": "scene.blend", "sha256": digest, "size_bytes": len(NO_BLEND)}]
    status, problem = refused(farm, document)
    assert status == 422, problem
    assert "settings.blendfile" in problem["errors"]  # type: ignore[operator]


def test_a_file_that_was_not_sent_is_named(farm: Farm) -> None:
    document = submission(files=[{"path": "scene.blend", "sha256": "1" * 64, "size_bytes": 1}])
    status, problem = refused(farm, document)
    assert status == 409
    assert "scene.blend" in str(problem["detail"])


def test_a_hundred_megabytes_of_json_are_refused_unread(farm: Farm) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", farm.server_port, timeout=10)
    connection.putrequest("POST", "/api/v1/jobs")
    for name, value in {
        "Authorization": farm.api.authorization or "",
        "Content-Type": "application/json",
        "Content-Length": str(100 * 1024 * 1024),
    }.items():
        connection.putheader(name, value)
    connection.endheaders(b'{"name": "')
    with connection.getresponse() as response:
        assert response.status == 413
        assert json.loads(response.read())["type"] == "too-large"
    connection.close()


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"settings": ' + b'{"a":' * 50_000 + b"1" + b"}" * 50_001,
        b"{",
        b"\xff\xfe",
        b'{"priority": NaN}',
        b'{"name": "\\ud800"}',
        b"",
    ],
    ids=["deep list", "deep object", "cut", "not UTF-8", "NaN", "lone surrogate", "empty"],
)
def test_what_is_not_json_is_a_400(farm: Farm, body: bytes) -> None:
    status, answer = farm.api.send("POST", "jobs", body)
    assert status == 400
    assert json.loads(answer)["detail"]


@pytest.mark.parametrize("authorization", [None, "Bearer wrong", "Bearer ", "Basic Og==", "nonsense"])
@pytest.mark.parametrize("path", ["jobs", "workers", "managers", "job-types", "events", "me"])
def test_without_the_token_there_is_nothing_to_see(farm: Farm, authorization: str | None, path: str) -> None:
    status, answer = Api(farm.url, authorization).send("GET", path)
    assert status == 401
    assert json.loads(answer)["type"] == "not-signed-in"


@pytest.mark.parametrize(
    ("arguments", "exit_status", "words"),
    [
        (["submit", "no-such-file.blend", "-f", "1", "-o", "out"], 2, "no-such-file.blend"),
        (["submit", "{text}", "-f", "1", "-o", "out"], 2, "not a blend file"),
        (["submit", "--type", "no-such-type"], 2, "no-such-type"),
        (["submit", "--type", "echo-sleep-test", "--set", "sleep_repeats=many"], 2, "sleep_repeats"),
        (["submit", "--type", "echo-sleep-test", "--set", "nonsense"], 2, "KEY=VALUE"),
        (["submit", "{blend}", "-f", "10-1", "-o", "{out}"], 2, "Write 1-10"),
        (["submit", "{blend}", "-f", "abc", "-o", "{out}"], 2, "abc"),
        (["job", "12345678"], 2, "12345678"),
        (["no-such-command"], 2, "no-such-command"),
    ],
)
def test_the_command_line_answers_with_a_sentence(
    farm: Farm, tmp_path: Path, arguments: list[str], exit_status: int, words: str
) -> None:
    (tmp_path / "text.blend").write_bytes(NO_BLEND)
    (tmp_path / "fine.blend").write_bytes(b"BLENDER-v304" + bytes(64))
    names = {"text": tmp_path / "text.blend", "blend": tmp_path / "fine.blend", "out": tmp_path / "out"}
    done = farm.flamenco(*[argument.format(**names) for argument in arguments], check=False)
    assert done.returncode == exit_status, done.stderr
    assert words in " ".join(done.stderr.split())


def test_the_command_line_says_when_it_may_not_or_cannot(farm: Farm) -> None:
    def exit_status(url: str, token: str) -> int:
        environment = {**farm.environment, "FLAMENCO_URL": url, "FLAMENCO_TOKEN": token}
        done = subprocess.run([*FLAMENCO, "jobs"], env=environment, capture_output=True, text=True, timeout=60)
        assert "Traceback" not in done.stderr
        return done.returncode

    assert exit_status(farm.url, "wrong") == 4
    assert exit_status(f"http://127.0.0.1:{free_port()}", "any") == 3
