"""Rows that stand for something that is not there, and damage that SQLite itself finds."""

from collections.abc import Iterator

import apsw

from flamenco_manager.checking import LOST, REPAIR, Finding, Statement

MOST_DAMAGE = 20
"""So many places of damage are told."""

_NO_TASK = "task NOT IN (SELECT key FROM tasks) AND task >> 20 NOT IN (SELECT job FROM erasing)"
"""Rows of jobs that are being erased go by and by."""

_REFERENCES = (
    (
        "tasks",
        "tasks of jobs that are not here",
        "key >> 20 NOT IN (SELECT key FROM jobs) AND key >> 20 NOT IN (SELECT job FROM erasing)",
    ),
    ("frames", "frames of tasks that are not here", _NO_TASK),
    ("attempts", "attempts of tasks that are not here", _NO_TASK),
    ("log_uploads", "logs to be sent of tasks that are not here", _NO_TASK),
    ("log_pieces", "pieces of logs of tasks that are not here", _NO_TASK),
    (
        "command_slices",
        "lots of commands of jobs that are not here",
        "job NOT IN (SELECT key FROM jobs) AND job NOT IN (SELECT job FROM erasing)",
    ),
    (
        "preview_uploads",
        "thumbnails to be sent of jobs that are not here",
        "job NOT IN (SELECT id FROM jobs) AND job NOT IN (SELECT id FROM erasing)",
    ),
)
_LOST_ORDERS = (
    "SELECT count(*) FROM orders WHERE job IS NOT NULL AND result IS NULL AND job NOT IN (SELECT id FROM jobs)"
)
_DROP_LOST_ORDERS = """
UPDATE orders SET result = 'dropped', why = 'The job is not here any more.', unreported = 1
WHERE job IS NOT NULL AND result IS NULL AND job NOT IN (SELECT id FROM jobs)
"""


def check_references(connection: apsw.Connection) -> Iterator[Finding]:
    """Look for rows of tasks and jobs that are not here."""
    for table, what, where in _REFERENCES:
        count = connection.execute(f"SELECT count(*) FROM {table} WHERE {where}").get  # noqa: S608 (constants)
        if count:
            mending: list[Statement] = [(f"DELETE FROM {table} WHERE {where}", ())]  # noqa: S608
            yield Finding("store", f"It has {count} {what}.", f"{REPAIR}remove them.", mending)
    count = connection.execute(_LOST_ORDERS).get
    if count:
        what = f"{count} orders brought jobs that are not here."
        yield Finding("store", what, f"{REPAIR}tell the Server so.", [(_DROP_LOST_ORDERS, ())])


def check_pages(connection: apsw.Connection) -> Iterator[Finding]:
    """Let SQLite look at its file, page by page."""
    for (damage,) in connection.execute(f"PRAGMA integrity_check({MOST_DAMAGE})"):
        if damage != "ok":
            yield Finding("store", f"SQLite finds damage: {damage}.", LOST)
