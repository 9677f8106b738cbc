import hashlib
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from blender_addon.fake_server import TOKEN, FakeServer
from blender_addon.job_type_documents import SIMPLE_RENDER
from flamenco.connection import Connection
from flamenco.job_types import read_job_types
from flamenco.problems import CannotConnect, Problem, Refused, Stopped
from flamenco.sending import Copy, JobToSend, Sending
from flamenco.server_client import ServerClient, Workers

CONTENT = b"BLENDER-v304" + bytes(3_000_000)


@pytest.fixture
def client(server: FakeServer) -> ServerClient:
    return ServerClient(Connection(server.url, TOKEN), timeout_s=10)


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    folder = tmp_path / "copy"
    folder.mkdir()
    (folder / "sh010.blend").write_bytes(CONTENT)
    return Copy(folder / "sh010.blend", "sh010.blend")


def a_job_to_send(copy: Copy | None) -> JobToSend:
    return JobToSend("sh010", read_job_types([SIMPLE_RENDER])[0], {"frames": "1-3"}, copy)


def test_the_copy_arrives_whole_and_is_removed(server: FakeServer, client: ServerClient, copy: Copy) -> None:
    job = Sending(client, a_job_to_send(copy)).run()
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    assert server.blobs == {sha256: CONTENT}
    assert server.submissions[0]["files"] == [{"path": "sh010.blend", "sha256": sha256, "size_bytes": len(CONTENT)}]
    assert job["id"] in server.jobs
    assert not copy.file.parent.exists()


def test_what_the_server_has_is_not_sent_again(server: FakeServer, client: ServerClient, copy: Copy) -> None:
    server.blobs[hashlib.sha256(CONTENT).hexdigest()] = CONTENT
    Sending(client, a_job_to_send(copy)).run()
    assert [request.method for request in server.requests] == ["POST", "POST"]


def test_a_lost_answer_never_doubles_a_job(server: FakeServer, client: ServerClient) -> None:
    server.lose_answers = 1
    Sending(client, a_job_to_send(None)).run()
    assert len(server.jobs) == 1
    keys = [request.headers["Idempotency-Key"] for request in server.requests]
    assert len(keys) == 2
    assert len(set(keys)) == 1


def test_stopping_ends_an_upload_and_leaves_no_file_and_no_job(
    server: FakeServer, client: ServerClient, copy: Copy, until: Callable[..., None]
) -> None:
    server.hold_uploads.clear()
    with copy.file.open("ab") as file:
        file.truncate(200_000_000)  # more than the system keeps for a receiver that does not read
    sending = Sending(client, a_job_to_send(copy))
    raised: list[Problem] = []

    def run() -> None:
        with pytest.raises(Stopped) as caught:
            sending.run()
        raised.append(caught.value)

    thread = threading.Thread(target=run)
    thread.start()
    until(lambda: sending.doing.words.startswith("Sending"), "it sends")
    sending.stop()
    server.hold_uploads.set()
    thread.join()
    assert str(raised[0]) == "Sending was stopped; no job was made."
    assert not copy.file.parent.exists()
    assert not server.jobs
    assert not server.blobs


def test_a_failure_leaves_no_file_either(server: FakeServer, copy: Copy) -> None:
    client = ServerClient(Connection(server.url, "wrong"))
    with pytest.raises(Refused, match="does not know your token"):
        Sending(client, a_job_to_send(copy)).run()
    assert not copy.file.parent.exists()


def test_free_workers_are_counted_and_strangers_are_not(server: FakeServer, client: ServerClient) -> None:
    assert client.workers() == Workers(free=1, total=2)
    server.workers[0]["approved"] = False
    assert client.workers() == Workers(free=0, total=1)


def test_a_server_that_is_not_there_says_what_to_look_at() -> None:
    with pytest.raises(CannotConnect, match="See whether it runs and whether its URL is right"):
        ServerClient(Connection("http://127.0.0.1:9", TOKEN)).job_types()


def test_something_else_at_the_url_is_recognised(server: FakeServer) -> None:
    server.answers_with = b"<html>Welcome</html>"
    with pytest.raises(Problem, match="is not a Flamenco Server"):
        ServerClient(Connection(server.url, TOKEN)).job_types()


def test_pictures_are_fetched_from_the_server_itself_only(client: ServerClient) -> None:
    with pytest.raises(Problem, match="not one of its own"):
        client.picture("http://elsewhere/x.jpg")
