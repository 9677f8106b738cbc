import ast
import tomllib
import zipfile
from pathlib import Path

import build_addon

from flamenco_core import VERSION

PYTHON_OF_BLENDER_3_4 = (3, 10)


def test_the_same_sources_give_the_same_bytes(tmp_path: Path) -> None:
    first, second = build_addon.build(tmp_path / "1"), build_addon.build(tmp_path / "2")
    assert first.read_bytes() == second.read_bytes()
    assert first.name == f"flamenco_addon-{VERSION}.zip"


def test_the_zip_has_one_folder_with_all_that_is_needed(addon_zip: Path) -> None:
    with zipfile.ZipFile(addon_zip) as archive:
        names = archive.namelist()
    assert {name.split("/")[0] for name in names} == {"flamenco"}
    assert {f"flamenco/{name}" for name in ("__init__.py", "blender_manifest.toml", "core/statuses.py")} <= set(names)
    assert not [name for name in names if "__pycache__" in name]


def test_both_descriptions_tell_the_same_version() -> None:
    manifest = tomllib.loads((build_addon.SOURCE / "blender_manifest.toml").read_text())
    assigned = ast.parse((build_addon.SOURCE / "__init__.py").read_text()).body[1]
    assert isinstance(assigned, ast.Assign)
    info = ast.literal_eval(assigned.value)
    assert manifest["version"] == ".".join(map(str, info["version"]))
    assert VERSION.startswith(manifest["version"])
    assert (manifest["name"], manifest["tagline"]) == (info["name"], info["description"])


def test_all_that_runs_in_blender_is_python_3_10(addon_zip: Path) -> None:
    with zipfile.ZipFile(addon_zip) as archive:
        sources = {name: archive.read(name).decode() for name in archive.namelist() if name.endswith(".py")}
    for name, source in sources.items():
        ast.parse(source, name, feature_version=PYTHON_OF_BLENDER_3_4)
    imported = {alias.name for source in sources.values() for alias in _imports(source)}
    assert not imported & {"tomllib", "requests", "aiohttp", "flamenco_runtime"}


def _imports(source: str) -> list[ast.alias]:
    return [alias for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Import) for alias in node.names]
