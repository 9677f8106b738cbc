"""POST link."""

import base64

from flamenco_cli.conformance.check import Needs
from flamenco_cli.conformance.guest_manager import REFUSED, GuestManager, must_be_problem
from flamenco_cli.conformance.manager_api import SERVER, an_unknown_id
from flamenco_cli.conformance.peer import Answer
from flamenco_cli.conformance.visit import NotJudged
from flamenco_core.identifiers import new_id
from flamenco_core.wire.linking import typed_code
from flamenco_runtime.sealing import KeyPair, NotForUs, link_purpose

ASK = "ask for a link: name, a fresh public key → a pairing code to show, and a URL to poll"


async def _asked(guest: GuestManager, key: KeyPair, name: str = "") -> Answer:
    wish = {"name": name or f"conformance {new_id()[:8]}", "public_key": key.public_key}
    answer = await guest.stranger("POST", "link", document=wish)
    if answer.status == 429:
        wait = answer.headers.get("Retry-After", "some")
        raise NotJudged(f"The Server takes no more requests from here now; it says to try again in {wait} seconds.")
    return answer


async def _polled(guest: GuestManager, path: str) -> Answer:
    return await guest.peer.call("GET", f"{path}?wait=0", what="the poll")


@SERVER.declare(
    "link",
    says=ASK,
    asked="POST link without a token, with a name and a fresh key; then the URL to poll",
    expected="201 with id, code (eight letters), confirm_at, poll, expires_in_s; then 200 with status waiting",
    mend="Answer POST link without a token; a code lives 600 seconds.",
)
async def _a_link_can_be_asked_for(guest: GuestManager) -> None:
    answer = (await _asked(guest, KeyPair())).must_be(201)
    offer = answer.must_have(id=str, code=str, confirm_at=str, poll=str, expires_in_s=600)
    if typed_code(offer["code"]) is None:
        raise answer.differs("with a code that is not eight consonants")
    if offer["code"] in offer["poll"] + offer["confirm_at"]:
        raise answer.differs("with the code in a URL")
    (await _polled(guest, offer["poll"])).must_be(200).must_have(status="waiting")


@SERVER.declare(
    "link",
    says=ASK,
    asked="POST link twice",
    expected="two codes, two URLs",
    mend="Give every request a code of its own.",
)
async def _each_request_has_its_own_code(guest: GuestManager) -> None:
    first = (await _asked(guest, KeyPair())).must_be(201).must_have(code=str, poll=str)
    answer = (await _asked(guest, KeyPair())).must_be(201)
    second = answer.must_have(code=str, poll=str)
    if first["code"] == second["code"] or first["poll"] == second["poll"]:
        raise answer.differs("with what the other request got")


@SERVER.declare(
    "link",
    says=ASK,
    asked="POST link without a name, with a key of 31 bytes, and with one to which nothing can be sealed",
    expected="a 4xx problem each time",
    mend="Refuse keys that are not X25519's, and its points of small order.",
)
async def _keys_that_cannot_be_used_are_refused(guest: GuestManager) -> None:
    good = KeyPair().public_key
    for wish in (
        {"public_key": good},
        {"name": "conformance", "public_key": base64.b64encode(bytes(31)).decode()},
        {"name": "conformance", "public_key": base64.b64encode(bytes(32)).decode()},
    ):
        must_be_problem(await guest.stranger("POST", "link", document=wish), *REFUSED)


@SERVER.declare(
    "link",
    says=ASK,
    asked="the poll of a request that never was",
    expected="404",
    mend="Tell a Manager whose request is over so, that it asks for a new code.",
)
async def _an_unknown_request_is_404(guest: GuestManager) -> None:
    must_be_problem(await guest.stranger("GET", f"link/{an_unknown_id()}"), 404)


@SERVER.declare(
    "link",
    says="a person with the right to confirms the code in the browser → token",
    asked="the poll, twice, after an admin has confirmed the code; then GET orders with the token, before any hello",
    expected="confirmed with a sealed token that our key opens; 409: the token is known, the feeds are not",
    mend="Seal the token to the key that came with the request: HPKE with X25519, HKDF-SHA256, ChaCha20-Poly1305, and "
    "the info 'flamenco manager link ID'.",
    needs=Needs.FARM,
)
async def _only_who_asked_gets_the_token(guest: GuestManager) -> None:
    assert guest.farm is not None
    key = KeyPair()
    offer = (await _asked(guest, key)).must_be(201).must_have(id=str, code=str, poll=str)
    await guest.farm.confirm_link(offer["id"], offer["code"])
    for _ in range(2):
        answer = (await _polled(guest, offer["poll"])).must_be(200)
        sealed = answer.must_have(status="confirmed", manager=str, sealed_token=str)["sealed_token"]
        try:
            token = key.opened(sealed, link_purpose(offer["id"]))
        except NotForUs as error:
            raise answer.differs("with a token that our key does not open") from error
    credentials = {"Authorization": f"Bearer {token}"}  # no hello: a Manager that is in touch would be given jobs
    must_be_problem(await guest.call("GET", "orders?after=0", headers=credentials), 409)
