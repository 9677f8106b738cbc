"""What a refusal by the Server means: something about what was asked or sent, or only that the link is not in order."""

from flamenco_core.errors import FlamencoError, Forbidden, NotSignedIn, Unavailable

OTHER_FEED = "other-feed"
"""The type of the Server's answer to whoever has another of its stores in mind; a new hello mends that."""


def check_is_final(refusal: FlamencoError) -> None:
    """Return if a refusal would be the same next time. Raises Unavailable: nothing was said about what was asked.

    A Server that was put back from a backup refuses everything for a while: no job may fail by that, no log be lost.
    """
    if isinstance(refusal, Unavailable):
        raise refusal
    if isinstance(refusal, NotSignedIn | Forbidden) or refusal.type == OTHER_FEED:
        raise Unavailable(str(refusal)) from refusal
