"""Section 2: HTTP Basic, 403, and registration that nobody needs credentials for."""

import base64
import secrets

from flamenco_cli.conformance.check import check
from flamenco_cli.conformance.peer import JSON_TYPE, basic
from flamenco_cli.conformance.visit import Visit, Visitor, an_unknown_id

ENDPOINTS = {
    "sign-on": ("POST", "sign-on"),
    "sign-off": ("POST", "sign-off"),
    "state": ("GET", "state"),
    "state-changed": ("POST", "state-changed"),
    "task": ("POST", "task"),
    "task-update": ("POST", "task/{task}"),
    "may-i-run": ("GET", "task/{task}/may-i-run"),
    "output-produced": ("POST", "task/{task}/output-produced"),
}


def _declare(name: str, method: str, path: str) -> None:
    @check(
        "2",
        name=f"{name}-needs-credentials",
        asked=f"{method} {path.replace('{task}', 'ID')} without credentials, with unknown ones, with a wrong secret",
        expected='403 with {"message"} and no WWW-Authenticate, each time',
        mend="Answer 403 (never 401) with a JSON message to everybody who is not a known Worker with its secret.",
    )
    async def needs_credentials(visit: Visit) -> None:
        known = await visit.visitor()
        tried = {
            "no credentials": {},
            "an unknown id": basic(an_unknown_id(), known.secret),
            "a wrong secret": basic(known.id, "wrong"),
            "an empty user": basic("", ""),
            "a Bearer token": {"Authorization": "Bearer " + known.secret},
            "no base64": {"Authorization": "Basic ***"},
        }
        for with_what, headers in tried.items():
            answer = await visit.peer.call(
                method,
                "worker/" + path.format(task=an_unknown_id()),
                data=b"{}" if method == "POST" else None,
                content_type=JSON_TYPE if method == "POST" else None,
                headers=headers,
                what=f"{method} {path.replace('{task}', 'ID')} with {with_what}",
            )
            answer.must_be(403).must_have(message=str)
            if "WWW-Authenticate" in answer.headers:
                raise answer.differs("with WWW-Authenticate")


for _name, (_method, _path) in ENDPOINTS.items():
    _declare(_name, _method, _path)


@check(
    "2",
    asked="POST register-worker with the Authorization header that Workers send: empty user, empty password",
    expected="200",
    mend="Ignore credentials at registration; in particular do not refuse 'Basic Og=='.",
)
async def _registration_ignores_credentials(visit: Visit) -> None:
    empty = {"Authorization": "Basic " + base64.b64encode(b":").decode()}
    answer = await visit.peer.call(
        "POST", "worker/register-worker", document=visit.registration(), headers=empty, what="POST register-worker"
    )
    visit.note_registered(answer)
    answer.must_be(200).must_have(uuid=str)


@check(
    "2",
    asked="POST register-worker, then POST sign-on with the new id and secret",
    expected="200 both times (then 204: it signs off)",
    mend="Take the id that registration returned as user name and the secret that it carried as password.",
)
async def _the_secret_of_registration_signs_on(visit: Visit) -> None:
    secret = secrets.token_hex(32)
    worker_id = (await visit.register(secret=secret)).must_be(200).must_have(uuid=str)["uuid"]
    newcomer = Visitor(visit.peer, worker_id, secret, "newcomer")
    (await newcomer.sign_on()).must_be(200)
    (await newcomer.sign_off()).must_be(204)


@check(
    "2",
    asked="POST register-worker with secrets of 72 and of 73 bytes",
    expected="200, then 400",
    mend="Take secrets of up to 72 bytes, and refuse longer ones: bcrypt knows no more.",
)
async def _secrets_have_at_most_72_bytes(visit: Visit) -> None:
    (await visit.register(secret="s" * 72)).must_be(200)
    (await visit.register(secret="s" * 73)).must_be(400)
