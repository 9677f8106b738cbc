"""Tests of the Blender add-on: its plain modules, its code in bpy, its zip in real Blender."""
