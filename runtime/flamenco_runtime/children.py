"""Child processes that do not outlive us."""

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

PR_SET_PDEATHSIG = 1
"""prctl(2): the signal that a process gets when the *thread* that started it ends."""

TERM_GRACE_S = 3.0
"""How long a process group may take to end after SIGTERM, before SIGKILL."""


async def start_child(
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    output: int | IO[bytes] | None = None,
    errors: int | IO[bytes] | None = None,
    dies_with: signal.Signals = signal.SIGKILL,
) -> asyncio.subprocess.Process:
    """Start a process in a group of its own; on Linux it gets ``dies_with`` when we die, however we die.

    Linux sends that signal when the thread that forked ends, so the event loop must run in the main thread: asyncio
    forks in the loop's thread. Raises OSError when the program cannot be started.
    """
    return await asyncio.create_subprocess_exec(
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=output,
        stderr=errors,
        env=dict(environment) if environment is not None else None,
        cwd=folder,
        start_new_session=True,
        preexec_fn=_parent_death_signal(dies_with),
    )


def foreign_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return an environment for programs that are not ours, without the virtual environment that we run in.

    A Blender that finds our ``python`` first on PATH takes our standard library for its own, and some of its modules
    do not fit (Python documentation, "The initialization of the sys.path module search path").
    """
    kept = {name: value for name, value in environ.items() if name not in ("VIRTUAL_ENV", "PYTHONHOME")}
    if sys.prefix != sys.base_prefix and "PATH" in kept:
        ours = str(Path(sys.prefix) / ("Scripts" if os.name == "nt" else "bin"))
        kept["PATH"] = os.pathsep.join(part for part in kept["PATH"].split(os.pathsep) if part != ours)
    return kept


async def end_child(child: asyncio.subprocess.Process, *, grace_s: float = TERM_GRACE_S) -> int:
    """End a child and its whole process group: SIGTERM, then SIGKILL after ``grace_s``. Returns its exit status."""
    _signal_group(child.pid, signal.SIGTERM)
    try:
        async with asyncio.timeout(grace_s):
            await child.wait()
    except TimeoutError:
        pass
    finally:
        _signal_group(child.pid, signal.SIGKILL)  # also what the child left behind in its group
    return await child.wait()


def _signal_group(pid: int, number: signal.Signals) -> None:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return


def _parent_death_signal(number: signal.Signals) -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def prepare() -> None:
        prctl(PR_SET_PDEATHSIG, int(number), 0, 0, 0)
        if os.getppid() != parent:  # it died before the call above
            os.kill(os.getpid(), number)

    return prepare
