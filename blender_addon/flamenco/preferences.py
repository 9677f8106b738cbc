"""The add-on's preferences: which Server, and the token to show there."""

import os
from pathlib import Path
from typing import cast

import bpy

from .connection import Connection, choose_connection
from .problems import Problem
from .properties import SESSION

ADDON = __package__ or "flamenco"


def current_connection() -> Connection:
    """Return the Server of the preferences, or of the user's connection file. Raises Problem."""
    if not getattr(bpy.app, "online_access", True):  # Blender 4.2 and later ask the user
        raise Problem("Blender may not go online. Turn on Allow Online Access in Preferences > System.")
    addon = bpy.context.preferences.addons.get(ADDON)
    url, token = (addon.preferences.server_url, addon.preferences.token) if addon and addon.preferences else ("", "")
    return choose_connection(url, token, os.environ, Path.home())


def connect() -> None:
    """Ask the Server for what it offers, or show why that is not possible."""
    try:
        SESSION.connect(current_connection())
    except Problem as problem:
        SESSION.disconnect(problem)


def _connection_changed(self: object, context: object) -> None:
    connect()


class FlamencoPreferences(bpy.types.AddonPreferences):
    """What is asked of the user once."""

    bl_idname = ADDON

    server_url: bpy.props.StringProperty(  # type: ignore[valid-type]
        name="Server URL",
        description="Where your Flamenco Server is, such as http://127.0.0.1:8000. "
        "Empty: the one that 'flamenco up' started on this computer",
        update=_connection_changed,
    )
    token: bpy.props.StringProperty(  # type: ignore[valid-type]
        name="Token",
        description="Shows the Server who you are. Empty: the token that 'flamenco up' left for you on this computer",
        subtype="PASSWORD",
        update=_connection_changed,
    )

    def draw(self, context: bpy.types.Context) -> None:
        """Show the two fields, a button to try them, and what came of that."""
        column = cast("bpy.types.UILayout", self.layout).column()
        column.use_property_split = True
        column.prop(self, "server_url")
        column.prop(self, "token")
        row = column.row()
        row.use_property_split = False
        row.operator("flamenco.test_connection", icon="FILE_REFRESH")
        if SESSION.farm is not None:
            row.label(text=SESSION.farm.sentence, icon="ERROR" if SESSION.farm.problem else "CHECKMARK")


def register() -> None:
    """Add the preferences."""
    bpy.utils.register_class(FlamencoPreferences)


def unregister() -> None:
    """Take the preferences away."""
    bpy.utils.unregister_class(FlamencoPreferences)
