"""``flamenco why``."""

from collections.abc import Iterator, Sequence

import click
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from flamenco_cli.client import Client
from flamenco_cli.records import Answer, Reason
from flamenco_cli.running import json_option, with_client
from flamenco_cli.short_ids import NoSuchId, job_id_of, task_id_of
from flamenco_cli.teaching import Verb
from flamenco_cli.terminal import harmless, print_json, results
from flamenco_core.errors import NotFound


@click.command(
    "why",
    cls=Verb,
    examples=["flamenco why 3f2a     a job: the first of its tasks that waits", "flamenco why 90ab     a task"],
)
@click.argument("thing_id", metavar="ID")
@json_option
@with_client
async def why_command(client: Client, thing_id: str, as_json: bool) -> None:
    """Say why a job or a task does not run, and what would help.

    The scheduler itself answers; what matters first comes first. Exit code 3 when its site is away.
    """
    answer = await _answer(client, thing_id)
    if as_json:
        print_json(answer)
        return
    subject = await _subject(client, answer["task"])
    results().print(Group(*([subject] if subject else []), *(_shown(answer["reasons"]))))


async def _answer(client: Client, thing_id: str) -> Answer:
    """Ask of a job, and if there is none, of a task. Raises NotFound for neither."""
    try:
        return await client.why("jobs", await job_id_of(client, thing_id))
    except NotFound as no_job:
        try:
            return await client.why("tasks", await task_id_of(client, thing_id))
        except NoSuchId as error:
            raise NoSuchId(f"{no_job} {error}") from error


async def _subject(client: Client, task_id: str | None) -> Text | None:
    if task_id is None:
        return None
    task = await client.task(task_id)
    frames = f", frames {task['frames']}" if task["frames"] else ""
    return Text(harmless(f"Task {task['index']} ({task['name']}{frames})"), style="quiet")


def _shown(reasons: Sequence[Reason]) -> Iterator[RenderableType]:
    if not reasons:
        yield Text("Nothing holds it back.")
    for number, reason in enumerate(reasons):
        yield Text(harmless(reason["text"]), style="bold" if number == 0 else "")
        if reason.get("workers"):
            yield Padding(Text(harmless(", ".join(reason["workers"])), style="quiet"), (0, 0, 0, 2))
        if reason.get("act"):
            yield Padding(Text(harmless(f"What helps: {reason['act']}"), style="good"), (0, 0, 0, 2))
