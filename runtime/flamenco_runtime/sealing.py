"""Sealing a secret to a public key, so that only the holder of the private key reads it: HPKE (RFC 9180).

Base mode with X25519, HKDF-SHA256 and ChaCha20-Poly1305; what is sealed begins with the encapsulated key.
"""

import base64
import binascii

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from flamenco_core.errors import BadInput
from flamenco_core.wire.linking import key_bytes

_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)


class UselessKey(BadInput):
    """A public key with which nothing can be sealed: anybody could open it."""

    type = "useless-key"


class NotForUs(BadInput):
    """What was sealed to another key, for another purpose, or was changed on its way."""

    type = "not-for-us"


class KeyPair:
    """A key that lives in memory only, for as long as a secret is waited for."""

    def __init__(self) -> None:
        self._private = X25519PrivateKey.generate()

    @property
    def public_key(self) -> str:
        """The public half, in base64."""
        return base64.b64encode(self._private.public_key().public_bytes_raw()).decode()

    def opened(self, sealed: str, purpose: str) -> str:
        """Return what was sealed to this key for a purpose. Raises NotForUs."""
        try:
            return _SUITE.decrypt(base64.b64decode(sealed, validate=True), self._private, purpose.encode()).decode()
        except (InvalidTag, binascii.Error, ValueError) as error:
            raise NotForUs("What came cannot be opened with our key: it was sealed to another, or changed.") from error


def sealed(secret: str, public_key: str, purpose: str) -> str:
    """Seal a secret to a public key; it opens only for the same purpose. Raises UselessKey."""
    try:
        key = X25519PublicKey.from_public_bytes(key_bytes(public_key))
        return base64.b64encode(_SUITE.encrypt(secret.encode(), key, purpose.encode())).decode()
    except ValueError as error:  # the few points of small order, with which the shared secret is no secret
        message = "is no key of X25519 that can be used: make a fresh one."
        raise UselessKey(f"public_key {message}", {"public_key": message}) from error


def link_purpose(request_id: str) -> str:
    """Return for what a Manager's token is sealed: one request, so that no other's answer fits in its place."""
    return f"flamenco manager link {request_id}"
