"""Complain about trailing white space, missing final newlines, and files too large for git. Used by pre-commit."""

import sys
from collections.abc import Iterator
from pathlib import Path

LARGEST_BYTES = 400 * 1024
TEXT = {".py", ".md", ".toml", ".ini", ".txt", ".yaml", ".js", ".css", ".html", ".sql", ".in", ".svg"}


def complaints(path: Path) -> Iterator[str]:
    """Yield what is untidy about one file."""
    if path.stat().st_size > LARGEST_BYTES:
        yield f"{path}: {path.stat().st_size} bytes; files over {LARGEST_BYTES} do not belong in git"
    if path.suffix not in TEXT:
        return
    text = path.read_text(encoding="utf-8")
    if text and not text.endswith("\n"):
        yield f"{path}: no newline at its end"
    for number, line in enumerate(text.splitlines(), 1):
        if line != line.rstrip():
            yield f"{path}:{number}: trailing white space"


def main() -> int:
    """Check the files that are named on the command line."""
    found = [line for name in sys.argv[1:] for line in complaints(Path(name))]
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
