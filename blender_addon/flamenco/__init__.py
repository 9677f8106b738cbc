"""Flamenco's add-on: sends the open file to a render farm, and shows how the job goes.

Only ``operators``, ``panels``, ``preferences``, ``properties`` and ``timer`` know Blender; all else is plain Python.
"""

bl_info = {
    "name": "Flamenco",
    "description": "Render on a farm, straight from the Output properties",
    "author": "The Flamenco contributors",
    "version": (4, 0, 0),
    "blender": (3, 4, 0),
    "location": "Properties > Output > Flamenco, and Render > Render on Flamenco",
    "category": "Render",
    "support": "COMMUNITY",
}


def register() -> None:
    """Add everything to Blender."""
    from . import operators, panels, preferences, properties, timer

    for module in (properties, preferences, operators, panels, timer):
        module.register()


def unregister() -> None:
    """Take everything away again, in the opposite order."""
    from . import operators, panels, preferences, properties, timer

    for module in (timer, panels, operators, preferences, properties):
        module.unregister()
