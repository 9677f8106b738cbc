"""The words and rules that every part of Flamenco shares. No I/O happens in this package."""

VERSION = "4.0.0.dev0"
"""The version that every component reports of itself. ``pyproject.toml`` carries the same."""
