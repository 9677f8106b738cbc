"""Scripts that Blender runs, not we: Python 3.10, its standard library and ``bpy``. Nothing here imports ours."""
