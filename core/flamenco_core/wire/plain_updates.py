"""A quick way into a Worker's updates, for those that look as nearly all of them do. Pure.

A busy site takes thousands of updates a second, and a schema needs longer for one than all that follows from it. What
is not plain is left to the schema, which alone says what is wrong with it.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from flamenco_core.identifiers import is_uuid
from flamenco_core.statuses import TaskStatus

_STATUSES = {status.value: status for status in TaskStatus}
_TEXTS = frozenset(("activity", "log"))
_FAR = 2**62
"""Numbers beyond this are for the schema to judge."""
_LEAST = {"steps_completed": -_FAR, "attempt": 1, "seq": 1, "log_at": 0}
"""The whole numbers, and how small each may be."""
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)


def plain_update(document: object, *, is_batched: bool = False) -> dict[str, Any] | None:
    """Return an update's fields by their names in the record; None: it is for the schema to look at.

    ``is_batched``: it is one of a batch, which says more.
    """
    if type(document) is not dict:
        return None
    found = _batched(document) if is_batched else {}
    if found is None:
        return None
    for name, value in document.items():
        kind = type(value)
        is_number = name in _LEAST and kind is int and _LEAST[name] <= value <= _FAR
        if is_number or (name in _TEXTS and kind is str):
            found[name] = value
        elif name == "taskStatus" and kind is str and value in _STATUSES:
            found["task_status"] = _STATUSES[value]
        elif name not in found:
            return None
    return found


def _batched(document: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what an update of a batch says besides, if it is there as it should be."""
    task, at = document.get("task"), document.get("at")
    if type(task) is not str or not is_uuid(task) or "attempt" not in document or "seq" not in document:
        return None
    if document.get("taskStatus", "active") not in ("active", "completed", "failed"):
        return None
    if "at" not in document:
        return {"task": task}
    if type(at) is not str or _MOMENT.fullmatch(at) is None:
        return None
    try:
        moment = datetime.fromisoformat(f"{at[:-1]}+00:00")
    except ValueError:
        return None
    return {"task": task, "at": moment}
