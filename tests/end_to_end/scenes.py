"""Small scenes, built by the Blender that shall render them."""

import os
import subprocess
from pathlib import Path

from flamenco_runtime.children import foreign_environment

PLAIN = """
import bpy
scene = bpy.context.scene
scene.render.engine = "CYCLES"
scene.cycles.device = "CPU"
scene.cycles.samples = {samples}
scene.cycles.use_adaptive_sampling = False
scene.cycles.use_denoising = False
scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = {width}, {height}, 100
scene.render.image_settings.file_format = "PNG"
scene.render.fps = 12
scene.frame_start, scene.frame_end = 1, {frames}
cube = bpy.data.objects["Cube"]
cube.keyframe_insert("rotation_euler", frame=1)
cube.rotation_euler.z = 2
cube.keyframe_insert("rotation_euler", frame={frames})
{extra}
bpy.ops.wm.save_as_mainfile(filepath={path!r}, compress=False)
"""

ABORTS_ON_FRAME_3 = '''
text = bpy.data.texts.new("abort.py")
text.use_module = True
text.write("""
import os, bpy
def abort(scene, *_):
    if scene.frame_current == 3:
        os._exit(11)
bpy.app.handlers.render_pre.append(abort)
""")
'''
"""A script in the file that ends Blender whenever it begins frame 3; it runs only where scripts may run."""


def make_scene(
    blender: str,
    path: Path,
    *,
    frames: int = 6,
    width: int = 64,
    height: int = 36,
    samples: int = 1,
    extra: str = "",
) -> Path:
    """Build a turning cube and save it; ``samples`` decides how long a frame takes."""
    script = PLAIN.format(samples=samples, width=width, height=height, frames=frames, extra=extra, path=str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [blender, "-b", "--factory-startup", "--python-exit-code", "1", "--python-expr", script],
        env=foreign_environment(os.environ),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert path.exists(), done.stdout + done.stderr
    return path
