"""The table of docs/conformance.md: every row of the protocol is in it, and each test that it names is there."""

import re
from pathlib import Path

TESTS = Path(__file__).parent
TABLE = TESTS.parent / "docs" / "conformance.md"

_ROW = re.compile(r"^\| (?P<row>\S[^|]*?) \| [^|]+ \| (?P<tests>[^|]+) \|$")
_TEST = re.compile(r"`((?:[\w-]+/)?test_\w+\.py)::(test_\w+)`")

EXPECTED = {
    "6.1": ["200", "400", "503", "contents"],
    "6.2": ["200", "400", "403", "500", "pending", "schedule", "tasks"],
    "6.3": ["204", "403", "remembered", "tasks", "gone"],
    "6.4": ["200", "204", "403", "seen"],
    "6.5": ["204", "400", "403", "pending", "tasks"],
    "6.6": ["423", "409", "200", "204", "403", "503", "400", "again"],
    "6.7": ["403", "400", "404", "409", "500", "activity", "log", "steps", "status", "touched"],
    "6.8": ["unknown", "pending", "another's", "not active", "otherwise", "400"],
    "6.9": ["202", "400", "403", "404", "411", "413", "415", "429"],
    "7": ["version", "configuration", "variables", "shared-storage", "status"],
    "14": [
        "revival",
        "attempts",
        "no attempts",
        "asking",
        "statuses",
        "secrets",
        "approval",
        "records",
        "blocklist",
        "on disk",
        "previews",
        "limits",
        "malformed",
        "unknown keys",
    ],
    "trace": [str(number) for number in range(1, 25)],
}
"""The rows of sections 6, 7 and 14 of worker-api.md by their code or subject, and the traces."""
ROWS = [f"{section} {row}" for section, rows in EXPECTED.items() for row in rows]
ROWS += [f"13.{number}" for number in range(1, 12)]
ROWS += [f"15.{number}" for number in range(1, 7)]
ROWS += ["H1", "H2", "H3", "H5", "H6"]


def rows() -> dict[str, list[tuple[str, str]]]:
    """Read the table: row → (file, test)."""
    found: dict[str, list[tuple[str, str]]] = {}
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        match = _ROW.match(line)
        if match and match["row"] not in ("row", "---"):
            assert match["row"] not in found, f"{match['row']} stands there twice"
            found[match["row"]] = _TEST.findall(match["tests"])
            assert "`" not in _TEST.sub("", match["tests"]), f"{match['row']}: not all of it is a test"
    return found


def test_every_row_is_in_the_table_and_nothing_else() -> None:
    assert sorted(rows()) == sorted(ROWS)


def test_every_row_has_a_test_and_each_of_them_is_there() -> None:
    for row, tests in rows().items():
        assert tests, f"{row} has no test"
        for file, name in tests:
            path = TESTS / (file if "/" in file else f"manager/{file}")
            assert path.exists(), f"{row}: there is no {path.relative_to(TESTS)}"
            text = path.read_text(encoding="utf-8")
            assert re.search(rf"^ *(?:async )?def {name}\(", text, re.MULTILINE), f"{row}: {file} has no {name}"
