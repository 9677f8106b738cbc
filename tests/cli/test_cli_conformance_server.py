"""``flamenco conformance server``, as a person types it, at a real Server."""

import pytest
from cli_world import Flamenco, RealServer


@pytest.fixture
def token(own_server: RealServer) -> str:
    """The token of a Manager that was just added."""
    added: str = own_server.api.post("managers", {"name": "conformance"})["token"]
    return added


def test_our_own_server_conforms(flamenco: Flamenco, own_server: RealServer, token: str) -> None:
    outcome = flamenco("conformance", "server", own_server.url, "--token", token, "--people", "flamenco")
    assert outcome.status == 0, outcome.out
    lines = outcome.out.splitlines()
    for heading in ("errors  Calls and errors", "reports  POST reports", "resync  POST resync"):
        assert heading in lines
    assert "(manager-api.md: “Reports change jobs and tasks; they never create any.”); came: " in outcome.out
    assert lines[-1].startswith(f"{own_server.url}: 38 passed"), lines[-1]
    assert "stays behind" in outcome.message
    assert {job["status"] for job in flamenco("jobs", "--json").json} == {"canceled"}


def test_without_people_most_can_be_judged_and_programs_get_json(
    flamenco: Flamenco, own_server: RealServer, token: str
) -> None:
    outcome = flamenco("conformance", "server", own_server.url, "--token", token, "--json", "--only", "reports")
    assert outcome.status == 0
    assert outcome.json["summary"] == {"passed": 5, "failed": 0, "needs_approval": 0, "not_judged": 2}
    check = outcome.json["checks"][0]
    assert (check["section"], check["group"]) == ("reports", "POST reports")
    assert check["says"].startswith("The Server applies a number once")


def test_a_server_that_differs_is_told_so(flamenco: Flamenco, own_server: RealServer) -> None:
    outcome = flamenco("conformance", "server", own_server.url, "--token", "wrong", "--only", "hello")
    assert outcome.status == 1
    assert "■ FAIL hello-tells-from-where-to-go-on" in outcome.out
    assert "came:    POST hello: 401" in outcome.out
    assert "to mend: " in outcome.out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--only", "nonsense"), "no check and no section 'nonsense'"),
        (("--people", "somebody"), "'somebody' is not one of"),
        (("--user-token", "t"), "--user-token is for --people flamenco"),
    ],
)
def test_wrong_use_is_told(flamenco: Flamenco, options: tuple[str, ...], words: str) -> None:
    outcome = flamenco("conformance", "server", "http://127.0.0.1:9", "--token", "t", *options)
    assert (outcome.status, outcome.out) == (2, "")
    assert words in outcome.message


def test_nobody_there_is_no_verdict(flamenco: Flamenco) -> None:
    outcome = flamenco("conformance", "server", "http://127.0.0.1:9", "--token", "t")
    assert outcome.status == 3
    assert "Cannot reach http://127.0.0.1:9: Connection refused." in outcome.message
