"""The checkout: the files of one job, laid out under ``FOLDER/JOB`` as Blender needs them."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from flamenco_core.errors import BadInput
from flamenco_core.paths import BadPath, relative_path
from flamenco_core.wire.manager_api import JobFile
from flamenco_manager.blobs import Blobs
from flamenco_runtime.durable_folders import make_folder, sync_folder


class BadManifest(BadInput):
    """Files that cannot be laid out; the message says why."""

    type = "bad-manifest"


def check_manifest(files: Sequence[JobFile]) -> None:
    """Check the paths of a job's files, before any is fetched. Raises BadManifest."""
    seen: set[str] = set()
    for file in files:
        try:
            path = relative_path(file.path)
        except BadPath as error:
            raise BadManifest(f"A file of the job cannot be laid out: {error}") from error
        if str(path).casefold() in seen:
            raise BadManifest(f"The job has {file.path!r} twice, or two names that some systems cannot tell apart.")
        seen.add(str(path).casefold())
    for path_text in seen:
        if any(str(parent) in seen for parent in Path(path_text).parents):
            raise BadManifest(f"The job has {path_text!r} inside something that is a file itself.")


def lay_out(folder: Path, files: Sequence[JobFile], blobs: Blobs) -> None:
    """Make the checkout of a job from blobs that are all here; it appears under its name only when it is whole.

    Files are copied, so that a program that changes one cannot change the blob. Raises OSError.
    """
    if folder.exists():
        return
    building = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(building, ignore_errors=True)
    make_folder(folder.parent)
    building.mkdir()
    folders = {building}
    for file in files:
        target = building / relative_path(file.path)
        target.parent.mkdir(parents=True, exist_ok=True)
        folders.update(_between(building, target.parent))
        _copy(blobs.file(file.sha256), target)
    for made in folders:
        sync_folder(made)
    building.rename(folder)
    sync_folder(folder.parent)


def _between(top: Path, folder: Path) -> list[Path]:
    return [folder, *(parent for parent in folder.parents if parent.is_relative_to(top))]


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
    descriptor = os.open(target, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
