"""Names of tags: groups of Workers that a job may ask for. They are compared as they are written."""

LONGEST_TAG = 64
"""Characters of a tag's name."""


def checked_tag(name: str) -> str:
    """Return a tag's name without the space around it. Raises ValueError with a message for people."""
    trimmed = name.strip()
    if not 1 <= len(trimmed) <= LONGEST_TAG:
        raise ValueError(f"a tag's name has 1 to {LONGEST_TAG} characters, not {len(trimmed)}.")
    if not trimmed.isprintable():
        raise ValueError(f"a tag's name is a line of text without control characters, not {trimmed!a}.")
    return trimmed
