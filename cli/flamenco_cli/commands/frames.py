"""``flamenco frames``."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import click

from flamenco_cli.client import Client
from flamenco_cli.frame_files import Fetched, fetch
from flamenco_cli.records import Frame
from flamenco_cli.running import json_option, with_client
from flamenco_cli.short_ids import job_id_of
from flamenco_cli.tables import frames_table
from flamenco_cli.teaching import Verb
from flamenco_cli.terminal import print_json, results, say
from flamenco_core.errors import BadInput, NotFound

ABSOLUTE_FOLDER = click.Path(path_type=Path, file_okay=False, resolve_path=True)


class FramesElsewhere(NotFound):
    """Frames are on storage that this machine does not see."""

    type = "frames-elsewhere"


@click.command("frames", cls=Verb, examples=["flamenco frames 3f2a", "flamenco frames 3f2a --get ~/Desktop/sh010"])
@click.argument("job_id", metavar="ID")
@click.option("--get", "folder", type=ABSOLUTE_FOLDER, metavar="DIR", help="Copy the finished frames into this folder.")
@json_option
@with_client
async def frames_command(client: Client, job_id: str, folder: Path | None, as_json: bool) -> None:
    """List a job's frames: state, Worker, time taken, and where each one is."""
    frames = await client.frames(await job_id_of(client, job_id))
    if folder is not None:
        await _get(frames, folder)
    if as_json:
        print_json(frames)
    elif not frames:
        say("This job renders no frames.")
    elif folder is None:
        results().print(frames_table(frames))


async def _get(frames: Sequence[Frame], folder: Path) -> None:
    try:
        fetched = await asyncio.to_thread(fetch, frames, folder)
    except OSError as error:
        raise BadInput(f"Cannot copy frames to {folder}: {error.strerror or error}.") from error
    _report(fetched, folder, len(frames))


def _report(fetched: Fetched, folder: Path, total: int) -> None:
    say(f"{len(fetched.copied)} of {total} frames copied to {folder}.")
    if fetched.unseen:
        count = len(fetched.unseen)
        raise FramesElsewhere(
            f"{count} finished {'frame is' if count == 1 else 'frames are'} on storage that this machine does not see: "
            f"{', '.join(fetched.unseen[:3])}{' …' if count > 3 else ''}. Copy from a machine that does."
        )
