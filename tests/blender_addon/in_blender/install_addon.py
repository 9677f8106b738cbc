"""Runs in a real Blender 3.4: installs the zip named by the last argument as the user would, and saves that."""

import sys

import bpy

bpy.ops.preferences.addon_install(filepath=sys.argv[-1], overwrite=True)
bpy.ops.preferences.addon_enable(module="flamenco")
bpy.context.preferences.view.show_splash = False
bpy.ops.wm.save_userpref()
