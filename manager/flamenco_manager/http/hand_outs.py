"""Hand-outs on the wire: one task, or several at once (worker-api.md, 6.6 and 15.6)."""

from typing import Any

from aiohttp import web

from flamenco_core.errors import BadInput
from flamenco_core.wire.worker_api import MOST_TASKS_AT_ONCE, AssignedTask
from flamenco_manager.assignments import Assignments
from flamenco_manager.attempts import HandOut
from flamenco_manager.model import Worker
from flamenco_runtime.json_body import json_reply


def most_of(request: web.Request) -> int | None:
    """Return how many tasks the caller would take, ``?max=K``; None: it knows of one at a time. Raises BadInput."""
    text = request.query.get("max")
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= 2 and 1 <= int(text) <= MOST_TASKS_AT_ONCE):
        raise BadInput(
            f"max is not a number from 1 to {MOST_TASKS_AT_ONCE}.", {"max": f"Not from 1 to {MOST_TASKS_AT_ONCE}."}
        )
    return int(text)


async def described(assignments: Assignments, handed: HandOut, worker: Worker) -> list[Any]:
    """Return the documents of a hand-out: the task to run now, then those that come after it."""
    return [document_of(await assignments.describe(one, worker)) for one in (handed, *handed.ahead)]


def document_of(task: AssignedTask) -> dict[str, Any]:
    """Return what ``AssignedTaskSchema`` would write, once it is JSON; what is within is written by orjson as it is."""
    return {name: value for name in AssignedTask.__slots__ if (value := getattr(task, name)) is not None}


async def handed_out(assignments: Assignments, handed: HandOut, worker: Worker, most: int | None) -> web.Response:
    """Answer an ask with a hand-out: a task, or a list of them if that was asked for."""
    tasks = await described(assignments, handed, worker)
    return json_reply(tasks[0] if most is None else {"tasks": tasks})
