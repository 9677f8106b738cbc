"""``flamenco conformance``: a whole farm is judged as a person would do it."""

import json
import re
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from cli_world import Flamenco, Up, flamenco_process

from end_to_end.farm import eventually
from flamenco_cli.connection import connection_in

pytestmark = pytest.mark.timeout(180)

WORKER_API = ("conformance", "worker-api")


def manager_url(farm: Up) -> str:
    """Where a farm without Workers says that some can be started."""
    farm.until("ready: ", where="out")
    found = re.search(r"flamenco worker --manager (http://\S+)", farm.err)
    assert found, farm.err
    return found[1]


@pytest.fixture
def farm(start_up: Callable[..., Up]) -> Up:
    """A farm without Workers of its own."""
    return start_up("--workers", "0")


def test_our_own_farm_conforms_and_nothing_is_left_behind(farm: Up) -> None:
    url = manager_url(farm)
    outcome = flamenco_process(*WORKER_API, url, "--task-source", "flamenco", config=farm.config)
    assert outcome.status == 0, outcome.out
    lines = outcome.out.splitlines()
    for heading in ("1  Transport", "6  Worker endpoints", "15  What Flamenco adds"):
        assert heading in lines
    for words in ("POST task twice → expected the same task again (worker-api.md 6.6); came: 200", "202"):
        assert words in outcome.out
    assert re.fullmatch(rf"{url}: \d{{3}} passed, \d not judged", lines[-1])
    jobs = flamenco_process("jobs", "--json", config=farm.config).json
    assert {job["status"] for job in jobs} <= {"canceled", "cancel-requested", "failed", "completed"}
    eventually(lambda: not workers_of(farm), "the Workers that were played are removed", deadline_s=20)


def workers_of(farm: Up) -> list[str]:
    workers = flamenco_process("workers", "--json", config=farm.config).json
    return [worker["name"] for worker in workers]


def test_the_url_alone_is_enough_for_most_and_programs_get_json(farm: Up) -> None:
    outcome = flamenco_process(*WORKER_API, manager_url(farm), "--json", config=farm.folder / "nobody")
    assert outcome.status == 0
    document = outcome.json
    assert document["summary"]["passed"] >= 60
    assert (document["summary"]["failed"], document["summary"]["needs_approval"]) == (0, 0)
    check = next(one for one in document["checks"] if one["name"] == "an-unknown-task-is-404")
    assert (check["section"], check["outcome"], check["expected"]) == ("6.7", "passed", "404")
    assert check["came"].startswith("404 ")


def test_a_server_can_be_named(farm: Up) -> None:
    url = manager_url(farm)
    connection = connection_in(farm.data)
    options = ("--task-source", "flamenco", "--server", connection.url, "--token", connection.token, "--only", "6.8")
    outcome = flamenco_process(*WORKER_API, url, *options, config=farm.folder / "nobody")
    assert (outcome.status, "7 passed" in outcome.out) == (0, True), outcome.out


class Stranger(BaseHTTPRequestHandler):
    """Answers everything as a web server does that is no Manager."""

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b"<html>\x1b[31mhello</html>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_DELETE = do_GET  # noqa: N815 (what the base class looks for)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def stranger() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Stranger)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield "http://{}:{}".format(*server.server_address)
    server.shutdown()
    thread.join()
    server.server_close()


def test_what_differs_is_told_with_what_came_and_how_to_mend_it(flamenco: Flamenco, stranger: str) -> None:
    outcome = flamenco(*WORKER_API, stranger, "--only", "version-tells-who-answers")
    assert outcome.status == 1
    lines = outcome.out.splitlines()
    assert "■ FAIL version-tells-who-answers: GET version without credentials" in outcome.out
    assert "came:    GET version: 200 <html>\\x1b[31mhello</html>" in outcome.out
    assert any(line.strip().startswith("to mend: Answer version") for line in lines)
    assert lines[-2:] == [f"{stranger}: 1 failed", "  ■ version-tells-who-answers"]


def test_something_that_is_no_manager_at_all_passes_nothing_but_keeping_connections(
    flamenco: Flamenco, stranger: str
) -> None:
    document = json.loads(flamenco(*WORKER_API, stranger, "--json").out)
    assert {one["name"] for one in document["checks"] if one["outcome"] == "passed"} <= {"connections-are-kept"}
    assert document["summary"]["failed"] > 50


def test_nobody_there_is_no_verdict(flamenco: Flamenco) -> None:
    outcome = flamenco(*WORKER_API, "http://127.0.0.1:9")
    assert outcome.status == 3
    assert "Cannot reach http://127.0.0.1:9: Connection refused." in outcome.message


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--only", "no-such-check"), "no check and no section 'no-such-check'"),
        (("--task-source", "elsewhere"), "'elsewhere' is not one of"),
        (("--server", "http://farm"), "--task-source flamenco"),
        (("--task-source", "flamenco", "--server", "http://farm"), "--server needs --token"),
        (("--task-source", "flamenco", "--token", "t"), "--token needs --server"),
        (("--task-source", "flamenco", "--server", "farm", "--token", "t"), "not the URL of a Server"),
        (("--wait", "-1"), "--wait"),
    ],
)
def test_wrong_use_is_told(flamenco: Flamenco, options: tuple[str, ...], words: str) -> None:
    outcome = flamenco(*WORKER_API, "http://127.0.0.1:9", *options)
    assert (outcome.status, outcome.out) == (2, "")
    assert words in outcome.message


def test_a_url_that_is_none_is_told(flamenco: Flamenco) -> None:
    outcome = flamenco(*WORKER_API, "render-manager")
    assert outcome.status == 2
    assert "http://render-manager:8080" in outcome.message
