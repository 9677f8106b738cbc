"""The kinds of errors that Flamenco answers with.

Specific errors subclass a kind, next to the code that raises them. One middleware maps a kind to an HTTP status
(``flamenco_runtime.problems``); nothing here knows HTTP.
"""

from collections.abc import Mapping
from types import MappingProxyType


class FlamencoError(Exception):
    """Something that a person or a program should be told.

    The message names the thing, the value, and what to do. ``type`` is public: clients test it, so it never changes.
    ``members`` are facts for programs, which stand in the answer beside the message.
    """

    type: str = "error"
    members: Mapping[str, object] = MappingProxyType({})


class BadInput(FlamencoError):
    """What was sent cannot be accepted.

    ``errors`` maps the path of a field (``settings.frames``) to what is wrong with it; empty when no one field is.
    """

    type = "bad-input"

    def __init__(self, message: str, errors: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.errors: dict[str, str] = dict(errors or {})


class TooLarge(BadInput):
    """More bytes than this call takes."""

    type = "too-large"


class NotSignedIn(FlamencoError):
    """No credentials came, or unknown ones."""

    type = "not-signed-in"


class Forbidden(FlamencoError):
    """Known credentials that do not allow this."""

    type = "forbidden"


class NotFound(FlamencoError):
    """There is no such thing."""

    type = "not-found"


class Conflict(FlamencoError):
    """It does not fit the present state."""

    type = "conflict"


class Outdated(FlamencoError):
    """It was made against something that has changed since."""

    type = "outdated"


class Unavailable(FlamencoError):
    """Not now; the same request may succeed later."""

    type = "unavailable"
    retry_after_s: int | None = None
    """When it is worth asking again, in seconds, if anybody knows."""


class NoSpace(Unavailable):
    """The disk is full, or nearly so; the same request succeeds once there is space again."""

    type = "no-space"


class TooMany(Unavailable):
    """Whoever asks has more than a share of what there is for all; less of it may succeed later."""

    type = "too-many"
    retry_after_s = 30
