"""Run by Blender right before it renders: prints what a saved frame will be, as one line of JSON.

``flamenco_worker.blender_output.SceneFacts`` reads it. The size is computed as Blender's render pipeline does: whole
percents of the resolution, and borders cut off below the pixel.
"""

import json
from typing import Any

import bpy


def size_of_frame(render: Any) -> tuple[int, int, int]:
    """Return width, height and how far they may be off (a border is rounded in single precision), in pixels."""
    width = render.resolution_x * render.resolution_percentage // 100
    height = render.resolution_y * render.resolution_percentage // 100
    if render.use_multiview:
        return 0, 0, 0
    if not (render.use_border and render.use_crop_to_border):
        return max(width, 1), max(height, 1), 0
    columns = int(render.border_max_x * width) - int(render.border_min_x * width)
    rows = int(render.border_max_y * height) - int(render.border_min_y * height)
    return columns, rows, 1


def facts(scene: Any) -> dict[str, Any]:
    """Collect what the Worker compares the saved files with, and what it tells of the render."""
    width, height, tolerance = size_of_frame(scene.render)
    cycles = getattr(scene, "cycles", None) if scene.render.engine == "CYCLES" else None
    return {
        "width": width,
        "height": height,
        "size_tolerance": tolerance,
        "version": bpy.app.version_string,
        "engine": scene.render.engine,
        "device": cycles.device if cycles else "",
        "is_movie": scene.render.is_movie_format,
    }


print("flamenco-scene: " + json.dumps(facts(bpy.context.scene)), flush=True)  # noqa: T201 (the Worker reads it)
