"""Tokens and errors: what holds for every call."""

from flamenco_cli.conformance.guest_manager import REFUSED, GuestManager, must_be_problem
from flamenco_cli.conformance.manager_api import SERVER, an_unknown_id


@SERVER.declare(
    "errors",
    says="Bearer token (its own, from linking)",
    asked="hello, orders and reports without a token, and with an unknown one",
    expected="401 each time",
    mend="Ask for the Manager's own token on every call but POST link and its poll.",
)
async def _without_a_known_token_nothing_is_answered(guest: GuestManager) -> None:
    for credentials in ("", "Bearer unknown", f"Basic {guest.token}"):
        for method, path in (("POST", "hello"), ("GET", "orders?after=0"), ("POST", "reports")):
            must_be_problem(await guest.call(method, path, headers={"Authorization": credentials}), 401)


@SERVER.declare(
    "errors",
    says="Errors are `application/problem+json` (RFC 9457) with a `type` that a program can tell apart",
    asked="a job that there is not, a call that there is not, a body that is no JSON",
    expected="404, 404 and 400 (or 422), each a problem document; the first and the last have different types",
    mend="Answer every error with application/problem+json: type, status, detail.",
)
async def _errors_are_problem_documents(guest: GuestManager) -> None:
    await guest.linked()
    gone = must_be_problem(await guest.call("GET", f"jobs/{an_unknown_id()}"), 404)
    must_be_problem(await guest.call("GET", "nonsense"), 404)
    answer = await guest.call("POST", "hello", data=b"{", content_type="application/json")
    if must_be_problem(answer, *REFUSED)["type"] == gone["type"]:
        raise answer.differs("with the type of another error")
