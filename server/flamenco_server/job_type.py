"""What a job type says of itself. A job type is a module with a ``JOB_TYPE`` of the class below.

The description of the settings serves the add-on's panel, the web form, the command line, and validation (jobs.md).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from flamenco_core.frames import FrameRange
from flamenco_core.wire.definitions import Needs
from flamenco_core.wire.worker_api import Command

SettingValue = str | int | float | bool
Settings = Mapping[str, SettingValue]
"""Checked settings of a job: every key of the type that has a value, and no other."""

SettingType = Literal["string", "int32", "float", "bool"]
Subtype = Literal["file_path", "dir_path", "file_name", "hashed_file_path"]
Visibility = Literal["visible", "submission", "web", "hidden"]


@dataclass(frozen=True, slots=True)
class EvalInfo:
    """How the add-on offers a setting's ``eval``: with what words, and whether it can stay linked."""

    description: str
    show_link_button: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting of a job type.

    ``default`` None: there is none. ``eval`` is a Python expression that the add-on evaluates in Blender, where ``C``
    is the context. ``propargs`` may have ``min`` and ``max`` (inclusive), and hints for the add-on (``soft_min``).
    ``visibility``: in Blender and on the web, in Blender only, on the web only, or nowhere. ``check`` gets a value of
    the right type and raises ValueError, with a message for people, when it is not acceptable.
    """

    key: str
    type: SettingType
    label: str
    description: str = ""
    default: SettingValue | None = None
    subtype: Subtype | None = None
    choices: Sequence[str] | None = None
    propargs: Mapping[str, float] = field(default_factory=dict)
    eval: str | None = None
    eval_info: EvalInfo | None = None
    visibility: Visibility = "visible"
    required: bool = False
    editable: bool = True
    check: Callable[[Any], object] | None = None


@dataclass(frozen=True, slots=True)
class JobToCompile:
    """All that a compiler may look at, so that compiling twice gives the same tasks.

    ``files`` are the paths inside the job's checkout, which is at ``{jobs}/ID`` on every Worker.
    """

    id: str
    name: str
    priority: int
    created: datetime
    settings: Settings
    metadata: Mapping[str, str] = field(default_factory=dict)
    files: frozenset[str] = frozenset()

    def path_of(self, file: str) -> str:
        """Return where Workers find a file that a setting names: in the checkout, or in place."""
        return f"{{jobs}}/{self.id}/{file}" if file in self.files else file


AS_THE_JOB = Needs()
NO_POWER = Needs(memory_bytes=0, gpu="", limits={})
"""What a task needs that renders nothing: any Worker of the job's tag will do, and it holds no limit."""


@dataclass(frozen=True, slots=True)
class AuthoredTask:
    """A task as a compiler yields it. ``depends_on`` are positions of tasks that it yielded before, from 0.

    ``frames`` are those that it renders, None if none. ``needs`` are its own, over those that the job was submitted
    with: what it leaves open is the job's.
    """

    name: str
    type: str
    commands: Sequence[Command]
    priority: int = 50
    depends_on: Sequence[int] = ()
    frames: FrameRange | None = None
    needs: Needs = AS_THE_JOB


@dataclass(frozen=True, slots=True)
class Outline:
    """What a job will make: its frames, and where they go as a path with ``#`` for the digits of the frame."""

    frames: FrameRange | None = None
    output: str | None = None


def _no_outline(_: Settings) -> Outline:
    return Outline()


@dataclass(frozen=True, slots=True)
class JobType:
    """A way to make tasks of settings.

    ``compile`` yields the tasks; it is a pure function and may raise ValueError with a message for people.
    ``blend_file`` is the key of the setting that names the blend file to open, if there is one.
    """

    name: str
    label: str
    description: str
    settings: Sequence[Setting]
    compile: Callable[[JobToCompile], Iterator[AuthoredTask]]
    outline: Callable[[Settings], Outline] = _no_outline
    blend_file: str | None = None
