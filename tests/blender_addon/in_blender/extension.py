"""Runs with bpy 4.2 or later: installs the zip as an extension, submits as a script would, takes it away again.

Its argument is JSON: ``zip``; ``online``, whether the user allows Blender to go online; ``file``, a blend file to open,
and ``operator``, the operator's own arguments.
It prints a line ``outcome: JSON``.
"""

import json
import sys
from pathlib import Path

import bpy

wanted = json.loads(sys.argv[-1])
if wanted["file"]:
    bpy.ops.wm.open_mainfile(filepath=wanted["file"])
bpy.context.preferences.system.use_online_access = wanted["online"]
bpy.ops.preferences.addon_enable(module="bl_pkg")
bpy.ops.extensions.package_install_files(filepath=wanted["zip"], repo="user_default", enable_on_install=True)
module = "bl_ext.user_default.flamenco"
outcome: dict = {"enabled": module in bpy.context.preferences.addons, "online": bpy.app.online_access}
outcome["preferences"] = hasattr(bpy.context.preferences.addons[module].preferences, "server_url")
try:
    outcome["result"] = sorted(bpy.ops.flamenco.render_on_flamenco("EXEC_DEFAULT", **wanted["operator"]))
except RuntimeError as error:
    outcome["error"] = str(error)
outcome["job"] = bpy.context.window_manager.flamenco_job_id
bpy.ops.preferences.addon_disable(module=module)
outcome["left"] = [name for name in dir(bpy.types.Scene) if "flamenco" in name]
outcome["left_behind"] = sorted(str(path) for path in Path(bpy.app.tempdir).glob("flamenco-*"))
print("outcome: " + json.dumps(outcome), flush=True)
