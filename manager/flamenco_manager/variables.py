"""Variables in commands: ``{name}`` becomes the value for the Worker's platform when a task is handed out.

Rules: worker-api.md, section 8. Pure.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from flamenco_core.wire.worker_api import Command

ANY_PLATFORM = "all"

Variables = Mapping[str, Mapping[str, str]]
"""Name -> platform (``linux``, ``windows``, ``darwin``, or ``all``) -> value."""

_NAME = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


def predefined(jobs_folder: str) -> Variables:
    """Return the variables that every farm has. ``jobs_folder`` is where the checkouts are."""
    return {
        "blender": {"windows": "blender.exe", ANY_PLATFORM: "blender"},
        "blenderArgs": {ANY_PLATFORM: "-b"},
        "ffmpeg": {"windows": "ffmpeg.exe", ANY_PLATFORM: "ffmpeg"},
        "jobs": {ANY_PLATFORM: jobs_folder},
    }


def for_platform(variables: Variables, platform: str) -> Mapping[str, str]:
    """Return the values that hold on a platform; one of its own beats one for all."""
    known = {name: values.get(platform.lower(), values.get(ANY_PLATFORM)) for name, values in variables.items()}
    return {name: value for name, value in known.items() if value is not None}


def expand(commands: Sequence[Command], values: Mapping[str, str]) -> list[Command]:
    """Replace variables in top-level texts, and in texts of top-level lists; everything else stays as it is."""
    return [
        Command(
            name=command.name,
            parameters={key: _expanded(value, values) for key, value in command.parameters.items()},
            total_step_count=command.total_step_count,
        )
        for command in commands
    ]


def _expanded(parameter: Any, values: Mapping[str, str]) -> Any:
    if isinstance(parameter, str):
        return _replaced(parameter, values)
    if isinstance(parameter, list):
        return [_replaced(item, values) if isinstance(item, str) else item for item in parameter]
    return parameter


def _replaced(text: str, values: Mapping[str, str]) -> str:
    return _NAME.sub(lambda match: values.get(match[1], match[0]), text)
