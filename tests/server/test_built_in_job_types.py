"""Every built-in job type: its description is whole, and every Worker knows the commands of its tasks."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

import orjson
import pytest

from contracts.server_store import a_job
from flamenco_core.wire.manager_api import TaskDefinition
from flamenco_server.compiling import definitions
from flamenco_server.documents import job_type_document
from flamenco_server.job_settings import check_settings
from flamenco_server.job_type import Setting
from flamenco_server.job_type_registry import BUILT_IN, LoadedJobType, load_source
from flamenco_worker.parameters import read_parameters
from flamenco_worker.registry import load_commands
from flamenco_worker.render_command import understand

SETTINGS: Mapping[str, list[dict[str, Any]]] = {
    "echo-sleep-test": [{}, {"message": "", "sleep_duration_seconds": 0, "sleep_repeats": 2}],
    "simple-blender-render": [
        {"frames": frames, "blendfile": "/nas/a.blend", "render_output_path": "/out/####", **more}
        for frames in ("1", "1-3", "1-9:4, 20-22")
        for more in (
            {},
            {"chunk_size": 2, "run_scripts": True, "scene": "Shot"},
            *({"format": name} for name in ("JPEG", "OPEN_EXR", "OPEN_EXR_MULTILAYER", "TIFF", "WEBP")),
            {"preview_video": False, "fps": 29.97},
        )
    ],
}
"""Settings with which each job type is compiled here; a new job type needs its own."""

COMMANDS = load_commands()
TASK_TYPES = {"blender-render": "blender", "frames-to-video": "ffmpeg", "echo": "misc", "sleep": "misc"}
"""Of which type the tasks are that hold a command (jobs.md, "Commands")."""


def built_in() -> Iterator[LoadedJobType]:
    for path in sorted(BUILT_IN.glob("*.py")):
        if loaded := load_source(path.read_text(encoding="utf-8"), path.name):
            yield loaded


BUILT_IN_TYPES = {loaded.type.name: loaded for loaded in built_in()}


def compiled() -> Iterator[tuple[str, TaskDefinition]]:
    for name, loaded in BUILT_IN_TYPES.items():
        for settings in SETTINGS[name]:
            job = a_job(settings=check_settings(loaded.type, settings))
            for task in definitions(loaded, job):
                yield name, task


def test_all_of_them_are_compiled_here() -> None:
    assert set(SETTINGS) == set(BUILT_IN_TYPES)
    assert {name for name, _ in compiled()} == set(BUILT_IN_TYPES)


def test_the_worker_knows_every_command_and_takes_its_parameters() -> None:
    seen = set()
    for name, task in compiled():
        for command in task.commands:
            seen.add(command.name)
            assert command.name in COMMANDS, f"{name}: no Worker knows {command.name}"
            given = orjson.loads(orjson.dumps(command.parameters))  # as it arrives
            read_parameters(COMMANDS[command.name].parameters, command.name, given)
            assert set(given) <= accepted(COMMANDS[command.name].parameters), f"{name}: {command.name}"
            assert TASK_TYPES[command.name] == task.type
    assert seen == set(TASK_TYPES)


def test_the_worker_understands_which_frames_a_render_makes_and_where() -> None:
    for _, task in compiled():
        for command in task.commands:
            if command.name == "blender-render":
                given = command.parameters
                render = understand(given["argsBefore"], given["blendfile"], given["args"], given["frames"])
                assert render.is_render
                assert render.output is not None
                assert render.frames is not None
                assert len(render.frames) == command.steps
                assert task.frames == given["frames"]


def accepted(parameters: type) -> set[str]:
    """Return the keys that a command reads: ``inputGlob`` for ``input_glob``, unless the field says another."""

    def key(name: str) -> str:
        return re.sub(r"_(.)", lambda match: match[1].upper(), name)

    return {field.metadata.get("key") or key(field.name) for field in fields(parameters)}


@pytest.mark.parametrize("loaded", BUILT_IN_TYPES.values(), ids=BUILT_IN_TYPES.keys())
class TestDescription:
    def test_it_can_be_sent_and_says_what_it_is(self, loaded: LoadedJobType) -> None:
        document = orjson.loads(orjson.dumps(job_type_document(loaded)))
        assert document["etag"] == loaded.etag
        assert document["label"]
        assert document["description"].endswith(".")
        assert [setting["key"] for setting in document["settings"]] == [item.key for item in loaded.type.settings]

    def test_every_setting_can_be_shown_and_filled_in(self, loaded: LoadedJobType) -> None:
        keys = [setting.key for setting in loaded.type.settings]
        assert len(set(keys)) == len(keys)
        for setting in loaded.type.settings:
            assert re.fullmatch(r"[a-z][a-z0-9_]*", setting.key)
            assert setting.label
            assert setting.description.endswith("."), setting.key
            assert setting.required is (setting.default is None), f"{setting.key} has a default, or is asked for"
            check_default(loaded, setting)

    def test_what_blender_is_asked_to_evaluate_is_python(self, loaded: LoadedJobType) -> None:
        for setting in loaded.type.settings:
            if setting.eval is not None:
                compile(setting.eval, setting.key, "eval")
                assert setting.eval_info is not None
                assert setting.eval_info.description

    def test_its_blend_file_is_one_of_its_settings(self, loaded: LoadedJobType) -> None:
        if loaded.type.blend_file is not None:
            (setting,) = [item for item in loaded.type.settings if item.key == loaded.type.blend_file]
            assert (setting.type, setting.subtype, setting.required) == ("string", "file_path", True)


def check_default(loaded: LoadedJobType, setting: Setting) -> None:
    if setting.default is not None:
        needed = SETTINGS[loaded.type.name][-1]
        assert check_settings(loaded.type, {**needed, setting.key: setting.default})[setting.key] == setting.default
    if setting.choices is not None:
        assert setting.default in setting.choices
