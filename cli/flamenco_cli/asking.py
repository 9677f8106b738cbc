"""Asking something of jobs, tasks and Workers: of each one, and a Manager's answer is waited for a moment."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import click

from flamenco_cli.client import Client
from flamenco_cli.exit_codes import ExitCode
from flamenco_cli.terminal import print_json, say
from flamenco_core.errors import Conflict

Thing = Mapping[str, Any]
"""A job, task or Worker, as the API has it."""

ANSWER_S = 3.0
"""For how long a Manager's answer is waited for; a later one is seen in the lists."""
LOOK_AGAIN_S = 0.1


class Refused(Conflict):
    """Some of what was asked will not be done."""

    type = "refused"


def site_of(thing: Thing) -> str | None:
    """Return the name of the Manager that a job or Worker is on, None for none."""
    manager = thing.get("manager")
    return manager["name"] if manager else None


@dataclass(frozen=True)
class Question:
    """What is asked: ``act`` asks it of one thing, ``read`` looks at that again, ``words`` say what was asked.

    ``site`` tells which Manager has a thing, None while none has it.
    """

    act: Callable[[str], Awaitable[Thing]]
    read: Callable[[str], Awaitable[Thing]]
    words: Callable[[Thing], str]
    site: Callable[[Thing], str | None] = site_of


async def ask_each(client: Client, ids: Sequence[str], question: Question, *, as_json: bool) -> None:
    """Ask something of each, and tell what the Managers answer. Raises Refused, once all were asked.

    One that refuses does not keep the others from it. ``as_json``: those that it was asked of are printed.
    """
    asked, refusals = list[Thing](), list[str]()
    for thing_id in ids:
        try:
            thing = await question.act(thing_id)
        except Conflict as error:
            refusals.append(str(error))
            continue
        say(question.words(thing))
        asked.append(thing)
    away = await _sites_away(client, {question.site(thing) for thing in asked if thing.get("requested")})
    for site, since in away.items():
        say(f"The Manager of site {site} is away since {since}; it will do that when it is back.", "doubtful")
    answered = [
        await _answered(thing, question.read) if question.site(thing) not in (None, *away) else thing for thing in asked
    ]
    if as_json:
        print_json(answered)
    refusals += [f"{thing['name']}: {thing['refused']}" for thing in answered if thing.get("refused")]
    if refusals:
        raise Refused("\n".join(refusals))


def confirm(question: str, *, yes: bool) -> None:
    """Ask whoever sits at the terminal; scripts, and those who say ``--yes``, mean it. Raises Exit on a no."""
    if yes or not sys.stdin.isatty():
        return
    if not click.confirm(question, err=True):
        say("Nothing was changed.")
        raise click.exceptions.Exit(ExitCode.INTERRUPTED)


async def _sites_away(client: Client, sites: set[str | None]) -> Mapping[str, str]:
    """Return which of these Managers are away, and since when."""
    if not sites - {None}:
        return {}
    managers = await client.managers()
    return {each["name"]: _clock(each["last_seen"]) for each in managers if each["away"] and each["name"] in sites}


def _clock(moment: str | None) -> str:
    if moment is None:
        return "its beginning"
    return f"{datetime.fromisoformat(moment).astimezone():%d %b %H:%M}"


async def _answered(thing: Thing, read: Callable[[str], Awaitable[Thing]]) -> Thing:
    """Look again until nothing is asked any more, or for long enough."""
    deadline = asyncio.get_running_loop().time() + ANSWER_S
    while thing.get("requested") and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(LOOK_AGAIN_S)
        thing = await read(thing["id"])
    return thing
