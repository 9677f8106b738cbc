"""``flamenco demo``: a short animation through a whole farm that lives as long as the demo."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from flamenco_cli.client import Client, open_client
from flamenco_cli.contact_sheet import write_contact_sheet
from flamenco_cli.farm import Farm, Plan, farm_up
from flamenco_cli.programs_from_pypi import BLENDER, FFMPEG, home, installed
from flamenco_cli.records import Job
from flamenco_cli.submission import Wish, submit
from flamenco_cli.supervisor import log_tail
from flamenco_cli.waiting import check_completed, wait_for
from flamenco_core.errors import Unavailable
from flamenco_core.frames import parse_frames
from flamenco_core.wire.worker_api import Program
from flamenco_runtime.children import end_child, foreign_environment, start_child
from flamenco_runtime.settings import Address

SLOTS = 2
FRAMES = "1-24"
PATTERN = "flower-####"
"""Frames of an earlier demo are replaced, and nothing else in their folder is touched."""
FRAMES_PER_SECOND = 12
FRAMES_PER_TASK = 4
"""So that each slot starts Blender three times, and both are busy until the end."""
SHEET_COLUMNS = 6
SHEET_FRAME_WIDTH = 240
SCENE_SCRIPT = Path(__file__).with_name("demo_scene.py")
LOOPBACK = Address("127.0.0.1", 0)

T = TypeVar("T")


class SceneFailed(Unavailable):
    """Blender could not build the demo's scene."""

    type = "demo-scene-failed"


class Watcher(Protocol):
    """Is told what happens while the demo runs; submitting tells it too."""

    def note(self, text: str) -> None:
        """Hear a sentence that the person should read."""

    def begin(self, phase: str, total_bytes: int) -> None:
        """See a phase of sending begin."""

    def advance(self, more_bytes: int) -> None:
        """See so many bytes handled."""


@dataclass(frozen=True)
class Made:
    """What a demo leaves behind, and the farm that made it."""

    frames: list[Path]
    sheet: Path
    video: Path
    farm: Farm


async def find_or_install(environ: Mapping[str, str], watcher: Watcher) -> tuple[Program, Program]:
    """Return Blender and FFmpeg: this machine's, else from PyPI. Raises BadSettings, CannotInstall."""
    from flamenco_worker.programs import find_programs

    found = await find_programs(None, None, environ)
    needed = {wheel.name: str(await installed(wheel, home(), watcher.note)) for wheel in _missing(found.found)}
    if needed:
        found = await find_programs(needed.get("blender"), needed.get("ffmpeg"), environ)
    if found.blender is None or found.ffmpeg is None:
        raise Unavailable("Blender and FFmpeg were installed and are not found. Remove .venv-bpy, and try again.")
    return found.blender, found.ffmpeg


@asynccontextmanager
async def demo_made(
    programs: tuple[Program, Program], output: Path, environ: Mapping[str, str], watcher: Watcher
) -> AsyncIterator[Made]:
    """Run a farm, render the animation into ``output``, and keep the farm up while the context lasts.

    The farm's state is in a folder of its own, which is removed at the end; after a failure it stays, for a look at
    the logs. Raises what the farm, the submission or the job failed of.
    """
    with _state(watcher) as folder:
        blender, ffmpeg = programs
        plan = Plan(folder, LOOPBACK, LOOPBACK, SLOTS, _environment(environ, folder, blender, ffmpeg))
        build = build_scene(blender.path, folder / "flower.blend")
        async with _beside(build) as scene, farm_up(plan, watcher.note) as farm:
            watcher.note(f"The farm is up: {farm.connection.url}")
            async with open_client(farm.connection) as client:
                await _unless_broken(farm, _render(client, await scene, output / "frames" / PATTERN, watcher))
            yield await asyncio.to_thread(_collect, farm, output)


async def build_scene(blender: str, file: Path) -> Path:
    """Let Blender build the demo's scene and save it as ``file``. Raises SceneFailed."""
    arguments = ["-b", "--factory-startup", "--python-exit-code", "1", "--python", str(SCENE_SCRIPT), "--", str(file)]
    log = file.with_suffix(".log")
    with log.open("wb") as output:
        child = await start_child(
            [blender, *arguments], environment=foreign_environment(os.environ), output=output, errors=output
        )
    try:
        status = await child.wait()
    finally:
        await end_child(child)
    if status or not await asyncio.to_thread(file.exists):
        raise SceneFailed(f"{blender} could not build the scene (exit status {status}):\n{log_tail(log)}")
    return file


async def _render(client: Client, scene: Path, pattern: Path, watcher: Watcher) -> Job:
    settings = [f"chunk_size={FRAMES_PER_TASK}", f"fps={FRAMES_PER_SECOND}"]
    wish = Wish("simple-blender-render", scene, FRAMES, str(pattern), "Flower", settings)
    job = await wait_for(client, (await submit(client, wish, watcher))["id"], show_tasks=True)
    check_completed(job)
    return job


def _collect(farm: Farm, output: Path) -> Made:
    """Name what was rendered: the job is completed, so each of these is whole and of this run."""
    folder = output / "frames"
    frames = [folder / f"flower-{number:04}.png" for number in parse_frames(FRAMES)]
    sheet = output / "contact-sheet.png"
    write_contact_sheet(frames, sheet, columns=SHEET_COLUMNS, width=SHEET_FRAME_WIDTH)
    return Made(frames, sheet, folder / f"flower-{FRAMES}.mp4", farm)


@contextmanager
def _state(watcher: Watcher) -> Iterator[Path]:
    """Make a folder for the farm's state; removed at the end unless the demo failed."""
    folder = Path(tempfile.mkdtemp(prefix="flamenco-demo-"))
    try:
        yield folder
    except Exception:
        if (folder / "logs").exists():
            watcher.note(f"The farm's logs are kept: {folder / 'logs'}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)


def _environment(environ: Mapping[str, str], folder: Path, blender: Program, ffmpeg: Program) -> dict[str, str]:
    """Return the environment of the demo's own processes: nothing of the user's farm reaches them, nor theirs it."""
    kept = {name: value for name, value in environ.items() if not name.startswith("FLAMENCO_")}
    return {
        **kept,
        "FLAMENCO_CONFIG_DIR": str(folder / "config"),
        "FLAMENCO_BLENDER": blender.path,
        "FLAMENCO_FFMPEG": ffmpeg.path,
    }


@asynccontextmanager
async def _beside(work: Coroutine[Any, Any, T]) -> AsyncIterator["asyncio.Task[T]"]:
    """Do ``work`` beside what the context does; it is cancelled if it has not ended with it."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait({task})


async def _unless_broken(farm: Farm, work: Coroutine[Any, Any, T]) -> T:
    """Return what ``work`` returns. Raises ServiceFailed as soon as the farm cannot be kept running."""
    async with _beside(work) as task, _beside(farm.until_broken()) as broken:
        await asyncio.wait({task, broken}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            await broken
        return await task


def _missing(found: list[Program]) -> list[Any]:
    names = {program.name for program in found}
    return [wheel for wheel in (BLENDER, FFMPEG) if wheel.name not in names]
