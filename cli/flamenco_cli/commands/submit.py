"""``flamenco submit``."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from flamenco_cli.amounts import duration_of, limits_of, memory_of, start_of
from flamenco_cli.client import Client
from flamenco_cli.running import json_option, with_client
from flamenco_cli.submission import Wish, submit
from flamenco_cli.teaching import Verb
from flamenco_cli.terminal import harmless, notes, print_json, print_line, size
from flamenco_cli.waiting import check_completed, wait_for
from flamenco_core.wire.schema import rfc3339

WORTH_SHOWING_BYTES = 20_000_000
"""Files below this are read and sent before a bar could be read."""


class SubmitProgress:
    """Shows phases of reading and sending on standard error: bars on a terminal, lines elsewhere."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._phase: TaskID | None = None

    def note(self, text: str) -> None:
        """Print a line."""
        self._progress.console.print(harmless(text), style="quiet", soft_wrap=True)

    def begin(self, phase: str, total_bytes: int) -> None:
        """Start a bar, in place of the one before."""
        if self._phase is not None:
            self._progress.remove_task(self._phase)
        if total_bytes >= WORTH_SHOWING_BYTES and self._progress.disable:
            self.note(f"{phase} {size(total_bytes)} …")
        self._phase = self._progress.add_task(phase, total=total_bytes, visible=total_bytes >= WORTH_SHOWING_BYTES)

    def advance(self, more_bytes: int) -> None:
        """Move the bar."""
        if self._phase is not None:
            self._progress.advance(self._phase, more_bytes)


@click.command(
    "submit",
    cls=Verb,
    examples=[
        "flamenco submit scene.blend -f 1-250 -o /render/sh010 --wait",
        "flamenco submit scene.blend --set chunk_size=5 --set format=JPEG",
        "flamenco submit --type echo-sleep-test --set message=hello",
        "flamenco submit scene.blend --task-time 2h --task-silence 30m      what hangs is tried again",
        "flamenco submit comp.blend --after 3f2a --tag gpu --memory 16GB --start-after 18:30",
    ],
)
@click.argument("file", required=False, type=click.Path(path_type=Path), metavar="[FILE.blend]")
@click.option("-f", "--frames", help="Frames to render: 1-250, or 3,5-10, or 1-100:5. Without: as set in the file.")
@click.option(
    "-o", "--output", metavar="DIR", help="Where the frames go; made if it is missing. Workers must see it too."
)
@click.option("--name", help="Name of the job. Without: that of the file.")
@click.option(
    "--type", "job_type", default="simple-blender-render", show_default=True, help="See 'flamenco job-types'."
)
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="A setting of the job type. Repeatable.")
@click.option("--priority", type=click.IntRange(0, 100), default=50, show_default=True, help="Higher goes first.")
@click.option("--project", metavar="NAME", help="The project that it is for.")
@click.option("--tag", metavar="NAME", help="Only Workers with this tag; see 'flamenco tag list'.")
@click.option("--paused", is_flag=True, help="Wait for 'flamenco resume' before anything starts.")
@click.option("--start-after", metavar="TIME", help="Start no sooner: 18:30, or '2026-02-01 08:00'.")
@click.option("--max-workers", type=click.IntRange(1), metavar="N", help="At most so many Workers at a time.")
@click.option("--after", multiple=True, metavar="JOB", help="Only once this job is completed. Repeatable.")
@click.option("--memory", metavar="SIZE", help="Only Workers with so much memory: 16GB.")
@click.option("--gpu", metavar="BACKEND", help="Only Workers with such a GPU: OPTIX, CUDA, HIP, METAL, ONEAPI, or any.")
@click.option(
    "--limit", "limits", multiple=True, metavar="NAME[=N]", help="Holds so much of this limit of the farm. Repeatable."
)
@click.option(
    "--task-time",
    metavar="TIME",
    help="A task that runs for longer counts as failed, and is tried again: 90m, 2h, 1h30m. Without: no limit.",
)
@click.option(
    "--task-silence",
    metavar="TIME",
    help="So does one that prints nothing for longer, as a render that hangs: 20m. Some frames are silent for as long "
    "as they render.",
)
@click.option("--wait", is_flag=True, help="Show progress until the job has ended; exit code 1 if it failed.")
@json_option
@with_client
async def submit_command(
    client: Client,
    /,
    file: Path | None,
    frames: str | None,
    output: str | None,
    name: str | None,
    job_type: str,
    settings: Sequence[str],
    priority: int,
    wait: bool,
    as_json: bool,
    **terms: Any,
) -> None:
    """Send a job to the farm.

    The file is checked first, and only what the Server does not have is sent. Prints the job's id and its page.
    """
    wish = Wish(job_type, file, frames, output, name, settings, priority, _terms(**terms))
    with _bars() as progress:
        job = await submit(client, wish, SubmitProgress(progress))
    page = f"{client.connection.url}/jobs/{job['id']}"
    if not as_json:
        print_line(job["id"])
        print_line(page)
    if wait:
        job = await wait_for(client, job["id"])
    if as_json:
        print_json(job)
    if wait:
        check_completed(job)


def _terms(
    project: str | None,
    tag: str | None,
    paused: bool,
    start_after: str | None,
    max_workers: int | None,
    after: Sequence[str],
    memory: str | None,
    gpu: str | None,
    limits: Sequence[str],
    task_time: str | None,
    task_silence: str | None,
) -> Mapping[str, object]:
    """Return what a job asks of the farm, as the API has it; what was not written is left out. Raises BadAmount."""
    start = start_of(start_after, datetime.now().astimezone()) if start_after is not None else None
    wanted = {
        "project": project,
        "tag": tag,
        "start_paused": paused or None,
        "start_after": rfc3339(start) if start is not None else None,
        "max_workers": max_workers,
        "needs_jobs": after or None,
        "memory_bytes": memory_of(memory) if memory is not None else None,
        "gpu": gpu,
        "limits": limits_of(limits) or None,
        "task_runtime_limit_s": duration_of(task_time, "--task-time") if task_time is not None else None,
        "task_silence_limit_s": duration_of(task_silence, "--task-silence") if task_silence is not None else None,
    }
    return {key: value for key, value in wanted.items() if value is not None}


def _bars() -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    console = notes()
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
