"""Makes the Python module ``bpy`` answer to Blender's command line: ``python bpy_launcher.py -b FILE -f 1..10``.

So a machine without a Blender program can render. It is run by path, by any Python 3.10 or later that has ``bpy``; of
our code it takes only ``blender_arguments`` from beside it. Where Blender would go on after a mistake and render
something else than was asked for (an unknown scene, a bad frame), this stops with exit status 1.
"""

# ruff: noqa: T201 (a command-line program prints)

import importlib
import os
import re
import signal
import sys
import traceback
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

PACKAGE_FOLDER = str(Path(__file__).resolve().parent.parent)
if __name__ == "__main__":
    # Our own package is perhaps not installed in this environment. The folder of this file must not stay in the path:
    # its modules (settings, app, …) would stand before those that scripts in Blender mean by such names.
    del sys.path[0]
    sys.path.insert(0, PACKAGE_FOLDER)

from flamenco_worker.blender_arguments import (  # noqa: E402 (found through the lines above)
    FORMATS,
    OPEN,
    Action,
    BadArguments,
    CommandLine,
    frames_to_render,
    parse_arguments,
    shifted_frame,
)

LIBRARY_PACKAGES = {
    "libX11.so.6": "libx11-6",
    "libXext.so.6": "libxext6",
    "libXfixes.so.3": "libxfixes3",
    "libXi.so.6": "libxi6",
    "libXrender.so.1": "libxrender1",
    "libXxf86vm.so.1": "libxxf86vm1",
    "libICE.so.6": "libice6",
    "libSM.so.6": "libsm6",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libGL.so.1": "libgl1",
    "libEGL.so.1": "libegl1",
    "libgomp.so.1": "libgomp1",
}
"""The system libraries that ``bpy`` loads, and the Debian packages that they are in."""

USAGE = """\
Usage: python bpy_launcher.py [arguments] [file.blend] [arguments] [-- arguments for scripts]

Carries out Blender's command line with the Python module bpy, in the order of the arguments:
  -b FILE  -S SCENE  -E ENGINE  -o PATH  -F FORMAT  -x 0|1  -s FRAME  -e FRAME  -j STEP
  -f FRAMES (1,5..10)  -a  -t THREADS  -y  -Y  -P FILE  --python-expr CODE  --python-exit-code STATUS
  --addons NAMES  -v  -h
"""


class LaunchFailed(Exception):
    """Something that ends the program with exit status 1. An empty message: Blender has printed it."""


class Blender:
    """Carries out a command line on ``bpy``."""

    def __init__(self, bpy: Any, command_line: CommandLine) -> None:
        self._bpy = bpy
        self._command_line = command_line
        self._python_exit_code = 0
        self._methods: dict[str, Callable[[str], None]] = {
            OPEN: self._open,
            "--scene": self._choose_scene,
            "--engine": self._choose_engine,
            "--render-output": self._set_output,
            "--render-format": self._set_format,
            "--use-extension": self._set_extension,
            "--frame-start": self._set_first_frame,
            "--frame-end": self._set_last_frame,
            "--frame-jump": self._set_step,
            "--render-frame": self._render_frames,
            "--render-anim": self._render_animation,
            "--python": self._run_file,
            "--python-expr": self._run_expression,
            "--python-exit-code": self._set_python_exit_code,
            "--addons": self._enable_addons,
        }

    def carry_out(self, action: Action) -> None:
        """Do one action. Raises LaunchFailed, BadArguments, and SystemExit from scripts."""
        self._methods[action.option](action.value)

    @property
    def _scene(self) -> Any:
        return self._bpy.context.scene

    def _open(self, path: str) -> None:
        absolute = os.path.abspath(path)  # noqa: PTH100 (also without "..", as Blender writes it)
        try:
            self._bpy.ops.wm.open_mainfile(filepath=absolute, use_scripts=self._command_line.run_scripts)
        except RuntimeError as error:
            # It also comes for a file that was read with errors, such as lost linked data: there Blender goes on.
            if self._bpy.data.filepath != absolute:
                raise LaunchFailed from error

    def _choose_scene(self, name: str) -> None:
        scene = self._bpy.data.scenes.get(name)
        if scene is None:
            known = ", ".join(self._bpy.data.scenes.keys())
            raise LaunchFailed(f"There is no scene {name!r} in this file. It has: {known}.")
        self._bpy.context.window.scene = scene

    def _choose_engine(self, name: str) -> None:
        try:
            self._scene.render.engine = name
        except TypeError as error:
            raise LaunchFailed(f"engine not found {name!r} ({error})") from error

    def _set_output(self, path: str) -> None:
        self._scene.render.filepath = path

    def _set_format(self, name: str) -> None:
        image_settings = self._scene.render.image_settings
        identifier = FORMATS[name]
        try:
            if hasattr(image_settings, "media_type"):  # since Blender 5.0 the formats offered depend on it
                image_settings.media_type = _media_type(identifier)
            image_settings.file_format = identifier
        except TypeError as error:
            version = self._bpy.app.version_string
            raise LaunchFailed(f"Format {name!r} is not in Blender {version} ({error})") from error

    def _set_extension(self, value: str) -> None:
        self._scene.render.use_file_extension = value == "1"

    def _set_first_frame(self, value: str) -> None:
        self._scene.frame_start = shifted_frame(value, self._scene.frame_start)

    def _set_last_frame(self, value: str) -> None:
        self._scene.frame_end = shifted_frame(value, self._scene.frame_end)

    def _set_step(self, value: str) -> None:
        self._scene.frame_step = int(value)

    def _render_frames(self, value: str) -> None:
        scene = self._scene
        first, last = scene.frame_start, scene.frame_end
        try:
            for frame in frames_to_render(value, first, last):
                scene.frame_start = scene.frame_end = frame
                self._render()
        finally:
            scene.frame_start, scene.frame_end = first, last

    def _render_animation(self, _: str) -> None:
        self._render()

    def _render(self) -> None:
        threads = self._command_line.threads
        if threads is not None:
            self._scene.render.threads_mode = "FIXED" if threads else "AUTO"
            self._scene.render.threads = threads or self._scene.render.threads
        try:
            self._bpy.ops.render.render(animation=True)
        except RuntimeError as error:
            raise LaunchFailed from error

    def _run_file(self, path: str) -> None:
        try:
            source = Path(path).read_bytes()
        except OSError as error:
            print(f'Error: Python file "{path}" could not be opened: {error.strerror}', file=sys.stderr, flush=True)
            self._script_failed(path)
            return
        self._run(source, path, {"__file__": path})

    def _run_expression(self, code: str) -> None:
        self._run(code, "<blender string>", {})

    def _run(self, source: str | bytes, name: str, names: dict[str, str]) -> None:
        """Run a script as ``__main__``; its exceptions are printed, and end the program if an exit code is set."""
        ours = sys.modules["__main__"]
        main = types.ModuleType("__main__")
        main.__dict__.update(names)
        sys.modules["__main__"] = main
        try:
            exec(compile(source, name, "exec"), main.__dict__)  # noqa: S102 (running scripts is what --python is for)
        except Exception as error:  # noqa: BLE001 (whatever the script raised is told, as Blender does)
            print("Error: Python: ", end="", file=sys.stderr)
            below_us = error.__traceback__ and error.__traceback__.tb_next
            traceback.print_exception(type(error), error, below_us)
            self._script_failed(name)
        finally:
            sys.modules["__main__"] = ours

    def _script_failed(self, name: str) -> None:
        if self._python_exit_code:
            print(f"Error: script failed: {name!r}, exiting.", file=sys.stderr, flush=True)
            raise SystemExit(self._python_exit_code)

    def _set_python_exit_code(self, value: str) -> None:
        self._python_exit_code = int(value)

    def _enable_addons(self, names: str) -> None:
        addon_utils = importlib.import_module("addon_utils")  # comes with bpy
        for name in names.split(","):
            if addon_utils.enable(name) is None:
                raise LaunchFailed(f"The add-on {name!r} could not be enabled.")


def main(arguments: list[str]) -> int:
    """Carry out a command line (without the program's name); returns the exit status."""
    # Rendering happens in C, where Python's own handlers would wait until the frame is done.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    try:
        command_line = parse_arguments(arguments)
        if command_line.wants_help:
            print(USAGE, end="")
            return 0
        _carry_out(command_line)
    except (BadArguments, LaunchFailed) as error:
        if str(error):
            print(f"Error: {error}", file=sys.stderr, flush=True)
        return 1
    return 0


def missing_library_message(error: ImportError) -> str:
    """Say what to do when ``bpy`` cannot be imported."""
    if error.name == "bpy":
        return f"This Python has no module bpy: {sys.executable} -m pip install bpy"
    match = re.match(r"(?P<library>lib\S+?\.so[.\d]*): cannot open shared object file", str(error))
    if match is None:
        return f"The module bpy cannot be imported: {error}"
    library = match["library"]
    package = LIBRARY_PACKAGES.get(library)
    place = f"in Debian's package {package}" if package else "in a package of your system"
    packages = " ".join(sorted({*LIBRARY_PACKAGES.values(), *([package] if package else [])}))
    return (
        f"Blender's module bpy needs the library {library}, which is not installed; it is {place}.\n"
        f"This installs all that bpy needs on Debian and Ubuntu: sudo apt-get install {packages}"
    )


def _carry_out(command_line: CommandLine) -> None:
    bpy = _import_bpy()
    print(f"Blender {bpy.app.version_string}", flush=True)
    if command_line.wants_version:
        return
    blender = Blender(bpy, command_line)
    for action in command_line.actions:
        blender.carry_out(action)


def _import_bpy() -> Any:
    try:
        import bpy
    except ImportError as error:
        raise LaunchFailed(missing_library_message(error)) from error
    return bpy


def _media_type(file_format: str) -> str:
    return {"OPEN_EXR_MULTILAYER": "MULTI_LAYER_IMAGE", "FFMPEG": "VIDEO"}.get(file_format, "IMAGE")


if __name__ == "__main__":
    sys.path.remove(PACKAGE_FOLDER)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # a TextIO here
    sys.exit(main(sys.argv[1:]))
