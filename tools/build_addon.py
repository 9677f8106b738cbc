"""Builds ``dist/flamenco_addon-VERSION.zip``, which Blender 3.4 installs as an add-on and Blender 4.2 as an extension.

The zip has one folder, ``flamenco/``: older Blenders need it, newer ones allow it around their manifest (Blender
manual, "How to Create Extensions"). The same sources give the same bytes: names are sorted, and every file has the
same date.
"""

import ast
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "blender_addon" / "flamenco"
CORE = ROOT / "core" / "flamenco_core"
CORE_MODULES = ("frames.py", "paths.py", "statuses.py")
"""What the add-on needs of the core; they import nothing but the standard library of Python 3.10."""
SUFFIXES = {".py", ".toml"}
DATE = (1980, 1, 1, 0, 0, 0)
"""The first date that a zip can hold."""
PERMISSIONS = 0o100644 << 16


def contents() -> dict[str, Path]:
    """Return the files of the zip by their names in it."""
    own = {
        f"flamenco/{file.relative_to(SOURCE).as_posix()}": file for file in SOURCE.rglob("*") if file.suffix in SUFFIXES
    }
    shared = {f"flamenco/core/{name}": CORE / name for name in CORE_MODULES}
    licence = ROOT / "LICENSE"
    return {**own, **shared, **({"flamenco/LICENSE": licence} if licence.exists() else {})}


def build(folder: Path) -> Path:
    """Write the zip into ``folder``; returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"flamenco_addon-{version()}.zip"
    with zipfile.ZipFile(target, "w") as archive:
        for name, file in sorted(contents().items()):
            entry = zipfile.ZipInfo(name, DATE)
            entry.external_attr = PERMISSIONS
            entry.create_system = 3  # Unix, wherever it is built
            archive.writestr(entry, file.read_bytes(), zipfile.ZIP_DEFLATED, 9)
    return target


def version() -> str:
    """Return the version of Flamenco, without importing it."""
    for node in ast.parse((CORE / "__init__.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "VERSION":
            return str(ast.literal_eval(node.value))
    raise SystemExit(f"{CORE / '__init__.py'} has no VERSION.")


if __name__ == "__main__":
    print(build(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "dist"))
