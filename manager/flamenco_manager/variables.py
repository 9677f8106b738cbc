"""Variables in commands: what ``{name}`` stands for differs from platform to platform (jobs.md, "Variables").

One-way: a name becomes its value when a task is handed out. Two-way: also, when a job comes in, a path of the submitter
that begins with a value becomes ``{name}/…``; so a job sent from Windows runs on Linux. Rules: worker-api.md,
section 8. Pure.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from marshmallow import ValidationError

from flamenco_core.errors import BadInput
from flamenco_core.wire.variables import (
    ALL,
    AUDIENCES,
    IMPLICIT,
    NAME,
    PLATFORMS,
    Variable,
    Variables,
    VariablesField,
    VariableValue,
)
from flamenco_core.wire.worker_api import Command
from flamenco_runtime.json_body import invalid

MOST_CHARACTERS = 10_000
"""A value may grow to so many characters by the names in it."""
WINDOWS = "windows"

_NAMED = re.compile(rf"\{{({NAME})\}}")
_DRIVE = re.compile(r"([A-Za-z]:)(?!\\)")
_VARIABLES = VariablesField()


class BadVariables(BadInput):
    """Variables that cannot be used; the message names which."""

    type = "bad-variables"


@dataclass(frozen=True, slots=True)
class Listed:
    """A variable as one platform and audience see it."""

    value: str
    is_twoway: bool


@dataclass(frozen=True)
class Lookup:
    """What all names stand for on one platform, and which paths are others there. ``path_names`` make paths of texts.

    ``moves`` are folders as this Manager's own platform names them, each with what it is on that platform.
    """

    platform: str
    values: Mapping[str, str]
    path_names: frozenset[str] = frozenset()
    moves: Sequence[tuple[str, str]] = ()
    moves_from: str = "linux"


@dataclass(frozen=True)
class Folders:
    """What two-way variables name on one platform: each folder with its variable, the longest first."""

    platform: str
    names: Sequence[tuple[str, str]]


def read_variables(document: object) -> Variables:
    """Read variables from settings. Raises BadVariables, which names the variable and the field."""
    try:
        variables: Variables = _VARIABLES.deserialize(document)
    except ValidationError as error:
        bad = invalid(error)
        raise BadVariables(f"The variables are not accepted. {bad}", bad.errors) from error
    check_sizes(variables)
    return variables


def check_sizes(variables: Variables) -> None:
    """Refuse variables that grow without measure by the names in them. Raises BadVariables."""
    for platform in (*PLATFORMS, "any other platform"):
        for audience in AUDIENCES:
            listed(variables, audience, platform)


def predefined(jobs_folder: str) -> Variables:
    """Return the variables that every farm has. ``jobs_folder`` is where the checkouts are."""
    return {
        "blender": Variable([VariableValue("blender"), VariableValue("blender.exe", WINDOWS)]),
        "blenderArgs": Variable([VariableValue("-b")]),
        "ffmpeg": Variable([VariableValue("ffmpeg"), VariableValue("ffmpeg.exe", WINDOWS)]),
        IMPLICIT: Variable([VariableValue(jobs_folder)]),
    }


def listed(variables: Variables, audience: str, platform: str) -> dict[str, Listed]:
    """Return what the variables are for an audience on a platform, names in their values filled in.

    A value for the platform itself beats one for all, and then one for the audience itself. A name that comes back to
    itself, at once or by others, stays as it is. Raises BadVariables for a value that grows too long by that.
    """
    chosen: dict[str, str] = {}
    for name, variable in variables.items():
        value = _best(variable, audience, platform.lower())
        if value is not None:
            chosen[name] = value.rstrip("/\\") if variable.is_twoway else value
    filled = _filled(chosen)
    return {
        name: Listed(value.rstrip("/\\"), is_twoway=True)
        if variables[name].is_twoway
        else Listed(value, is_twoway=False)
        for name, value in filled.items()
    }


def lookup(variables: Variables, platform: str, own_platform: str) -> Lookup:
    """Return what a Worker's platform makes of texts, for a Manager that itself runs on ``own_platform``."""
    there, here = listed(variables, "workers", platform), listed(variables, "workers", own_platform)
    moves = [
        (here[name].value, variable.value)
        for name, variable in there.items()
        if variable.is_twoway and name in here and here[name].value != variable.value
    ]
    return Lookup(
        platform=platform.lower(),
        values={name: variable.value for name, variable in there.items()},
        path_names=_path_names(variables, platform.lower()),
        moves=sorted(moves, key=lambda move: len(move[0]), reverse=True),
        moves_from=own_platform.lower(),
    )


def expand(commands: Sequence[Command], meaning: Lookup) -> list[Command]:
    """Replace variables in top-level texts, and in texts of top-level lists; everything else stays as it is."""
    return _each_text(commands, lambda text: _expanded(text, meaning))


def folders(variables: Variables, platform: str) -> Folders:
    """Return the folders that two-way variables name on a submitter's platform."""
    known = [(item.value, name) for name, item in listed(variables, "users", platform).items() if item.is_twoway]
    return Folders(platform.lower(), sorted(known, key=lambda folder: (-len(folder[0]), folder[1])))


def submit(commands: Sequence[Command], known: Folders) -> Sequence[Command]:
    """Replace what two-way variables name on a submitter's platform by the variables; the longest match wins."""
    if not known.names:
        return commands
    return _each_text(commands, lambda text: _submitted(text, known.names, known.platform))


def _expanded(text: str, meaning: Lookup) -> str:
    is_path = False

    def value(match: re.Match[str]) -> str:
        nonlocal is_path
        if match[1] not in meaning.values:
            return match[0]
        is_path = is_path or match[1] in meaning.path_names
        return meaning.values[match[1]]

    expanded = _NAMED.sub(value, text)
    for here, there in meaning.moves:
        rest = _below(expanded, here, meaning.moves_from)
        if rest is not None:
            expanded, is_path = there + rest, True
            break
    return _native(expanded, meaning.platform) if is_path else expanded


def _submitted(text: str, folders: Iterable[tuple[str, str]], platform: str) -> str:
    for folder, name in folders:
        rest = _below(text, folder, platform)
        if rest is not None:
            return f"{{{name}}}" + (rest.replace("\\", "/") if platform == WINDOWS else rest)
    return text


def _below(path: str, folder: str, platform: str) -> str | None:
    """Return what follows a folder in a path, or None if the path is not in it. Slashes may be of either kind."""
    start, rest = path[: len(folder)], path[len(folder) :]
    if not folder or (rest and rest[0] not in "/\\"):
        return None
    return rest if _compared(start, platform) == _compared(folder, platform) else None


def _compared(path: str, platform: str) -> str:
    slashed = path.replace("\\", "/")
    return slashed.lower() if platform == WINDOWS else slashed


def _native(path: str, platform: str) -> str:
    """Write a path as its platform does."""
    if platform != WINDOWS:
        return path.replace("\\", "/")
    path = path.replace("/", "\\")
    drive = _DRIVE.match(path)  # F:dir would be relative to whatever folder is current on that drive
    return path if drive is None else f"{drive[1]}\\{path[2:]}"


def _best(variable: Variable, audience: str, platform: str) -> str | None:
    values = {(value.platform, value.audience): value.value for value in variable.values}
    for wanted in ((platform, audience), (platform, ALL), (ALL, audience), (ALL, ALL)):
        if wanted in values:
            return values[wanted]
    return None


def _path_names(variables: Variables, platform: str) -> frozenset[str]:
    """Return the names of two-way variables, and of those in whose values one of them stands."""
    named = {name: _names_in(_best(variable, "workers", platform) or "") for name, variable in variables.items()}
    return frozenset(
        name for name in named if any(variables[other].is_twoway for other in {name, *_reachable(name, named)})
    )


def _filled(values: Mapping[str, str]) -> dict[str, str]:
    """Fill in the names in values. Raises BadVariables."""
    named = {name: _names_in(value) & values.keys() for name, value in values.items()}
    reachable = {name: _reachable(name, named) for name in values}
    filled: dict[str, str] = {}

    def fill(name: str) -> str:
        if name not in filled:
            filled[name] = _NAMED.sub(lambda match: inner(name, match), values[name])
            if len(filled[name]) > MOST_CHARACTERS:
                raise BadVariables(
                    f"The variable {name} has more than {MOST_CHARACTERS} characters with the variables in it.",
                    {name: "Too long."},
                )
        return filled[name]

    def inner(outer: str, match: re.Match[str]) -> str:
        is_circle = outer in reachable.get(match[1], ())
        return match[0] if is_circle or match[1] not in values else fill(match[1])

    for name in values:
        fill(name)
    return filled


def _names_in(value: str) -> frozenset[str]:
    return frozenset(_NAMED.findall(value))


def _reachable(name: str, named: Mapping[str, Iterable[str]]) -> set[str]:
    """Return all names that stand in the value of one, in the values of those, and so on."""
    found: set[str] = set()
    waiting = list(named[name])
    while waiting:
        other = waiting.pop()
        if other not in found and other in named:
            found.add(other)
            waiting.extend(named[other])
    return found


def _each_text(commands: Sequence[Command], change: Callable[[str], str]) -> list[Command]:
    return [
        replace(command, parameters={key: _changed(value, change) for key, value in command.parameters.items()})
        for command in commands
    ]


def _changed(parameter: Any, change: Callable[[str], str]) -> Any:
    if isinstance(parameter, str):
        return change(parameter)
    if isinstance(parameter, list):
        return [change(item) if isinstance(item, str) else item for item in parameter]
    return parameter
