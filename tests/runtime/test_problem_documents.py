from collections.abc import AsyncIterator

import aiohttp
import pytest
import structlog
from aiohttp import web
from marshmallow import ValidationError

from flamenco_core.errors import (
    BadInput,
    Conflict,
    FlamencoError,
    Forbidden,
    NotFound,
    NotSignedIn,
    Outdated,
    TooLarge,
    Unavailable,
)
from flamenco_runtime.problems import problems, status_of
from flamenco_runtime.service import listening
from flamenco_runtime.settings import Address
from flamenco_runtime.strict_json import BadJson


class JobTypeChanged(Outdated):
    type = "job-type-changed"


RAISED: dict[str, tuple[Exception, int, str]] = {
    "bad-input": (BadInput("no", {"settings.frames": "bad"}), 422, "bad-input"),
    "bad-json": (BadJson("no"), 400, "bad-json"),
    "too-large": (TooLarge("no"), 413, "too-large"),
    "not-signed-in": (NotSignedIn("no"), 401, "not-signed-in"),
    "forbidden": (Forbidden("no"), 403, "forbidden"),
    "not-found": (NotFound("no"), 404, "not-found"),
    "conflict": (Conflict("no"), 409, "conflict"),
    "outdated": (Outdated("no"), 412, "outdated"),
    "specific": (JobTypeChanged("no"), 412, "job-type-changed"),
    "unavailable": (Unavailable("no"), 503, "unavailable"),
    "no-kind": (FlamencoError("no"), 500, "error"),
    "schema": (ValidationError({"name": ["no"]}), 422, "bad-input"),
    "unexpected": (RuntimeError("a secret"), 500, "internal"),
    "aiohttp": (web.HTTPBadRequest(text="no"), 400, "bad-request"),
}


@pytest.fixture
async def url() -> AsyncIterator[str]:
    async def fail(request: web.Request) -> web.Response:
        raise RAISED[request.match_info["name"]][0]

    async def move(_: web.Request) -> web.Response:
        raise web.HTTPSeeOther("/elsewhere")

    app = web.Application(middlewares=[problems])
    app.router.add_get("/errors/{name}", fail)
    app.router.add_get("/moved", move)
    async with listening(app, Address("127.0.0.1", 0)) as address:
        yield address.url


@pytest.mark.parametrize("name", RAISED)
async def test_each_kind_of_error_has_its_status_and_its_document(url: str, name: str) -> None:
    error, status, kind = RAISED[name]
    async with aiohttp.ClientSession() as session, session.get(f"{url}/errors/{name}") as answer:
        assert answer.status == status
        assert answer.content_type == "application/problem+json"
        document = await answer.json(content_type=None)
    assert (document["type"], document["status"]) == (kind, status)
    assert "no" in document["detail"] or name == "unexpected"
    if isinstance(error, FlamencoError):
        assert status_of(error) == status


async def test_errors_of_fields_are_told_by_field(url: str) -> None:
    async with aiohttp.ClientSession() as session, session.get(f"{url}/errors/bad-input") as answer:
        assert (await answer.json(content_type=None))["errors"] == {"settings.frames": "bad"}
    async with aiohttp.ClientSession() as session, session.get(f"{url}/errors/conflict") as answer:
        assert "errors" not in await answer.json(content_type=None)


async def test_who_is_told_to_come_back_is_told_when(url: str) -> None:
    async with aiohttp.ClientSession() as session, session.get(f"{url}/errors/unavailable") as answer:
        assert int(answer.headers["Retry-After"]) > 0


async def test_the_unexpected_is_logged_once_and_not_told(url: str) -> None:
    with structlog.testing.capture_logs() as logged:
        async with aiohttp.ClientSession() as session, session.get(f"{url}/errors/unexpected") as answer:
            assert "secret" not in await answer.text()
    assert [(entry["event"], entry["path"]) for entry in logged] == [("request failed", "/errors/unexpected")]


async def test_unknown_paths_and_methods_are_problems_too(url: str) -> None:
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{url}/nowhere") as answer:
            problem = await answer.json(content_type=None)
            assert (problem["type"], problem["detail"]) == ("not-found", "Not Found: GET /nowhere")
        async with session.post(f"{url}/moved") as answer:
            assert answer.status == 405
            assert (await answer.json(content_type=None))["type"] == "method-not-allowed"
            assert "GET" in answer.headers["Allow"]


async def test_a_redirection_is_no_problem(url: str) -> None:
    async with aiohttp.ClientSession() as session, session.get(f"{url}/moved", allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (303, "/elsewhere")
