"""What the Worker's tests build: tasks, timings, and the words for them."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import psutil

from flamenco_worker.timing import Timing

QUICK = Timing(
    poll_task_s=0.05,
    poll_state_s=0.05,
    poll_may_i_run_s=0.05,
    first_retry_s=0.02,
    longest_retry_s=0.1,
    least_gap_s=0.01,
    flush_s=2,
    sign_off_s=2,
    log_flush_s=0.05,
    frame_flush_s=0.02,
)
"""So that tests need not wait; the rules are the same."""

RunWorker = Callable[..., AbstractAsyncContextManager["asyncio.Task[None]"]]


def a_render(scene: Path, output: Path, frames: str, **more: Any) -> dict[str, Any]:
    """A blender-render as our Server compiles it."""
    parameters = {
        "exe": "blender",
        "exeArgs": "-b",
        "argsBefore": ["-Y"],
        "blendfile": str(scene),
        "args": [
            "--render-output",
            f"{output}/######",
            "--render-format",
            "PNG",
            "--render-frame",
            frames.replace("-", ".."),
        ],
        "frames": frames,
    }
    return {"name": "blender-render", "parameters": parameters | more, "total_step_count": 3}


def a_command(name: str, **parameters: Any) -> dict[str, Any]:
    return {"name": name, "parameters": parameters, "total_step_count": 0}


def is_running(pid: int) -> bool:
    """Whether a process is there and not only waits to be noticed as dead."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def until_gone(pid: int, deadline_s: float = 20) -> None:
    """Wait for the end of a process that was told to end."""
    async with asyncio.timeout(deadline_s):
        while is_running(pid):  # noqa: ASYNC110 (nobody tells us)
            await asyncio.sleep(0.01)
