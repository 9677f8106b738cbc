"""As much of ``bpy`` as the add-on's thin modules need to be imported and drawn: registries, properties, a layout."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any


class _Types(ModuleType):
    """Gives a class for every name, so that ours can be derived from it and properties hung on it."""

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        made = type(
            name, (), {"append": classmethod(lambda cls, draw: None), "remove": classmethod(lambda cls, draw: None)}
        )
        setattr(self, name, made)
        return made


class _Props(ModuleType):
    """Every property is what it was made with."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda **arguments: SimpleNamespace(kind=name, **arguments)


@dataclass
class Layout:
    """Notes what is drawn, in one list for a layout and all that it makes."""

    drawn: list[tuple[str, str]] = field(default_factory=list)

    def _part(self, **_: Any) -> "Layout":
        return Layout(self.drawn)

    row = column = box = split = _part

    def label(self, *, text: str = "", icon: str = "") -> None:
        self.drawn.append(("label", text))

    def prop(self, owner: object, name: str, **_: Any) -> None:
        self.drawn.append(("prop", name))

    def operator(self, name: str, **_: Any) -> SimpleNamespace:
        self.drawn.append(("operator", name))
        return SimpleNamespace()

    def template_icon(self, **_: Any) -> None:
        self.drawn.append(("picture", ""))

    def separator(self) -> None:
        """Draw nothing."""

    def texts(self) -> str:
        """Return all labels."""
        return "\n".join(text for kind, text in self.drawn if kind == "label")

    def names(self, kind: str) -> list[str]:
        """Return the names of the properties or operators."""
        return [name for drawn, name in self.drawn if drawn == kind]


@dataclass
class Scene:
    """A scene, with what the add-on keeps in it."""

    name: str = "Scene"
    frame_start: int = 1
    frame_end: int = 24
    view_layers: tuple[str, ...] = ("ViewLayer",)

    def __post_init__(self) -> None:
        self.flamenco = SimpleNamespace(chosen_type="", changed_name="", changes="", id_data=self)
        image = SimpleNamespace(file_format="PNG")
        size = {"resolution_x": 1920, "resolution_y": 1080, "resolution_percentage": 50}
        self.render = SimpleNamespace(
            filepath="/tmp/", fps=24, fps_base=1.0, engine="CYCLES", image_settings=image, **size
        )

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("flamenco_type_"):
            raise AttributeError(name)
        return SimpleNamespace(id_data=self)


@contextmanager
def blender() -> Iterator[ModuleType]:
    """Be in a Blender that has an empty, unsaved file; the add-on's modules are imported anew in it."""
    stub: Any = ModuleType("bpy")
    stub.types, stub.props = _Types("bpy.types"), _Props("bpy.props")
    stub.utils = ModuleType("bpy.utils")
    stub.utils.register_class = stub.utils.unregister_class = lambda cls: None
    stub.utils.previews = ModuleType("bpy.utils.previews")
    stub.app = SimpleNamespace(autoexec_fail=False, version=(3, 4, 1), version_string="3.4.1", tempdir="")
    stub.data = SimpleNamespace(filepath="", scenes={})
    stub.path = SimpleNamespace(abspath=lambda path: path, basename=lambda path: path.rsplit("/", 1)[-1])
    preferences = SimpleNamespace(system=SimpleNamespace(ui_scale=1.0), addons={})
    manager = SimpleNamespace(flamenco_percent=0.0, windows=[])
    stub.context = SimpleNamespace(
        scene=Scene(), region=SimpleNamespace(width=600), preferences=preferences, window_manager=manager
    )
    names = {"bpy": stub, "bpy.utils": stub.utils, "bpy.utils.previews": stub.utils.previews}
    thin = [f"flamenco.{name}" for name in ("properties", "preferences", "operators", "panels", "timer")]
    before = {name: sys.modules.pop(name, None) for name in [*names, *thin]}
    sys.modules.update(names)
    try:
        yield stub
    finally:
        for name, module in before.items():
            sys.modules.pop(name, None)
            if module is not None:
                sys.modules[name] = module
