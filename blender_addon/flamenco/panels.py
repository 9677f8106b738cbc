"""The panel in the Output properties, the entry in the Render menu, the sign in the status bar.

Drawing reads what is known and evaluates nothing; it tells the session that somebody looks.
"""

import textwrap
from typing import Any

import bpy
import bpy.utils.previews

from .core import BadFrames, parse_frames
from .job_types import JobType, Setting
from .properties import SESSION, chosen_job_type, property_name, settings_group, shown_values
from .setting_values import Resolved
from .words import count

PICTURE_SCALE = 9.0
"""Height of the newest frame, in Blender's unit: rows of the interface, about."""
BAR_SHARE = 0.75
"""How much of its row a progress bar has; the rest is the button that ends it."""
PIXELS_PER_CHARACTER = 7.2
ROOM_FOR_ICONS_PX = 70

_previews: Any = None


class FlamencoPanel(bpy.types.Panel):
    """Everything about rendering this file on the farm."""

    bl_idname = "FLAMENCO_PT_output"
    bl_label = "Flamenco"
    bl_space_type = "PROPERTIES"
    bl_region_type = "WINDOW"
    bl_context = "output"

    def draw(self, context: bpy.types.Context) -> None:
        """Draw from what is known."""
        SESSION.is_looked_at = True
        SESSION.scenes_looked_at.add(context.scene.name)
        layout = self.layout
        _draw_farm(layout, context)
        job_type = chosen_job_type(context.scene)
        button = layout.row()
        button.scale_y = 1.6
        button.enabled = job_type is not None
        button.operator("flamenco.render_on_flamenco", icon="RENDER_ANIMATION")
        if job_type is None:
            return
        values = shown_values(context.scene, job_type)
        _draw_summary(layout, context.scene, values)
        _draw_problem(layout, context)
        if SESSION.doing is not None:
            _draw_sending(layout)
        elif SESSION.job is not None:
            _draw_job(layout, context)
        _draw_settings(layout, context, job_type, values)


def _draw_farm(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    farm = SESSION.farm
    row = layout.row()
    if farm is None:
        row.label(text="Connecting…", icon="RADIOBUT_OFF")
        return
    column = row.column(align=True)
    if farm.problem is None:
        column.label(text=farm.sentence, icon="RADIOBUT_OFF" if farm.workers is None else "RADIOBUT_ON")
    else:
        _draw_text(column, context, farm.sentence, "ERROR")
    row.operator("flamenco.refresh", text="", icon="FILE_REFRESH", emboss=False)
    if not farm.host:
        shown = layout.operator("preferences.addon_show", text="Open the Add-on's Preferences", icon="PREFERENCES")
        shown.module = __package__


def _draw_summary(layout: bpy.types.UILayout, scene: bpy.types.Scene, values: "dict[str, Resolved]") -> None:
    """Say in a line what will be rendered: ``250 frames, 1920 × 1080, Cycles``."""
    if "frames" not in values:
        return
    try:
        frames = count(len(parse_frames(str(values["frames"].value))), "frame")
    except BadFrames:
        return  # its own row says what is wrong
    render = scene.render
    width, height = (size * render.resolution_percentage // 100 for size in (render.resolution_x, render.resolution_y))
    engine = render.engine.removeprefix("BLENDER_").replace("_", " ").title()
    layout.label(text=f"{frames}, {width} × {height}, {engine}")


def _draw_problem(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    if SESSION.problem is None:
        return
    column = layout.box().column()
    _draw_text(column, context, str(SESSION.problem), "ERROR")
    row = column.row()
    row.operator("flamenco.copy_details", icon="COPYDOWN")
    row.operator("flamenco.dismiss_problem", icon="X")


def _draw_sending(layout: bpy.types.UILayout) -> None:
    column = layout.box().column()
    column.label(text=SESSION.doing.words if SESSION.doing else "", icon="EXPORT")
    bar = column.split(factor=BAR_SHARE, align=True)
    _draw_bar(bar)
    bar.operator("flamenco.stop_sending", text="Stop", icon="X")


def _draw_job(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    job = SESSION.job
    if job is None:
        return
    column = layout.box().column()
    row = column.row()
    row.alert = job.look.word == "Failed"
    row.label(text=f"{job.name}: {job.sentence}", icon=job.look.icon)
    bar = column.split(factor=BAR_SHARE, align=True) if job.can_be_cancelled else column.row()
    _draw_bar(bar)
    if job.can_be_cancelled:
        bar.operator("flamenco.cancel_job", text="Cancel", icon="X")
    if SESSION.job_problem is not None:
        _draw_text(column, context, str(SESSION.job_problem), "ERROR")
    elif job.activity:
        _draw_text(column, context, job.activity, "BLANK1")
    if SESSION.picture is not None:
        column.template_icon(icon_value=_icon_of(str(SESSION.picture)), scale=PICTURE_SCALE)
        row = column.row()
        row.alignment = "CENTER"
        row.label(text=f"Frame {job.frame}")
    if job.has_ended and job.folder:
        _draw_text(column, context, f"Frames are in {job.folder}", "FILE_FOLDER")


def _draw_bar(row: bpy.types.UILayout) -> None:
    percent = bpy.context.window_manager.flamenco_percent
    if hasattr(row, "progress"):  # Blender 4.0 and later
        row.progress(factor=percent / 100, text=f"{percent:.0f} %")
    else:
        row.prop(bpy.context.window_manager, "flamenco_percent", text="", slider=True)


def _draw_settings(
    layout: bpy.types.UILayout, context: bpy.types.Context, job_type: JobType, values: "dict[str, Resolved]"
) -> None:
    layout.separator()
    column = layout.column()
    column.use_property_split = True
    column.use_property_decorate = False
    column.enabled = SESSION.doing is None
    for name in ("job_type", "job_name"):
        row = column.row(align=True)
        row.row(align=True).prop(context.scene.flamenco, name)
        row.label(text="", icon="BLANK1")  # as wide as the signs in the rows below
    group = settings_group(context.scene, job_type)
    for setting in job_type.settings:
        if setting.is_shown and group is not None:
            _draw_setting(column, group, setting, values[setting.key])
    for wrong in (item.problem for item in values.values() if item.problem):
        _draw_text(column, context, wrong, "ERROR")


def _draw_setting(
    column: bpy.types.UILayout, group: bpy.types.PropertyGroup, setting: Setting, value: Resolved
) -> None:
    """Draw one row: the field, then a sign of where its value comes from."""
    row = column.row(align=True)
    field = row.row(align=True)
    field.enabled = setting.editable
    field.alert = value.problem is not None
    field.prop(group, property_name(setting))
    if value.origin == "changed" and setting.editable:
        row.operator("flamenco.reset_setting", text="", icon="LOOP_BACK", emboss=False).key = setting.key
    else:
        row.label(text="", icon="LINKED" if value.origin == "linked" and setting.shows_link else "BLANK1")


def _draw_text(layout: bpy.types.UILayout, context: bpy.types.Context, text: str, icon: str) -> None:
    """Draw a text over as many lines as it needs: Blender's labels are cut off at the edge."""
    scale = context.preferences.system.ui_scale
    width = max(20, int((context.region.width / scale - ROOM_FOR_ICONS_PX) / PIXELS_PER_CHARACTER))
    column = layout.column(align=True)
    for number, line in enumerate(textwrap.wrap(text, width) or [""]):
        column.label(text=line, icon=icon if number == 0 else "BLANK1")


def _icon_of(file: str) -> int:
    if file not in _previews:
        _previews.clear()
        _previews.load(file, file, "IMAGE")
    return int(_previews[file].icon_id)


def _draw_menu_entry(self: bpy.types.Menu, context: bpy.types.Context) -> None:
    SESSION.is_looked_at = True
    SESSION.scenes_looked_at.add(context.scene.name)
    self.layout.separator()
    self.layout.operator("flamenco.render_on_flamenco", icon="RENDER_ANIMATION")


def _draw_in_status_bar(self: bpy.types.Header, context: bpy.types.Context) -> None:
    if SESSION.doing is not None:
        row = self.layout.row(align=True)
        row.label(text=f"Flamenco: {SESSION.doing.words}")
        row.operator("flamenco.stop_sending", text="", icon="X", emboss=False)


def register() -> None:
    """Add what is drawn."""
    global _previews  # noqa: PLW0603 (Blender wants the collection to live as long as the add-on)
    _previews = bpy.utils.previews.new()
    bpy.utils.register_class(FlamencoPanel)
    bpy.types.TOPBAR_MT_render.append(_draw_menu_entry)
    bpy.types.STATUSBAR_HT_header.append(_draw_in_status_bar)


def unregister() -> None:
    """Take away what is drawn."""
    bpy.types.STATUSBAR_HT_header.remove(_draw_in_status_bar)
    bpy.types.TOPBAR_MT_render.remove(_draw_menu_entry)
    bpy.utils.unregister_class(FlamencoPanel)
    bpy.utils.previews.remove(_previews)
