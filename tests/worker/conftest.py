"""Fixtures of the Worker's tests: a fake Manager, real Blender and FFmpeg, a small scene."""

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from blockbuster import BlockBuster, blockbuster_ctx
from fake_manager import FakeManager
from worker_world import QUICK, RunWorker

from flamenco_worker.app import serve
from flamenco_worker.settings import Settings
from flamenco_worker.timing import Timing
from what_ran import used


@pytest.fixture
def blockbuster() -> Iterator[BlockBuster]:
    """Fail a test in which our code blocks the event loop."""
    with blockbuster_ctx("flamenco_worker") as buster:
        yield buster


@pytest.fixture
async def manager() -> AsyncIterator[FakeManager]:
    async with FakeManager().listening() as fake:
        yield fake


@pytest.fixture(scope="session")
def blender() -> str:
    found = shutil.which("blender")
    assert found, "Blender 3.4 is missing: `make test` says what to install"
    return used(found)


@pytest.fixture(scope="session")
def ffmpeg() -> str:
    found = shutil.which("ffmpeg")
    assert found, "FFmpeg is missing: `make test` says what to install"
    return used(found)


SCENE = """
import bpy
scene = bpy.context.scene
scene.render.engine = "CYCLES"
scene.cycles.samples = 1
scene.cycles.use_denoising = False
scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = 128, 72, 50
scene.render.threads_mode, scene.render.threads = "FIXED", 1
cube = bpy.data.objects["Cube"]
cube.keyframe_insert("location", frame=1)
cube.location.x = 3
cube.keyframe_insert("location", frame=10)
bpy.ops.wm.save_as_mainfile(filepath={path!r})
scene.cycles.use_denoising = True
bpy.ops.wm.save_as_mainfile(filepath={denoised!r})
scene.cycles.use_denoising, scene.cycles.samples, scene.render.resolution_percentage = False, 20_000, 400
bpy.ops.wm.save_as_mainfile(filepath={slow!r})
"""


@pytest.fixture(scope="session")
def scenes(blender: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``scene.blend`` (frames of 64 x 36), ``denoised.blend``, which 3.4 cannot, and ``slow.blend``."""
    folder = tmp_path_factory.mktemp("scenes")
    names = {"path": "scene.blend", "denoised": "denoised.blend", "slow": "slow.blend"}
    script = SCENE.format(**{key: str(folder / name) for key, name in names.items()})
    subprocess.run(
        [blender, "-b", "--factory-startup", "--python-exit-code", "1", "--python-expr", script],
        check=True,
        capture_output=True,
    )
    return folder


@pytest.fixture
def run_worker(manager: FakeManager, tmp_path: Path, blockbuster: BlockBuster) -> RunWorker:
    """Run a Worker process's ``serve`` in this loop while the context lasts; it stops as on SIGTERM."""

    @asynccontextmanager
    async def run(
        *, awaits_ready: bool = True, timing: Timing = QUICK, **changes: Any
    ) -> AsyncIterator["asyncio.Task[None]"]:
        settings = Settings(**({"manager": manager.url, "data": tmp_path / "data", "name": "node"} | changes))
        stop, ready = asyncio.Event(), asyncio.Event()
        serving = asyncio.create_task(
            serve(settings, stop=stop, ready=lambda url: ready.set(), timing=timing, environ={})
        )
        if awaits_ready:
            waiting = asyncio.create_task(ready.wait())
            await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED, timeout=60)
            waiting.cancel()
        try:
            yield serving
        finally:
            stop.set()
            await serving

    return run
