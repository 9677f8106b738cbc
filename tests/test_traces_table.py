"""The tables of docs/traces.md: all traces are there, and each test that they name."""

import re
from pathlib import Path

TESTS = Path(__file__).parent
TABLE = TESTS.parent / "docs" / "traces.md"
TRACES = 34

_ROW = re.compile(r"^\| (?:(?P<trace>\d+)\. )?(?P<what>\S.*) \| `(?P<file>[\w/]+\.py)::(?P<test>test_\w+)` \|$")
_HEADS = ("| trace | test |", "| fault | test |", "| --- | --- |")


def test_each_trace_and_fault_of_the_tables_names_a_test_that_is_there() -> None:
    seen: set[int] = set()
    lines = [line for line in TABLE.read_text().splitlines() if line.startswith("| ") and line not in _HEADS]
    for line in lines:
        row = _ROW.match(line)
        assert row is not None, line
        if row["trace"]:
            seen.add(int(row["trace"]))
        assert re.search(rf"\bdef {row['test']}\(", (TESTS / row["file"]).read_text()), line
    assert seen == set(range(1, TRACES + 1))
    named = {row["test"] for line in lines if (row := _ROW.match(line))}
    for file in TESTS.rglob("test_*.py"):
        for test in re.findall(r"\bdef (test_trace_\d+_\w+)\(", file.read_text()):
            assert test in named, f"{file.name}::{test} is not in the table"
