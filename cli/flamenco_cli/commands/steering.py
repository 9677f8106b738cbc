"""``flamenco pause``, ``resume``, ``cancel``, ``requeue``, ``priority``, ``delete``, ``undelete``, ``tag set``."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

import click

from flamenco_cli.asking import Question, Thing, ask_each, confirm
from flamenco_cli.client import Client
from flamenco_cli.records import Job, Task
from flamenco_cli.running import json_option, with_client
from flamenco_cli.short_ids import SHORT, deleted_job_id_of, job_id_of, tasks_of_job
from flamenco_cli.teaching import Verb
from flamenco_core.errors import BadInput
from flamenco_core.frames import BadFrames, parse_frames

jobs_argument = click.argument("job_ids", metavar="ID...", nargs=-1, required=True)
yes_option = click.option("--yes", is_flag=True, help="Do not ask whether running work may be lost.")
tasks_option = click.option(
    "--tasks", metavar="ID,ID,…", help="Not the whole job: these of its tasks, by the first characters of their ids."
)


@click.command("pause", cls=Verb, examples=["flamenco pause 3f2a", "flamenco pause 3f2a 77c0"])
@jobs_argument
@tasks_option
@json_option
@with_client
async def pause_command(client: Client, job_ids: Sequence[str], tasks: str | None, as_json: bool) -> None:
    """Set jobs aside: what runs finishes, what waits goes on waiting until 'flamenco resume'."""
    if tasks is not None:
        await _ask_tasks(client, job_ids, tasks, "pause", "Pausing", as_json=as_json)
        return
    await _ask_jobs(client, await _complete(client, job_ids), "pause", "Pausing {}.", as_json=as_json)


@click.command("resume", cls=Verb, examples=["flamenco resume 3f2a", "flamenco resume 3f2a 77c0"])
@jobs_argument
@json_option
@with_client
async def resume_command(client: Client, job_ids: Sequence[str], as_json: bool) -> None:
    """Let paused jobs go on, with those of their tasks that are paused."""
    await _ask_jobs(client, await _complete(client, job_ids), "resume", "Resuming {}.", as_json=as_json)


@click.command("cancel", cls=Verb, examples=["flamenco cancel 3f2a", "flamenco cancel 3f2a 77c0 --yes"])
@jobs_argument
@tasks_option
@yes_option
@json_option
@with_client
async def cancel_command(client: Client, job_ids: Sequence[str], tasks: str | None, yes: bool, as_json: bool) -> None:
    """Cancel jobs: what runs is stopped, what waits is given up. Finished frames stay."""
    if tasks is not None:
        await _ask_tasks(client, job_ids, tasks, "cancel", "Canceling", as_json=as_json)
        return
    complete = await _complete(client, job_ids)
    await _confirm_loss(client, complete, "Cancel", yes=yes)
    await _ask_jobs(client, complete, "cancel", "Canceling {}.", as_json=as_json)


@click.command("delete", cls=Verb, examples=["flamenco delete 3f2a", "flamenco jobs --deleted      what can come back"])
@jobs_argument
@yes_option
@json_option
@with_client
async def delete_command(client: Client, job_ids: Sequence[str], yes: bool, as_json: bool) -> None:
    """Cancel jobs and put them into the bin, where they stay for 7 days. Frames on disk stay where they are."""
    complete = await _complete(client, job_ids)
    await _confirm_loss(client, complete, "Delete", yes=yes)
    words = "Deleting {}; 'flamenco undelete' brings it back within 7 days."
    await _ask_jobs(client, complete, "delete", words, as_json=as_json)


@click.command("undelete", cls=Verb, examples=["flamenco undelete 3f2a"])
@jobs_argument
@json_option
@with_client
async def undelete_command(client: Client, job_ids: Sequence[str], as_json: bool) -> None:
    """Take jobs out of the bin. They are canceled; 'flamenco requeue' runs them again."""
    complete = [await deleted_job_id_of(client, job_id) for job_id in job_ids]
    await _ask_jobs(client, complete, "undelete", "Bringing back {}.", as_json=as_json)


@click.command(
    "requeue",
    cls=Verb,
    examples=[
        "flamenco requeue 3f2a                  what failed",
        "flamenco requeue 3f2a --all            everything, from the start",
        "flamenco requeue 3f2a --frames 12,55   the tasks that render these frames",
    ],
)
@jobs_argument
@click.option("--failed", "which", flag_value="failed", default=True, help="What failed. The default.")
@click.option("--not-completed", "which", flag_value="not-completed", help="All that is not completed.")
@click.option("--all", "which", flag_value="all", help="Everything, also what is completed.")
@click.option("--tasks", metavar="ID,ID,…", help="These tasks, by the first characters of their ids.")
@click.option("--frames", metavar="RANGE", help="The tasks that render these frames: 12, or 3,5-10.")
@json_option
@with_client
async def requeue_command(
    client: Client, job_ids: Sequence[str], which: str, tasks: str | None, frames: str | None, as_json: bool
) -> None:
    """Run tasks again, with all that depends on them."""
    complete = await _complete(client, job_ids)
    wanted: Mapping[str, object] = {"which": which}
    if tasks is not None or frames is not None:
        job_id = _only(complete)
        chosen = await tasks_of_job(client, job_id, tasks) if tasks is not None else []
        chosen += await _rendering(client, job_id, frames) if frames is not None else []
        wanted = {"which": "chosen", "tasks": [task["id"] for task in chosen]}
    await _ask_jobs(client, complete, "requeue", "Requeueing {}.", document=wanted, as_json=as_json)


@click.command("priority", cls=Verb, examples=["flamenco priority 80 3f2a", "flamenco priority 80 3f2a 77c0"])
@click.argument("priority", type=click.IntRange(0, 100))
@jobs_argument
@json_option
@with_client
async def priority_command(client: Client, priority: int, job_ids: Sequence[str], as_json: bool) -> None:
    """Change the priority of jobs, 0 to 100: higher goes first. What runs goes on."""
    complete = await _complete(client, job_ids)

    async def act(job_id: str) -> Job:
        return await client.change_job(job_id, priority=priority)

    words = f"Priority {priority} for {{}}."
    await ask_each(client, complete, Question(act, client.job, partial(_said, words)), as_json=as_json)


@click.command(
    "set",
    cls=Verb,
    examples=["flamenco tag set gpu 3f2a 77c0", "flamenco tag set --none 3f2a          any Worker may run it again"],
)
@click.argument("words", metavar="TAG ID...", nargs=-1, required=True)
@click.option("--none", "is_none", is_flag=True, help="No tag: write only the jobs.")
@json_option
@with_client
async def set_tag_command(client: Client, words: Sequence[str], is_none: bool, as_json: bool) -> None:
    """Let jobs run only on Workers with a tag, or on any. What runs goes on."""
    tag, job_ids = (None, words) if is_none else (words[0], words[1:])
    if not job_ids:
        raise BadInput("Name a tag and the jobs: flamenco tag set gpu 3f2a. Or no tag: flamenco tag set --none 3f2a")
    complete = await _complete(client, job_ids)

    async def act(job_id: str) -> Job:
        return await client.change_job(job_id, tag=tag)

    said = "No tag for {}." if tag is None else f"Tag {tag.replace('{', '{{').replace('}', '}}')} for {{}}."
    await ask_each(client, complete, Question(act, client.job, partial(_said, said)), as_json=as_json)


async def _complete(client: Client, job_ids: Sequence[str]) -> list[str]:
    """Complete all ids first: a typo changes nothing."""
    return [await job_id_of(client, job_id) for job_id in job_ids]


async def _ask_jobs(
    client: Client,
    job_ids: Sequence[str],
    verb: str,
    words: str,
    *,
    document: Mapping[str, object] | None = None,
    as_json: bool,
) -> None:
    async def act(job_id: str) -> Job:
        return await client.ask_job(job_id, verb, document)

    await ask_each(client, job_ids, Question(act, client.job, partial(_said, words)), as_json=as_json)


async def _ask_tasks(
    client: Client, job_ids: Sequence[str], tasks: str, verb: str, word: str, *, as_json: bool
) -> None:
    job = await client.job(_only(await _complete(client, job_ids)))
    chosen = await tasks_of_job(client, job["id"], tasks)
    act: Callable[[str], Awaitable[Task]] = partial(client.ask_task, verb=verb)
    site = job["manager"]["name"] if job["manager"] else None
    question = Question(act, client.task, partial(_said, f"{word} {{}}."), lambda _: site)
    await ask_each(client, [task["id"] for task in chosen], question, as_json=as_json)


async def _confirm_loss(client: Client, job_ids: Sequence[str], word: str, *, yes: bool) -> None:
    """Ask before what runs is stopped, and say how much that is."""
    jobs = [await client.job(job_id) for job_id in job_ids]
    running = sum(job["task_counts"].get("active", 0) for job in jobs)
    if running:
        tasks = "1 task runs" if running == 1 else f"{running} tasks run"
        names = ", ".join(job["name"] for job in jobs[:3]) + (" …" if len(jobs) > 3 else "")
        confirm(f"{tasks} now, and what they have begun is lost. {word} {names}?", yes=yes)


async def _rendering(client: Client, job_id: str, frames: str) -> list[Task]:
    """Return the tasks that render any of these frames. Raises BadInput."""
    try:
        wanted = set(parse_frames(frames))
    except BadFrames as error:
        raise BadInput(f"--frames: {error}") from error
    found = [
        task
        async for task in client.tasks(job_id)
        if task["frames"] and not wanted.isdisjoint(parse_frames(task["frames"]))
    ]
    if not found:
        raise BadInput(f"--frames: no task of this job renders {frames}.")
    return found


def _only(job_ids: Sequence[str]) -> str:
    if len(job_ids) != 1:
        raise BadInput("Tasks and frames are those of one job: name only that.")
    return job_ids[0]


def _said(words: str, thing: Thing) -> str:
    return words.format(f"{thing['id'][:SHORT]} ({thing['name']})")
