import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from blender_addon.fake_server import TOKEN, FakeServer, a_worker
from blender_addon.job_type_documents import SIMPLE_RENDER
from flamenco.connection import Connection
from flamenco.job_types import read_job_types
from flamenco.problems import Problem
from flamenco.sending import Doing, JobToSend
from flamenco.session import FARM_EVERY_S, JOB_AFTER_PROBLEM_S, JOB_EVERY_S, Session


class Beat:
    """Ticks a session, by a clock of its own that a test moves."""

    def __init__(self, until: Callable[..., None]) -> None:
        self.session = Session()
        self.now_s = 0.0
        self._until = until

    def until(self, condition: Callable[[], object], what: str) -> None:
        def ticked() -> object:
            self.session.tick(self.now_s)
            return condition()

        self._until(ticked, what)

    def settle(self) -> None:
        """Tick once, and wait until no call is under way."""
        self.session.tick(self.now_s)
        self._until(lambda: not [item for item in threading.enumerate() if item.name == "flamenco"], "all calls ended")

    def send(self, server: FakeServer, folder: Path, etag: str = "etag-1") -> None:
        job_type = read_job_types([{**SIMPLE_RENDER, "etag": etag}])[0]
        job = JobToSend("sh010", job_type, {"frames": "1-24"})
        self.session.send(Connection(server.url, TOKEN), lambda: job, folder)


@pytest.fixture
def beat(until: Callable[..., None]) -> Beat:
    return Beat(until)


def test_connecting_never_waits_and_then_tells_of_workers(server: FakeServer, beat: Beat) -> None:
    session = beat.session
    session.connect(Connection(server.url, TOKEN))
    assert session.farm is not None
    assert session.farm.sentence == f"Connecting to {session.farm.host}…"
    beat.until(lambda: session.farm and session.farm.workers, "the farm is known")
    assert session.farm.sentence.endswith(", 1 of 2 Workers free")


def test_the_farm_is_asked_again_only_while_somebody_looks(server: FakeServer, beat: Beat) -> None:
    session = beat.session
    session.connect(Connection(server.url, TOKEN))
    beat.until(lambda: session.farm and session.farm.workers, "the farm is known")
    asked = len(server.requests)
    server.workers.append(a_worker("node-3"))
    beat.now_s = FARM_EVERY_S + 1
    beat.settle()
    assert len(server.requests) == asked
    session.is_looked_at = True
    beat.until(lambda: session.farm and session.farm.workers and session.farm.workers.total == 3, "it is asked again")


def test_a_server_that_went_away_keeps_what_is_known_and_says_why(server: FakeServer, beat: Beat) -> None:
    session = beat.session
    session.connect(Connection(server.url, TOKEN))
    beat.until(lambda: session.farm and session.farm.workers, "the farm is known")
    server.answers_with = b"gone"
    session.connect(Connection(server.url, TOKEN))
    beat.until(lambda: session.farm and session.farm.problem, "the problem is seen")
    assert session.farm is not None
    assert session.farm.job_types


def test_an_answer_of_the_server_before_is_left_alone(server: FakeServer, beat: Beat) -> None:
    beat.session.connect(Connection(server.url, TOKEN))
    beat.session.disconnect(Problem("No Server is set."))
    asked = len(server.requests)
    beat.until(lambda: len(server.requests) >= max(2, asked), "both answers were given")
    beat.session.tick(1.0)
    assert beat.session.farm is not None
    assert beat.session.farm.job_types == ()


def test_the_panel_is_painted_before_saving_blocks(server: FakeServer, beat: Beat, tmp_path: Path) -> None:
    saved: list[bool] = []

    def save() -> JobToSend:
        saved.append(True)
        return JobToSend("sh010", read_job_types([SIMPLE_RENDER])[0], {})

    beat.session.send(Connection(server.url, TOKEN), save, tmp_path)
    assert beat.session.doing == Doing("Saving a copy…")
    assert beat.session.tick(0.0)
    assert not saved
    beat.session.tick(0.25)
    assert saved


def test_a_copy_that_fails_is_told_and_nothing_is_sent(server: FakeServer, beat: Beat, tmp_path: Path) -> None:
    def save() -> JobToSend:
        raise Problem("No copy could be saved.")

    beat.session.send(Connection(server.url, TOKEN), save, tmp_path)
    beat.until(lambda: beat.session.problem, "the problem is shown")
    assert beat.session.doing is None
    assert not server.requests


def test_a_job_is_followed_to_its_end_with_pictures_and_no_further(
    server: FakeServer, beat: Beat, tmp_path: Path
) -> None:
    session = beat.session
    beat.send(server, tmp_path)
    beat.until(lambda: session.job, "the job is there")
    assert session.job is not None
    server.let_job(session.job.id, status="active", frames_done=9, frame=9)
    beat.now_s += JOB_EVERY_S
    beat.until(lambda: session.picture, "the ninth frame is seen")
    first = session.picture
    server.let_job(session.job.id, status="completed", frames_done=24, frame=24)
    beat.now_s += JOB_EVERY_S
    beat.until(lambda: session.job and session.job.has_ended and session.picture != first, "the end is seen")
    assert [file.name for file in tmp_path.iterdir()] == [session.picture.name if session.picture else ""]
    asked = len(server.requests)
    for _ in range(3):
        beat.now_s += 100
        beat.settle()
    assert len(server.requests) == asked
    session.close()
    assert not list(tmp_path.iterdir())


def test_a_server_that_is_away_for_a_while_is_asked_again(server: FakeServer, beat: Beat, tmp_path: Path) -> None:
    session = beat.session
    beat.send(server, tmp_path)
    beat.until(lambda: session.job, "the job is there")
    server.answers_with = b"away"
    beat.now_s += JOB_EVERY_S
    beat.until(lambda: session.job_problem, "the panel says so")
    server.answers_with = None
    beat.now_s += JOB_AFTER_PROBLEM_S
    beat.until(lambda: session.job_problem is None, "the panel is right again")


def test_cancel_asks_the_server(server: FakeServer, beat: Beat, tmp_path: Path) -> None:
    session = beat.session
    beat.send(server, tmp_path)
    beat.until(lambda: session.job, "the job is there")
    session.cancel_job()
    beat.until(lambda: session.job and session.job.look.word == "Running, canceling", "the request is shown")


def test_a_job_type_that_changed_is_refreshed_and_says_so(server: FakeServer, beat: Beat, tmp_path: Path) -> None:
    session = beat.session
    session.connect(Connection(server.url, TOKEN))
    beat.until(lambda: session.farm and session.farm.workers, "the farm is known")
    server.job_types = [{**SIMPLE_RENDER, "etag": "etag-2"}]
    beat.send(server, tmp_path)
    beat.until(lambda: session.farm and session.farm.job_types[0].etag == "etag-2", "the job type is fresh")
    assert "was refreshed. Look at its settings" in str(session.problem)
    beat.send(server, tmp_path, etag="etag-2")
    beat.until(lambda: session.job, "it is accepted now")
    assert session.problem is None


def test_only_one_job_is_sent_at_a_time(server: FakeServer, beat: Beat, tmp_path: Path) -> None:
    beat.send(server, tmp_path)
    with pytest.raises(Problem, match="is being sent already"):
        beat.send(server, tmp_path)
    beat.session.stop_sending()
    assert beat.session.doing is None
