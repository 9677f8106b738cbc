"""``flamenco worker list``, ``sleep``, ``wake`` …: what people ask of Workers."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

import click

from flamenco_cli.asking import Question, ask_each, confirm
from flamenco_cli.client import Client
from flamenco_cli.records import Worker
from flamenco_cli.running import json_option, with_client
from flamenco_cli.short_ids import job_id_of, worker_named
from flamenco_cli.sleep_times import EXAMPLE, window_of, window_text
from flamenco_cli.tables import states_table, workers_table
from flamenco_cli.teaching import Verb
from flamenco_cli.terminal import print_json, print_line, results, say
from flamenco_core.errors import BadInput
from flamenco_runtime.clock import utc_now

names_argument = click.argument("names", metavar="NAME|ID...", nargs=-1, required=True)
name_argument = click.argument("name", metavar="NAME|ID")
now_option = click.option("--now", is_flag=True, help="At once: its current task is given to another Worker.")

Act = Callable[[str], Awaitable[Worker]]


@click.command("list", cls=Verb, examples=["flamenco worker list", "flamenco worker list --json | jq -r '.[].name'"])
@json_option
@with_client
async def list_command(client: Client, as_json: bool) -> None:
    """List Workers: what each one is, does and has."""
    workers = await client.workers()
    if as_json:
        print_json(workers)
    elif workers:
        results().print(workers_table(workers, utc_now()))
    else:
        say("No Workers yet. On a machine that shall render: flamenco worker --manager URL")


@click.command("sleep", cls=Verb, examples=["flamenco worker sleep render-07", "flamenco worker sleep render-07 --now"])
@names_argument
@now_option
@json_option
@with_client
async def sleep_command(client: Client, names: Sequence[str], now: bool, as_json: bool) -> None:
    """Let Workers take no more work until 'flamenco worker wake': after their current task, or now."""
    await _set_status(client, names, "asleep", "goes to sleep", lazy=not now, as_json=as_json)


@click.command("wake", cls=Verb, examples=["flamenco worker wake render-07"])
@names_argument
@json_option
@with_client
async def wake_command(client: Client, names: Sequence[str], as_json: bool) -> None:
    """Let Workers take work again."""
    await _set_status(client, names, "awake", "wakes up", lazy=False, as_json=as_json)


@click.command("restart", cls=Verb, examples=["flamenco worker restart render-07", "flamenco worker restart --now r7"])
@names_argument
@now_option
@json_option
@with_client
async def restart_command(client: Client, names: Sequence[str], now: bool, as_json: bool) -> None:
    """Have Workers end and be started again: after their current task, or now."""
    await _set_status(client, names, "restart", "restarts", lazy=not now, as_json=as_json)


@click.command(
    "shutdown", cls=Verb, examples=["flamenco worker shutdown render-07", "flamenco worker shutdown r7 --now"]
)
@names_argument
@now_option
@json_option
@with_client
async def shutdown_command(client: Client, names: Sequence[str], now: bool, as_json: bool) -> None:
    """Have Workers end: after their current task, or now. Somebody must start them again."""
    await _set_status(client, names, "offline", "shuts down", lazy=not now, as_json=as_json)


@click.command("approve", cls=Verb, examples=["flamenco worker approve render-07"])
@names_argument
@json_option
@with_client
async def approve_command(client: Client, names: Sequence[str], as_json: bool) -> None:
    """Let new Workers take work."""
    workers = await _named(client, names)
    for worker in workers:
        if worker["approved"]:
            say(f"{worker['name']} is approved already.")
    new = [worker for worker in workers if not worker["approved"]]
    await _ask(client, new, partial(client.ask_worker, what="approve"), "Approved {}.", as_json=as_json)


@click.command("forget", cls=Verb, examples=["flamenco worker forget render-07", "flamenco worker forget r7 r8 --yes"])
@names_argument
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@with_client
async def forget_command(client: Client, names: Sequence[str], yes: bool, as_json: bool) -> None:
    """Remove Workers from the farm. One that comes back is a new one, and must be approved."""
    workers = await _named(client, names)
    listed = ", ".join(worker["name"] for worker in workers)
    confirm(f"Forget {'this Worker' if len(workers) == 1 else f'these {len(workers)} Workers'}: {listed}?", yes=yes)
    forgotten = await _ask_to_forget(client, workers)
    if as_json:
        print_json(forgotten)


@click.command(
    "unblock",
    cls=Verb,
    examples=["flamenco worker unblock render-07", "flamenco worker unblock render-07 --job 3f2a --type blender"],
)
@names_argument
@click.option("--job", metavar="ID", help="Only for this job.")
@click.option("--type", "task_type", metavar="TYPE", help="Only for tasks of this type, such as blender.")
@json_option
@with_client
async def unblock_command(
    client: Client, names: Sequence[str], job: str | None, task_type: str | None, as_json: bool
) -> None:
    """Let Workers have tasks again that they were blocked from, because they failed too many."""
    wanted = {"job": await job_id_of(client, job) if job else None, "task_type": task_type}
    document = {key: value for key, value in wanted.items() if value is not None}
    act: Act = partial(client.ask_worker, what="unblock", document=document)
    await _ask(client, await _named(client, names), act, "Unblocking {}.", as_json=as_json)


@click.command(
    "tags",
    cls=Verb,
    examples=[
        "flamenco worker tags render-07             which it has",
        "flamenco worker tags render-07 gpu big     these, and no others",
        "flamenco worker tags render-07 --none",
    ],
)
@name_argument
@click.argument("tags", metavar="[TAG...]", nargs=-1)
@click.option("--none", "no_tags", is_flag=True, help="Take all its tags away.")
@json_option
@with_client
async def tags_command(client: Client, name: str, tags: Sequence[str], no_tags: bool, as_json: bool) -> None:
    """Show a Worker's tags, or change them. 'flamenco tag add' makes new ones."""
    if tags and no_tags:
        raise BadInput("Name tags, or write --none, not both.")
    (worker,) = await _named(client, [name])
    if not tags and not no_tags:
        _show(worker.get("tags", []), as_json=as_json)
        return
    act: Act = partial(client.ask_worker, what="tags", document={"tags": list(tags)}, method="PUT")
    words = f"Tags of {{}}: {', '.join(tags) or 'none'}."
    await _ask(client, [worker], act, words, as_json=as_json)


@click.command(
    "schedule",
    cls=Verb,
    examples=[
        "flamenco worker schedule render-07         when it sleeps",
        f"flamenco worker schedule render-07 --sleep '{EXAMPLE}' --time-zone Europe/Amsterdam",
        "flamenco worker schedule render-07 --sleep '9:00-12:00 sat' --sleep '0:00-0:00 sun' --time-zone UTC",
        "flamenco worker schedule render-07 --off   keeps it, but does not follow it",
        "flamenco worker schedule render-07 --none",
    ],
)
@name_argument
@click.option("--sleep", "sleep", multiple=True, metavar="TIMES", help=f"When it sleeps: '{EXAMPLE}'. Repeatable.")
@click.option("--time-zone", metavar="ZONE", help="Whose time that is: Europe/Amsterdam.")
@click.option("--on/--off", "is_active", default=None, help="Follow the schedule, or keep it without following it.")
@click.option("--none", "no_schedule", is_flag=True, help="Have no schedule.")
@json_option
@with_client
async def schedule_command(
    client: Client,
    name: str,
    sleep: Sequence[str],
    time_zone: str | None,
    is_active: bool | None,
    no_schedule: bool,
    as_json: bool,
) -> None:
    """Show when a Worker sleeps by itself, or change that."""
    (worker,) = await _named(client, [name])
    present = worker.get("schedule")
    if not sleep and time_zone is None and is_active is None and not no_schedule:
        _show_schedule(present, as_json=as_json)
        return
    wanted = None if no_schedule else _changed(present, sleep, time_zone, is_active)
    act: Act = partial(client.ask_worker, what="schedule", document={"schedule": wanted}, method="PUT")
    await _ask(client, [worker], act, f"{{}}: {_schedule_words(wanted)}", as_json=as_json)


@click.command("history", cls=Verb, examples=["flamenco worker history render-07"])
@name_argument
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="How many, the newest first.")
@json_option
@with_client
async def history_command(client: Client, name: str, limit: int, as_json: bool) -> None:
    """Show what a Worker was, when and why."""
    (worker,) = await _named(client, [name])
    found = []
    async for state in client.worker_states(worker["id"]):
        found.append(state)
        if len(found) == limit:
            break
    if as_json:
        print_json(found)
    elif found:
        results().print(states_table(found, utc_now()))
    else:
        say(f"Nothing is known of the past of {worker['name']}.")


VERBS = (
    list_command,
    sleep_command,
    wake_command,
    restart_command,
    shutdown_command,
    approve_command,
    forget_command,
    unblock_command,
    tags_command,
    schedule_command,
    history_command,
)


async def _named(client: Client, names: Sequence[str]) -> list[Worker]:
    """Choose all Workers first: a typo changes nothing."""
    workers = await client.workers()
    return [worker_named(workers, name) for name in names]


async def _set_status(
    client: Client, names: Sequence[str], status: str, words: str, *, lazy: bool, as_json: bool
) -> None:
    act: Act = partial(client.ask_worker, what="status", document={"status": status, "lazy": lazy})
    when = " after its current task" if lazy else ""
    workers = await _named(client, names)
    await _ask(client, workers, act, f"{{}} {words}{when}.", as_json=as_json)
    for worker in workers:
        if worker["status"] == "offline" and status in ("awake", "asleep") and not as_json:
            say(f"{worker['name']} is offline: that happens once somebody has started it.")


async def _ask(client: Client, workers: Sequence[Worker], act: Act, words: str, *, as_json: bool) -> None:
    question = Question(act, client.worker, lambda worker: words.format(worker["name"]))
    await ask_each(client, [worker["id"] for worker in workers], question, as_json=as_json)


async def _ask_to_forget(client: Client, workers: Sequence[Worker]) -> list[Worker]:
    """Ask, and do not look again: a forgotten Worker is not there any more."""
    forgotten = []
    for worker in workers:
        forgotten.append(await client.ask_worker(worker["id"], "forget"))
        say(f"Forgetting {worker['name']}.")
    return forgotten


def _changed(
    present: Mapping[str, Any] | None, sleep: Sequence[str], time_zone: str | None, is_active: bool | None
) -> Mapping[str, Any]:
    """Return a schedule with what was written changed. Raises BadInput."""
    zone = time_zone or (present["time_zone"] if present else None)
    if zone is None:
        raise BadInput("Say whose time that is: --time-zone Europe/Amsterdam")
    if not sleep and present is None:
        raise BadInput(f"This Worker has no schedule yet: --sleep '{EXAMPLE}'")
    windows = [window_of(text) for text in sleep] or (present["windows"] if present else [])
    return {"is_active": is_active is not False, "time_zone": zone, "windows": windows}


def _schedule_words(schedule: Mapping[str, Any] | None) -> str:
    if schedule is None:
        return "no schedule."
    times = "; ".join(window_text(window) for window in schedule["windows"]) or "never"
    return f"sleeps {times} ({schedule['time_zone']}){'' if schedule['is_active'] else ', switched off'}."


def _show_schedule(schedule: Mapping[str, Any] | None, *, as_json: bool) -> None:
    if as_json:
        print_json(schedule)
    elif schedule is None:
        say("It has no schedule.")
    else:
        for window in schedule["windows"]:
            print_line(window_text(window))
        say(f"Times of {schedule['time_zone']}; the schedule is {'on' if schedule['is_active'] else 'off'}.")


def _show(tags: Sequence[str], *, as_json: bool) -> None:
    if as_json:
        print_json(list(tags))
    elif tags:
        for tag in tags:
            print_line(tag)
    else:
        say("It has no tags.")
