"""``flamenco up``."""

import asyncio
import os
import webbrowser
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import click
import platformdirs
from rich.table import Table
from rich.text import Text

from flamenco_cli.client import open_client
from flamenco_cli.farm import Farm, Plan, farm_up
from flamenco_cli.running import FOLDER
from flamenco_cli.stopping import until_stopped
from flamenco_cli.teaching import Verb
from flamenco_cli.terminal import notes, print_line, say
from flamenco_cli.words import program_of
from flamenco_runtime.settings import Address, parse_address


class AddressType(click.ParamType[Address]):
    """HOST:PORT on the command line."""

    name = "HOST:PORT"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Address:
        """Read it, or fail with what would be right."""
        if isinstance(value, Address):
            return value
        try:
            return parse_address(str(value))
        except ValueError as error:
            self.fail(f"{value!r}: {error}", param, ctx)


ADDRESS = AddressType()


@click.command(
    "up",
    cls=Verb,
    examples=[
        "flamenco up                         a farm for this computer",
        "flamenco up --workers 2 --open      two slots, and its page in the browser",
        "flamenco up --data /srv/flamenco --listen 0.0.0.0:8000 --manager-listen 0.0.0.0:8080",
    ],
)
@click.option("--data", type=FOLDER, help="Folder of the farm's state. Without: the platform's data folder.")
@click.option("--listen", type=ADDRESS, default="127.0.0.1:8000", show_default=True, help="Where the Server listens.")
@click.option(
    "--manager-listen", type=ADDRESS, default="127.0.0.1:8080", show_default=True, help="Where the Manager listens."
)
@click.option("--workers", type=click.IntRange(0, 1024), default=1, show_default=True, help="Worker slots; 0 for none.")
@click.option("--open", "open_page", is_flag=True, help="Open the page in the browser.")
def up_command(data: Path | None, listen: Address, manager_listen: Address, workers: int, open_page: bool) -> None:
    """Run a whole farm on this machine: Server, Manager and a Worker.

    What dies is started again; Ctrl-C stops everything. Prints one line 'ready: URL' when all answer. Other commands
    find this farm by themselves.
    """
    folder = (data or platformdirs.user_data_path("flamenco")).absolute()
    plan = Plan(folder, listen, manager_listen, workers, os.environ)
    asyncio.run(until_stopped(_run(plan, open_page=open_page), on_stop=lambda: say("Stopping …")))


async def _run(plan: Plan, *, open_page: bool) -> None:
    is_new = not (plan.data / "server").exists()
    say(f"Starting Server, Manager and {_slots(plan.workers)} …")
    async with farm_up(plan, say) as farm:
        _introduce(plan, farm, is_new=is_new)
        print_line(f"ready: {farm.connection.url}")
        if open_page:
            await _open_page(farm)
        await farm.until_broken()


def _introduce(plan: Plan, farm: Farm, *, is_new: bool) -> None:
    rows: Mapping[str, str] = {
        "Page": f"{farm.connection.url}   open it, signed in: flamenco open",
        "Data": str(plan.data),
        "Logs": str(plan.data / "logs"),
        "Workers": _workers_line(farm),
        "Add-on": _addon_line(),
    }
    sheet = Table.grid(padding=(0, 2, 0, 0))
    sheet.add_column(style="quiet")
    for name, value in rows.items():
        sheet.add_row(name, Text(value, overflow="fold"))
    console = notes()
    console.print(Text("A new farm is up." if is_new else "The farm is up.", style="good"))
    console.print(sheet)
    console.print(Text("Ctrl-C stops it.", style="quiet"))


def _workers_line(farm: Farm) -> str:
    if not farm.workers:
        return f"none; start some with: flamenco worker --manager {farm.manager_url}"
    programs = [program_of(program["name"], program["version"]) for program in farm.workers[0]["programs"]]
    found = " and ".join(programs) or "neither Blender nor FFmpeg was found; set FLAMENCO_BLENDER and FLAMENCO_FFMPEG"
    return f"{_slots(len(farm.workers))}, {found}"


def _addon_line() -> str:
    zip_file = Path(__file__).parents[3] / "dist" / f"flamenco_addon-{version('flamenco')}.zip"
    return str(zip_file) if zip_file.exists() else "build it with 'make addon', then install dist/flamenco_addon-….zip"


async def _open_page(farm: Farm) -> None:
    async with open_client(farm.connection) as client:
        link = (await client.sign_in_link())["url"]
    if not await asyncio.to_thread(webbrowser.open, link):
        say(f"No browser could be opened. This link signs you in once: {link}")


def _slots(count: int) -> str:
    return "1 Worker slot" if count == 1 else f"{count or 'no'} Worker slots"
