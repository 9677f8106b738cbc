"""What is kept in the scene, and the properties that show each job type's settings.

The scene keeps three texts: the chosen job type, the job's name, and what the artist changed of the settings. The
properties that the panel draws are made when the Server has described its job types; they store nothing themselves, but
read and write those texts, so a file never depends on a Server.
"""

import zlib
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import bpy

from .expressions import Function
from .job_types import JobType, Setting
from .scene_defaults import job_name, with_scene_defaults
from .session import Session
from .setting_values import Linked, Resolved, changes_for, linked_values, resolve, with_change, without_change

SESSION = Session()
"""What the add-on knows. Blender calls its draw functions and operators with nothing of ours, so it stands here."""

PREFERRED_JOB_TYPE = "simple-blender-render"
NOT_OFFERED = 0
"""The number of the choice that stands for a value which is none of the choices."""
SUBTYPES = {
    "file_path": "FILE_PATH",
    "hashed_file_path": "FILE_PATH",
    "dir_path": "DIR_PATH",
    "file_name": "FILE_NAME",
}
PROPARGS = {"min", "max", "soft_min", "soft_max", "step", "precision"}
"""What a job type may ask of a number's field; Blender's properties have them by the same names."""

_shown_job_types: "tuple[JobType, ...]" = ()
_registered: "dict[str, type[bpy.types.PropertyGroup]]" = {}
_job_type_items: "list[tuple[str, str, str]]" = []  # Blender keeps no reference to the texts of dynamic items


def chosen_job_type(scene: bpy.types.Scene) -> "JobType | None":
    """Return the job type of a scene; that for animations until another is chosen; None while none is known."""
    known = {job_type.name: job_type for job_type in SESSION.farm.job_types} if SESSION.farm else {}
    return known.get(scene.flamenco.chosen_type) or known.get(PREFERRED_JOB_TYPE) or next(iter(known.values()), None)


def shown_values(scene: bpy.types.Scene, job_type: JobType) -> "dict[str, Resolved]":
    """Return the values as the panel shows them; expressions are not evaluated, their last values are used."""
    linked = SESSION.linked.get((scene.name, job_type.name), {})
    return resolve(job_type, changes_for(scene.flamenco.changes, job_type), linked)


def evaluate_linked(scene: bpy.types.Scene, job_type: JobType) -> "dict[str, Linked]":
    """Evaluate a job type's expressions on a scene. Never call this while Blender draws."""
    changes = changes_for(scene.flamenco.changes, job_type)
    linked = linked_values(job_type, changes, _names(scene))
    return with_scene_defaults(job_type, changes, linked, bpy.data.filepath)


def current_job_name(scene: bpy.types.Scene) -> str:
    """Return the name that the job will have."""
    return scene.flamenco.changed_name or job_name(bpy.data.filepath)


def change_setting(scene: bpy.types.Scene, job_type: JobType, key: str, value: Any) -> None:
    """Keep what the artist changed."""
    scene.flamenco.changes = with_change(scene.flamenco.changes, job_type, key, value)


def reset_setting(scene: bpy.types.Scene, job_type: JobType, key: str) -> None:
    """Let a setting have its own value again."""
    scene.flamenco.changes = without_change(scene.flamenco.changes, job_type, key)


def _names(scene: bpy.types.Scene) -> "dict[str, Any]":
    """Offer to expressions what belongs to the file, under Blender's own names.

    ``use_scripts_auto_execute`` tells what Blender did with this very file: the preference alone does not know that
    the artist trusted it.
    """
    filepaths = SimpleNamespace(use_scripts_auto_execute=not bpy.app.autoexec_fail)
    context = SimpleNamespace(
        scene=scene, view_layer=scene.view_layers[0], preferences=SimpleNamespace(filepaths=filepaths)
    )
    blender = SimpleNamespace(
        data=bpy.data,
        context=context,
        path=SimpleNamespace(abspath=Function(bpy.path.abspath), basename=Function(bpy.path.basename)),
        app=SimpleNamespace(version=tuple(bpy.app.version), version_string=bpy.app.version_string),
    )
    return {"bpy": blender, "C": context, "context": context, "jobname": current_job_name(scene)}


def _items(self: "FlamencoScene", context: object) -> "list[tuple[str, str, str]]":
    job_types = SESSION.farm.job_types if SESSION.farm else ()
    _job_type_items[:] = [(item.name, item.label, item.description) for item in job_types]
    return _job_type_items


def _get_job_type(self: "FlamencoScene") -> int:
    chosen = chosen_job_type(self.id_data)
    return SESSION.farm.job_types.index(chosen) if chosen is not None and SESSION.farm is not None else 0


def _set_job_type(self: "FlamencoScene", index: int) -> None:
    if SESSION.farm is not None:
        self.chosen_type = SESSION.farm.job_types[index].name


def _get_name(self: "FlamencoScene") -> str:
    return current_job_name(self.id_data)


def _set_name(self: "FlamencoScene", name: str) -> None:
    self.changed_name = "" if name == job_name(bpy.data.filepath) else name.strip()


class FlamencoScene(bpy.types.PropertyGroup):
    """What is remembered with the file."""

    chosen_type: bpy.props.StringProperty()  # type: ignore[valid-type]
    changed_name: bpy.props.StringProperty()  # type: ignore[valid-type]
    changes: bpy.props.StringProperty()  # type: ignore[valid-type]

    job_type: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Job type",
        description="What the farm makes of this file",
        items=_items,
        get=_get_job_type,
        set=_set_job_type,
    )
    job_name: bpy.props.StringProperty(  # type: ignore[valid-type]
        name="Name", description="What the job is called on the farm", get=_get_name, set=_set_name
    )


def settings_group(scene: bpy.types.Scene, job_type: JobType) -> "bpy.types.PropertyGroup | None":
    """Return the properties that stand for a job type's settings, for the panel to draw; None if there are none yet."""
    return getattr(scene, _attribute(job_type), None)


def property_name(setting: Setting) -> str:
    """Return the name of the property that stands for a setting; the prefix keeps clear of Blender's own names."""
    return f"setting_{setting.key}"


def follow_job_types() -> bool:
    """Make the properties of the job types that the Server has now. Returns whether they are others than before."""
    global _shown_job_types  # noqa: PLW0603 (Blender's classes are global too)
    job_types = SESSION.farm.job_types if SESSION.farm else ()
    if job_types == _shown_job_types:
        return False
    _forget_job_types()
    _shown_job_types = job_types
    for job_type in job_types:
        made = type(f"FlamencoSettings_{_attribute(job_type)}", (bpy.types.PropertyGroup,), {})
        made.__annotations__ = {property_name(item): property_for(job_type, item) for item in job_type.settings}
        bpy.utils.register_class(made)
        setattr(bpy.types.Scene, _attribute(job_type), bpy.props.PointerProperty(type=made))
        _registered[_attribute(job_type)] = made
    return True


def property_for(job_type: JobType, setting: Setting) -> Any:
    """Make the Blender property of a setting: the right field, its limits, its tooltip."""
    described = {"name": setting.label, "description": setting.description.rstrip(".")}
    if setting.choices:
        return _choice_property(job_type, setting, described)
    accessors = _accessors(job_type, setting, lambda value: value, lambda value: value)
    if setting.type == "bool":
        return bpy.props.BoolProperty(**described, **accessors(False))
    if setting.type == "string":
        subtype = SUBTYPES.get(setting.subtype or "", "NONE")
        return bpy.props.StringProperty(**described, subtype=subtype, **accessors(""))
    limits = {key: value for key, value in setting.propargs.items() if key in PROPARGS}
    if setting.type == "int32":
        whole = {key: int(value) for key, value in limits.items() if key != "precision"}
        return bpy.props.IntProperty(**described, **whole, **accessors(0))
    return bpy.props.FloatProperty(**described, **limits, **accessors(0.0))


def _choice_property(job_type: JobType, setting: Setting, described: "dict[str, str]") -> Any:
    items = [(str(choice), str(choice), "", number) for number, choice in enumerate(setting.choices, start=1)]
    if setting.eval or setting.default not in setting.choices:
        items.insert(0, ("-", "Choose…", "None of the choices yet", NOT_OFFERED))

    def number_of(value: Any) -> int:
        return setting.choices.index(value) + 1 if value in setting.choices else NOT_OFFERED

    accessors = _accessors(job_type, setting, number_of, lambda number: setting.choices[number - 1])
    return bpy.props.EnumProperty(**described, items=items, **accessors(NOT_OFFERED))


def _accessors(
    job_type: JobType, setting: Setting, shown: "Callable[[Any], Any]", stored: "Callable[[Any], Any]"
) -> "Callable[[Any], dict[str, Callable[..., Any]]]":
    """Make the functions with which a property reads and keeps the value of a setting.

    ``shown`` and ``stored`` turn a setting's value into the property's and back.
    """

    def accessors(nothing: Any) -> "dict[str, Callable[..., Any]]":
        def read(self: bpy.types.PropertyGroup) -> Any:
            value = shown_values(self.id_data, job_type)[setting.key].value
            return nothing if value is None else shown(value)

        def write(self: bpy.types.PropertyGroup, value: Any) -> None:
            if not setting.choices or value != NOT_OFFERED:
                change_setting(self.id_data, job_type, setting.key, _clamped(setting, stored(value)))

        return {"get": read, "set": write}

    return accessors


def _clamped(setting: Setting, value: Any) -> Any:
    """Keep a number inside its limits: Blender does not, for properties with functions of their own."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return value
    value = max(value, setting.propargs.get("min", value))
    return type(value)(min(value, setting.propargs.get("max", value)))


def _attribute(job_type: JobType) -> str:
    """Name a job type's properties. Its own name may have characters that no property can."""
    return f"flamenco_type_{zlib.crc32(job_type.name.encode()):08x}"


def _forget_job_types() -> None:
    global _shown_job_types  # noqa: PLW0603
    for attribute, made in _registered.items():
        delattr(bpy.types.Scene, attribute)
        bpy.utils.unregister_class(made)
    _registered.clear()
    _shown_job_types = ()


def _percent_done(self: bpy.types.WindowManager) -> float:
    if SESSION.doing is not None:
        return 100 * (SESSION.doing.fraction or 0.0)
    return 100 * SESSION.job.fraction if SESSION.job else 0.0


def register() -> None:
    """Add the properties."""
    bpy.utils.register_class(FlamencoScene)
    bpy.types.Scene.flamenco = bpy.props.PointerProperty(type=FlamencoScene)
    bpy.types.WindowManager.flamenco_job_id = bpy.props.StringProperty(
        name="Flamenco job", description="The id of the job that was sent last", options={"SKIP_SAVE"}
    )
    bpy.types.WindowManager.flamenco_percent = bpy.props.FloatProperty(
        name="Done",
        description="How much is done",
        subtype="PERCENTAGE",
        min=0,
        max=100,
        precision=0,
        get=_percent_done,
    )


def unregister() -> None:
    """Take the properties away; what the artist changed stays in the file."""
    _forget_job_types()
    del bpy.types.WindowManager.flamenco_percent
    del bpy.types.WindowManager.flamenco_job_id
    del bpy.types.Scene.flamenco
    bpy.utils.unregister_class(FlamencoScene)
    SESSION.close()
