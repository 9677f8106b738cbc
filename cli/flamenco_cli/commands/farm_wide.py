"""``flamenco tag`` and ``settings``: what belongs to the whole farm."""

from collections.abc import Mapping, Sequence
from typing import Any

import click
import orjson

from flamenco_cli.client import Client
from flamenco_cli.commands.steering import set_tag_command
from flamenco_cli.running import json_option, with_client
from flamenco_cli.tables import settings_sheet, tags_table
from flamenco_cli.teaching import Group, Verb
from flamenco_cli.terminal import print_json, results, say
from flamenco_core.errors import BadInput

BY_NAME = ("limits", "project_caps")
"""Settings that hold a number for each of several names."""


@click.group(
    "tag",
    cls=Group,
    examples=["flamenco tag list", "flamenco tag add gpu --description 'has a GPU'", "flamenco tag set gpu 3f2a"],
)
def tag_command() -> None:
    """Tags: groups of Workers that jobs may ask for."""


@tag_command.command("list", cls=Verb, examples=["flamenco tag list"])
@json_option
@with_client
async def list_command(client: Client, as_json: bool) -> None:
    """List tags."""
    tags = await client.tags()
    if as_json:
        print_json(tags)
    elif tags:
        results().print(tags_table(tags))
    else:
        say("No tags yet. Make one: flamenco tag add gpu")


@tag_command.command("add", cls=Verb, examples=["flamenco tag add gpu --description 'has a GPU'"])
@click.argument("name")
@click.option("--description", default="", help="What it is for.")
@json_option
@with_client
async def add_command(client: Client, name: str, description: str, as_json: bool) -> None:
    """Make a tag, or describe it anew."""
    tag = await client.put_tag(name, description)
    say(f"There is a tag {tag['name']!r}. Give it to a Worker: flamenco worker tags NAME {tag['name']}")
    if as_json:
        print_json(tag)


@tag_command.command("delete", cls=Verb, examples=["flamenco tag delete gpu", "flamenco tag delete gpu --force"])
@click.argument("name")
@click.option("--force", is_flag=True, help="Also where jobs or Workers use it; such jobs then run anywhere.")
@with_client
async def delete_command(client: Client, name: str, force: bool) -> None:
    """Delete a tag. One that unfinished jobs or Workers use is kept, unless by force."""
    await client.delete_tag(name, force=force)
    say(f"Deleted the tag {name!r}.")


tag_command.add_command(set_tag_command)


@click.command(
    "settings",
    cls=Verb,
    examples=[
        "flamenco settings",
        "flamenco settings policy=balanced worker_timeout_s=120",
        "flamenco settings limits.renderman=5      and without a value it goes: limits.renderman=",
        (
            'flamenco settings \'variables={"nas": {"is_twoway": true, "values": '
            '[{"platform": "linux", "value": "/nas"}, {"platform": "windows", "value": "N:/"}]}}\''
        ),
    ],
)
@click.argument("changes", metavar="[KEY=VALUE...]", nargs=-1)
@json_option
@with_client
async def settings_command(client: Client, changes: Sequence[str], as_json: bool) -> None:
    """Show the farm's settings, or change some. An empty value puts one back to its default."""
    settings = dict(await client.farm_settings())
    if changes:
        for change in changes:
            _apply(settings, change)
        settings = dict(await client.put_farm_settings(settings))
    if as_json:
        print_json(settings)
    else:
        results().print(settings_sheet(settings))


def _apply(settings: dict[str, Any], change: str) -> None:
    """Change one setting. Raises BadInput."""
    key, sign, text = change.partition("=")
    name, _, part = key.partition(".")
    if not sign or not name:
        raise BadInput(f"{change!r} is no KEY=VALUE, as in policy=balanced.")
    if name in BY_NAME and part:
        others = {other: count for other, count in _mapping(settings.get(name)).items() if other != part}
        settings[name] = {**others, part: _value(text)} if text else others
    elif text:
        settings[key] = _value(text)
    else:
        settings.pop(key, None)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _value(text: str) -> Any:
    """Read a value as JSON, or else as the text that it is."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
