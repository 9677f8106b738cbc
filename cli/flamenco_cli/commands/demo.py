"""``flamenco demo``."""

import asyncio
import os
import time
from contextlib import suppress
from pathlib import Path

import click
from rich.table import Table
from rich.text import Text

from flamenco_cli.client import open_client
from flamenco_cli.demo import Made, demo_made, find_or_install
from flamenco_cli.running import FOLDER
from flamenco_cli.stopping import until_stopped
from flamenco_cli.teaching import Verb
from flamenco_cli.terminal import notes, print_line
from flamenco_cli.words import program_of
from flamenco_core.wire.worker_api import Program
from flamenco_runtime.logs import configure_logging


class DemoNotes:
    """Prints what happens on standard error; files are too small here for bars."""

    def note(self, text: str) -> None:
        """Print a sentence."""
        notes().print(text, style="quiet", soft_wrap=True, markup=False)

    def begin(self, phase: str, total_bytes: int) -> None:
        """Nothing: a moment later it is done."""

    def advance(self, more_bytes: int) -> None:
        """Nothing, as above."""


@click.command(
    "demo",
    cls=Verb,
    examples=[
        "flamenco demo                     render it into ./demo",
        "flamenco demo --keep              … and then look at the farm's page",
        "FLAMENCO_BLENDER=/opt/blender-4.5/blender flamenco demo",
    ],
)
@click.option(
    "-o",
    "--output",
    type=FOLDER,
    default="demo",
    show_default=True,
    help="Folder for frames, contact sheet and video.",
)
@click.option("--keep", is_flag=True, help="Leave the farm running until Ctrl-C, and print its URL.")
def demo_command(output: Path, keep: bool) -> None:
    """Render a short animation through a whole farm on this machine.

    Starts a Server, a Manager and two Worker slots in a temporary folder, sends them a scene that Blender builds on
    the spot, and ends them. Your own farm, if you have one, is not touched. Where this machine has no Blender or
    FFmpeg, they are installed from PyPI (about 370 MB, once). Prints where the pictures are; the last line is the
    video's path.
    """
    configure_logging(level="error")
    work = _run(output.absolute(), keep=keep)
    if not asyncio.run(until_stopped(work, on_stop=lambda: DemoNotes().note("Stopping …"))):
        raise KeyboardInterrupt


async def _run(output: Path, *, keep: bool) -> bool:
    """Return True once the pictures are there."""
    watcher = DemoNotes()
    notes().print(Text("24 frames of a flower, through a Server, a Manager and two Worker slots."))
    programs = await find_or_install(os.environ, watcher)
    _show(programs)
    began_s = time.monotonic()
    async with demo_made(programs, output, os.environ, watcher) as made:
        _tell(made, time.monotonic() - began_s)
        if keep:
            with suppress(asyncio.CancelledError):  # Ctrl-C is how it is meant to end
                await _stay(made)
    return True


def _show(programs: tuple[Program, Program]) -> None:
    sheet = Table.grid(padding=(0, 2, 0, 0))
    for program in programs:
        sheet.add_row(program_of(program.name, program.version), Text(program.path, style="quiet"))
    notes().print(sheet)


def _tell(made: Made, seconds: float) -> None:
    notes().print(Text(f"{len(made.frames)} frames and their video in {seconds:.0f} s.", style="good"))
    print_line(f"Frames: {made.frames[0].parent}")
    print_line(f"Contact sheet: {made.sheet}")
    print_line(str(made.video))


async def _stay(made: Made) -> None:
    async with open_client(made.farm.connection) as client:
        link = (await client.sign_in_link())["url"]
    console = notes()
    console.print(f"The farm goes on: {made.farm.connection.url}", soft_wrap=True, markup=False)
    console.print(f"This link signs you in once: {link}", soft_wrap=True, markup=False)
    console.print(Text("Ctrl-C ends it.", style="quiet"))
    await made.farm.until_broken()
