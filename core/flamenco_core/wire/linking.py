"""How a Manager that has no token yet gets one: ``POST /api/v1/manager/link``, then its poll (``manager-api.md``).

The Manager makes a key pair for this one purpose and sends the public half. A person confirms the code that it is
given. The token comes sealed to the key (``flamenco_runtime.sealing``), so only whoever asked can read it, however
often the answer is fetched and by whomever.
"""

import base64
import binascii
import hashlib
from dataclasses import dataclass
from enum import StrEnum

from marshmallow import ValidationError, fields, validate

from flamenco_core.wire.schema import Integer, Uuid, WireSchema

LINK_PATH = "/api/v1/manager/link"
KEY_BYTES = 32
"""The size of a public key of X25519 (RFC 7748)."""

CODE_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
"""No vowels, so that no word comes out; no digits, of which some look like letters (RFC 8628, 6.1)."""
CODE_LENGTH = 8

_LINE = r"[^\x00-\x1f\x7f]{1,200}\Z"
_MAYBE_LINE = r"[^\x00-\x1f\x7f]{0,200}\Z"


class LinkStatus(StrEnum):
    """How far a request for a link has come."""

    WAITING = "waiting"
    CONFIRMED = "confirmed"
    REFUSED = "refused"
    ENDED = "ended"
    """Its code is too old, or was guessed at too often: ask for a new one."""


def key_bytes(public_key: str) -> bytes:
    """Return the bytes of a public key. Raises ValueError."""
    try:
        key = base64.b64decode(public_key, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("it is not base64") from error
    if len(key) != KEY_BYTES:
        raise ValueError(f"it has {len(key)} bytes, not {KEY_BYTES}")
    return key


def _check_key(text: str) -> None:
    try:
        key_bytes(text)
    except ValueError as error:
        raise ValidationError(f"must be a public key of X25519 in base64: {error}.") from error


@dataclass(frozen=True, slots=True)
class LinkWish:
    """A Manager asks to be linked. ``public_key``: 32 bytes of X25519, made for this request, in base64."""

    name: str
    public_key: str
    software: str = ""
    platform: str = ""


class LinkWishSchema(WireSchema):
    record = LinkWish
    name = fields.String(required=True, validate=validate.Regexp(_LINE, error="must be a line of 1 to 200 characters."))
    public_key = fields.String(required=True, validate=_check_key)
    software = fields.String(validate=validate.Regexp(_MAYBE_LINE, error="must be a line of up to 200 characters."))
    platform = fields.String(validate=validate.Regexp(_MAYBE_LINE, error="must be a line of up to 200 characters."))


@dataclass(frozen=True, slots=True)
class LinkOffer:
    """What a person needs: the ``code``, to be typed at ``confirm_at``. ``poll`` tells what became of it.

    Both addresses are relative to the Server's URL. The code lives for so many seconds.
    """

    id: str
    code: str
    confirm_at: str
    poll: str
    expires_in_s: int


class LinkOfferSchema(WireSchema):
    record = LinkOffer
    id = Uuid(required=True)
    code = fields.String(required=True)
    confirm_at = fields.String(required=True)
    poll = fields.String(required=True)
    expires_in_s = Integer(required=True)


@dataclass(frozen=True, slots=True)
class LinkAnswer:
    """What became of it. Only ``confirmed`` brings a Manager's id, name, and the token, sealed, in base64."""

    status: LinkStatus
    why: str = ""
    manager: str | None = None
    name: str | None = None
    sealed_token: str | None = None


class LinkAnswerSchema(WireSchema):
    record = LinkAnswer
    status = fields.Enum(LinkStatus, by_value=True, required=True)
    why = fields.String()
    manager = Uuid(allow_none=True)
    name = fields.String(allow_none=True)
    sealed_token = fields.String(allow_none=True)


def written_code(letters: str) -> str:
    """Write a code as people read and type it: ``BCDF-GHJK``."""
    return f"{letters[: CODE_LENGTH // 2]}-{letters[CODE_LENGTH // 2 :]}"


def typed_code(text: str) -> str | None:
    """Return the letters of a code as somebody typed it, however it is spaced; None if it cannot be one."""
    letters = "".join(text.split()).replace("-", "").upper()
    is_code = len(letters) == CODE_LENGTH and all(letter in CODE_LETTERS for letter in letters)
    return letters if is_code else None


def fingerprint(public_key: str) -> str:
    """Return what people compare of a public key: 96 bits of its SHA-256, as ``3f2a 91c0 …``. Raises ValueError."""
    digest = hashlib.sha256(key_bytes(public_key)).hexdigest()
    return " ".join(digest[start : start + 4] for start in range(0, 24, 4))
