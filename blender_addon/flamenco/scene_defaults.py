"""What the add-on itself knows to fill in, beside the expressions of a job type."""

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from .core import BadPath, relative_path
from .job_types import JobType
from .setting_values import Changes, Linked

BLEND_FILE_KEY = "blendfile"
"""The setting that names the file which is sent; a job type without it renders no file of the artist's."""
FRAME_DIGITS = "######"


def with_scene_defaults(
    job_type: JobType, changes: Changes, linked: Mapping[str, Linked], blend_file: str
) -> "dict[str, Linked]":
    """Add the name of the blend file, and mend output paths that lead to no folder.

    ``blend_file`` is the artist's file, empty if it was never saved.
    """
    filled = dict(linked)
    for setting in job_type.settings:
        value = filled.get(setting.key)
        if setting.key == BLEND_FILE_KEY and setting.key not in changes:
            filled[setting.key] = Linked(manifest_name(blend_file))
        elif setting.subtype == "hashed_file_path" and value is not None and isinstance(value.value, str):
            filled[setting.key] = replace(value, value=output_path(value.value, blend_file))
    return filled


def manifest_name(blend_file: str) -> str:
    """Name the copy in the job: as the artist's file, if every Worker's system can have a file of that name."""
    try:
        return str(relative_path(Path(blend_file).name)) if blend_file else "untitled.blend"
    except BadPath:
        return "scene.blend"


def job_name(blend_file: str) -> str:
    """Name a job after its blend file."""
    return Path(blend_file).stem if blend_file else "Untitled"


def output_path(wanted: str, blend_file: str) -> str:
    """Choose where frames go: the scene's output if that folder exists, else a folder next to the blend file.

    ``wanted`` is the scene's output path made absolute; its last part is the beginning of the files' names, unless it
    is a folder. Returns a folder, or a path with ``#`` for the frame's number; empty if there is no file either.
    """
    path = Path(os.path.normpath(wanted))
    if path.is_absolute() and path.is_dir():
        return str(path)
    if path.is_absolute() and path.parent.is_dir() and not wanted.endswith(("/", "\\")):
        return str(path) if "#" in path.name else f"{path}{FRAME_DIGITS}"
    if not blend_file:
        return ""
    stem = re.sub("#", "_", Path(blend_file).stem)
    return str(Path(blend_file).parent / f"{stem}-frames")
