"""Runs in a real Blender window: photographs the panel before, while and after a job.

Its argument is JSON: the ``folder`` for the pictures, the fake Server's ``url`` and ``token``. It prints a line
``outcome: JSON`` and quits, also when something goes wrong or takes too long.
"""

import json
import sys
import time
import traceback
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bpy

DEADLINE_S = 60
PAINTED_S = 0.6
"""How long Blender gets to paint before a picture is taken: it has no way to say that it did."""

wanted = json.loads(sys.argv[-1])
outcome: "dict[str, Any]" = {"pictures": {}}


def scenario() -> "Iterator[Callable[[], bool]]":
    """Yield conditions to wait for; between them, act and take pictures."""
    from flamenco.properties import SESSION

    make_scene()
    yield from show_panel()
    yield lambda: bool(SESSION.farm and SESSION.farm.workers and SESSION.linked)
    yield from picture("before")
    change_settings()
    yield from picture("changed-settings")
    tell_server("uploads", held=True)
    press()
    yield lambda: SESSION.doing is not None and SESSION.doing.words.startswith("Sending")
    yield from picture("sending")
    tell_server("uploads", held=False)
    yield lambda: SESSION.doing is None and SESSION.job is not None
    outcome["job"] = SESSION.job.id
    yield from while_it_renders(SESSION)
    tell_server(f"jobs/{outcome['job']}", status="completed", steps_completed=24, frames_done=24, frame=24, activity="")
    yield lambda: SESSION.job.has_ended
    yield from picture("after")
    bpy.context.scene.flamenco.job_type = "every-kind-of-setting"
    yield lambda: ("Scene", "every-kind-of-setting") in SESSION.linked
    yield from picture("every-setting")


def while_it_renders(session: Any) -> "Iterator[Callable[[], bool]]":
    tell_server(
        f"jobs/{outcome['job']}",
        status="active",
        steps_completed=9,
        frames_done=9,
        frame=9,
        activity="Rendering on 2 Workers",
    )
    yield lambda: session.picture is not None and session.job.frame == 9
    yield from picture("during")


def make_scene() -> None:
    """Have a file of 24 frames with an output folder."""
    folder = Path(wanted["folder"])
    (folder / "frames").mkdir()
    bpy.context.scene.frame_end = 24
    bpy.context.scene.render.filepath = "//frames/"
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "sh010_anim.blend"))


def show_panel() -> "Iterator[Callable[[], bool]]":
    """Make the largest editor of the window show the Output properties, and there our panel alone."""
    for panel in bpy.types.Panel.__subclasses__():
        is_other = getattr(panel, "bl_context", "") == "output" and not panel.__module__.startswith("flamenco")
        if is_other and panel.is_registered:
            bpy.utils.unregister_class(panel)
    largest_area().type = "PROPERTIES"
    yield pause(PAINTED_S)
    largest_area().spaces.active.context = "OUTPUT"


def largest_area() -> Any:
    """Return the editor to photograph. (Filling the window with it crashes Blender 3.4 under temp_override.)"""
    return max(bpy.context.window_manager.windows[0].screen.areas, key=lambda area: area.width * area.height)


def change_settings() -> None:
    scene = bpy.context.scene
    group = next(
        getattr(scene, name)
        for name in dir(scene)
        if name.startswith("flamenco_type_") and hasattr(getattr(scene, name), "setting_chunk_size")
    )
    group.setting_frames = "1-12, 20-31"
    group.setting_chunk_size = 4


def press() -> None:
    with bpy.context.temp_override(window=bpy.context.window_manager.windows[0]):
        outcome["pressed"] = sorted(bpy.ops.flamenco.render_on_flamenco("INVOKE_DEFAULT"))


def tell_server(about: str, **changes: Any) -> None:
    """Tell the fake Server how it goes on."""
    request = urllib.request.Request(
        f"{wanted['url']}/api/v1/test/{about}",
        json.dumps(changes).encode(),
        {"Authorization": f"Bearer {wanted['token']}"},
    )
    urllib.request.urlopen(request, timeout=10).close()


def picture(name: str) -> "Iterator[Callable[[], bool]]":
    """Take a picture of the editor once it was painted."""
    area = largest_area()
    area.tag_redraw()
    yield pause(PAINTED_S)
    file = Path(wanted["folder"]) / f"{name}.png"
    with bpy.context.temp_override(window=bpy.context.window_manager.windows[0], area=area):
        bpy.ops.screen.screenshot_area(filepath=str(file))
    outcome["pictures"][name] = str(file)


def pause(seconds: float) -> "Callable[[], bool]":
    until = time.monotonic() + seconds
    return lambda: time.monotonic() > until


class Scenario:
    """Runs the scenario by a timer, a step as soon as its condition is met."""

    def __init__(self) -> None:
        self._ends_at = time.monotonic() + DEADLINE_S
        self._steps = scenario()
        self._condition = pause(1.0)

    def tick(self) -> "float | None":
        """Go on if possible. Returns the seconds until the next time, None at the end."""
        try:
            if time.monotonic() > self._ends_at:
                raise TimeoutError(f"waited too long after {list(outcome['pictures'])}")
            if self._condition():
                self._condition = next(self._steps)
            return 0.1
        except StopIteration:
            outcome["error"] = None
        except Exception:  # noqa: BLE001 (the test that started this shows it)
            outcome["error"] = traceback.format_exc()
        print("outcome: " + json.dumps(outcome), flush=True)
        bpy.ops.wm.quit_blender()
        return None


running = Scenario()
bpy.app.timers.register(running.tick)
