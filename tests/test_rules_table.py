"""The table of docs/rules.md: each test and each module that it names is there."""

import re
from pathlib import Path

TESTS = Path(__file__).parent
ROOT = TESTS.parent
TABLE = ROOT / "docs" / "rules.md"
LEAST_ROWS = 250
"""Fewer would mean that the table is not read as it is meant."""

_ROW = re.compile(r"^\| (?P<rule>\S.*) \| (?P<module>[\w/]+\.py) \| `(?P<file>[\w/]+\.py)::(?P<test>test_\w+)` \|$")


def test_each_rule_of_the_table_names_a_module_and_a_test_that_are_there() -> None:
    lines = [line for line in TABLE.read_text().splitlines() if line.startswith("| ")]
    rows = [line for line in lines if line not in ("| rule | lives in | noticed by |", "| --- | --- | --- |")]
    assert len(rows) >= LEAST_ROWS
    for line in rows:
        row = _ROW.match(line)
        assert row is not None, line
        assert list(ROOT.glob(f"*/flamenco_*/**/{row['module']}")), line
        tests = (TESTS / row["file"]) if "/" in row["file"] else (TESTS / "manager" / row["file"])
        assert re.search(rf"\bdef {row['test']}\(", tests.read_text()), line
