"""The beat of the add-on: four times a second it fetches what came, and paints again if something changed."""

import time

import bpy

from .background import outcome_of
from .preferences import connect
from .properties import SESSION, chosen_job_type, evaluate_linked, follow_job_types

EVERY_S = 0.25
PAINTED = {"PROPERTIES", "STATUSBAR", "PREFERENCES"}
"""The editors in which the add-on shows something."""


def tick() -> float:
    """Do what is due. Returns the seconds until the next time, as Blender's timers want."""
    outcome = outcome_of(_do_what_is_due)
    if outcome.problem is not None:  # an exception would make Blender drop the timer, and the panel would fall silent
        SESSION.problem = outcome.problem
    if outcome.problem is not None or outcome.get():
        _paint()
    return EVERY_S


def _do_what_is_due() -> bool:
    """Fetch, connect, evaluate. Returns whether something to be seen has changed."""
    if SESSION.is_looked_at and SESSION.farm is None:
        connect()
    changed = SESSION.tick(time.monotonic())
    changed = follow_job_types() or changed
    changed = _evaluate_what_is_looked_at() or changed
    if SESSION.job is not None:
        bpy.context.window_manager.flamenco_job_id = SESSION.job.id
    return changed


def _evaluate_what_is_looked_at() -> bool:
    """Evaluate expressions of the scenes that were drawn since the last time. Returns whether a value changed."""
    changed = False
    while SESSION.scenes_looked_at:
        scene = bpy.data.scenes.get(SESSION.scenes_looked_at.pop())
        job_type = chosen_job_type(scene) if scene is not None else None
        if scene is None or job_type is None:
            continue
        linked = evaluate_linked(scene, job_type)
        key = (scene.name, job_type.name)
        changed = changed or SESSION.linked.get(key) != linked
        SESSION.linked[key] = linked
    return changed


def _paint() -> None:
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type in PAINTED:
                area.tag_redraw()


def register() -> None:
    """Start the beat; opening another file does not end it."""
    bpy.app.timers.register(tick, persistent=True)


def unregister() -> None:
    """End the beat."""
    if bpy.app.timers.is_registered(tick):
        bpy.app.timers.unregister(tick)
