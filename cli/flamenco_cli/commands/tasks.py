"""``flamenco tasks`` and ``log``."""

import asyncio
import codecs
import sys
from collections.abc import Iterable

import click

from flamenco_cli.client import Client
from flamenco_cli.records import Task
from flamenco_cli.running import json_option, with_client
from flamenco_cli.short_ids import job_id_of, task_id_of
from flamenco_cli.tables import tasks_table
from flamenco_cli.teaching import Verb
from flamenco_cli.terminal import harmless, print_json, results, say
from flamenco_core.errors import NotFound, Unavailable
from flamenco_core.statuses import TaskStatus

POLL_S = 1.0
"""How often a log that is followed is asked for; the Manager sends what is new in such steps."""


ENDED = [status.value for status in TaskStatus if status.is_ended]


@click.command("tasks", cls=Verb, examples=["flamenco tasks 3f2a", "flamenco tasks 3f2a --status failed"])
@click.argument("job_id", metavar="ID")
@click.option("--status", type=click.Choice([status.value for status in TaskStatus]), help="Only tasks of this status.")
@json_option
@with_client
async def tasks_command(client: Client, job_id: str, status: str | None, as_json: bool) -> None:
    """List the tasks of a job."""
    complete = await job_id_of(client, job_id)
    found = [task async for task in client.tasks(complete, status=status)]
    if as_json:
        print_json(found)
    elif found:
        results().print(tasks_table(found, await _worker_names(client, found)))
    else:
        say("No such tasks." if status else "This job has no tasks yet.")


async def _worker_names(client: Client, tasks: Iterable[Task]) -> dict[str, str]:
    """Return the Workers' names by their ids, where a task tells of a Worker by its id."""
    if not any(task["failed_by"] for task in tasks):
        return {}
    return {worker["id"]: worker["name"] for worker in await client.workers()}


@click.command("log", cls=Verb, examples=["flamenco tasks 3f2a          names the tasks", "flamenco log 90ab -f"])
@click.argument("task_id", metavar="TASK")
@click.option("-f", "--follow", is_flag=True, help="Go on until the task's attempt ends.")
@click.option("--attempt", type=click.IntRange(1), help="An earlier attempt; without: the newest.")
@with_client
async def log_command(client: Client, task_id: str, follow: bool, attempt: int | None) -> None:
    """Print the log of a task: its command lines and what Blender or FFmpeg said."""
    complete = await task_id_of(client, task_id)
    task = await client.task(complete)
    if attempt is not None and attempt > task["attempt"]:
        raise NotFound(f"This task has no attempt {attempt}: the newest is {task['attempt']}.")
    shown = LogPrinter()
    is_complete = await shown.print_more(client, complete, attempt or task["attempt"] or None)
    if follow and not is_complete:
        await _follow(client, complete, attempt or task["attempt"] or None, shown)
    elif not shown.printed_bytes:
        say("This task has no log yet.")


class LogPrinter:
    """Prints a log piece by piece; a character that was cut in two is printed once it is whole."""

    def __init__(self) -> None:
        self.printed_bytes = 0
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode

    async def print_more(self, client: Client, task_id: str, attempt: int | None) -> bool:
        """Print what has been added; returns whether that was all."""
        more, is_complete = await client.log_behind(task_id, attempt, self.printed_bytes)
        self.printed_bytes += len(more)
        _write(self._decode(more, final=is_complete))
        return is_complete


async def _follow(client: Client, task_id: str, attempt: int | None, shown: LogPrinter) -> None:
    """Print what is added to a log until it is complete; ``attempt`` is None while nobody has begun the task.

    A task that was handed out ahead has an attempt, and no log unless that begins.
    """
    is_complete = False
    while not is_complete:
        await asyncio.sleep(POLL_S)
        try:
            if not shown.printed_bytes:
                task = await client.task(task_id)
                if task["status"] in ENDED and task.get("started_at") is None:
                    say(f"This task is {task['status']} and was never begun: it has no log.")
                    return
                attempt = attempt or task["attempt"] or None
            is_complete = await shown.print_more(client, task_id, attempt)
        except Unavailable:
            continue  # the Server restarts; a log that is followed waits for it


def _write(text: str) -> None:
    """Print a part of a log: to programs as it is, to a terminal without what would steer it."""
    sys.stdout.write(harmless(text, also="\n\t") if sys.stdout.isatty() else text)
    sys.stdout.flush()
