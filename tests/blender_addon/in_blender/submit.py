"""Runs in a real Blender: submits the open file as a script would.

Its argument is JSON: ``operator``, the operator's own arguments. It prints a line
``outcome: JSON``.
"""

import hashlib
import json
import sys
from pathlib import Path

import bpy


def main(wanted: dict) -> dict:
    file = Path(bpy.data.filepath) if bpy.data.filepath else None
    before = hashlib.sha256(file.read_bytes()).hexdigest() if file else None
    bpy.context.scene.frame_end = 24
    result, error = None, None
    try:
        result = sorted(bpy.ops.flamenco.render_on_flamenco("EXEC_DEFAULT", **wanted["operator"]))
    except RuntimeError as raised:
        error = str(raised)
    return {
        "result": result,
        "error": error,
        "job": bpy.context.window_manager.flamenco_job_id,
        "file_untouched": file is None or hashlib.sha256(file.read_bytes()).hexdigest() == before,
        "filepath": bpy.data.filepath,
        "left_behind": sorted(str(path) for path in Path(bpy.app.tempdir).glob("flamenco-*")),
        "blender": bpy.app.version_string,
    }


print("outcome: " + json.dumps(main(json.loads(sys.argv[-1]))), flush=True)
