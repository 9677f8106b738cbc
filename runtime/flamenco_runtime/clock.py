"""Time as an argument: what services are given, so that tests can bring their own."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Returns the present, aware and in UTC."""


def utc_now() -> datetime:
    """Return the present in UTC."""
    return datetime.now(UTC)
