"""Submitting a job: everything that can be checked is checked before a byte is sent."""

import asyncio
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from flamenco_cli.blend_file import check_blend_file, own_frame_range
from flamenco_cli.blobs import MOST_TRIES, Blob, hashed, missing_of, upload
from flamenco_cli.client import Client
from flamenco_cli.job_settings import settings_of
from flamenco_cli.records import Job, JobType
from flamenco_cli.short_ids import job_id_of
from flamenco_core.errors import BadInput, Conflict, NotFound, Unavailable
from flamenco_core.frames import BadFrames, parse_frames
from flamenco_core.identifiers import new_id
from flamenco_core.paths import BadPath, relative_path
from flamenco_runtime.http_client import pauses

BLENDFILE, FRAMES, OUTPUT = "blendfile", "frames", "render_output_path"
"""The settings that FILE, -f and -o stand for."""
BLOBS_MISSING = "blobs-missing"
"""The type of the error that says: send the job's files first."""


@dataclass(frozen=True)
class Wish:
    """What was written on the command line."""

    type: str
    file: Path | None = None
    frames: str | None = None
    output: str | None = None
    name: str | None = None
    settings: Sequence[str] = ()
    priority: int = 50
    terms: Mapping[str, object] = field(default_factory=dict)
    """What it asks of the farm, as the API has it; ``needs_jobs`` are the beginnings of ids."""


class Watcher(Protocol):
    """Is told what happens while a job is submitted."""

    def note(self, text: str) -> None:
        """Hear of something that was decided for the person."""

    def begin(self, phase: str, total_bytes: int) -> None:
        """See a phase begin that handles so many bytes."""

    def advance(self, more_bytes: int) -> None:
        """See so many bytes handled."""


async def submit(client: Client, wish: Wish, watcher: Watcher) -> Job:
    """Check, send what is missing, and submit. Raises BadInput and what the Server answers."""
    if wish.file is not None:
        await asyncio.to_thread(check_blend_file, wish.file)
    job_type = await _job_type(client, wish.type)
    _check_texts(wish)
    terms = await _terms(client, wish.terms)
    settings = settings_of(job_type, wish.settings)
    told = await asyncio.to_thread(_file_settings, wish, job_type, settings, watcher)
    with _output_folder(told.get(OUTPUT)):
        blobs = [await _read(wish.file, watcher)] if wish.file is not None else []
        submission = {
            "name": wish.name or (wish.file.stem if wish.file else job_type["label"]),
            "type": job_type["name"],
            "type_etag": job_type["etag"],
            "priority": wish.priority,
            "settings": {**settings, **told},
            "files": [blob.entry for blob in blobs],
            "metadata": {"platform": platform.system().lower()},
            **terms,
        }
        return await _submit_with(client, submission, blobs, watcher)


async def _terms(client: Client, terms: Mapping[str, Any]) -> Mapping[str, object]:
    """Complete the ids of the jobs that this one waits for. Raises BadInput, NoSuchId."""
    needed = [{"job": await job_id_of(client, job_id)} for job_id in terms.get("needs_jobs", ())]
    return {**terms, **({"needs_jobs": needed} if needed else {})}


async def _job_type(client: Client, name: str) -> JobType:
    try:
        return await client.job_type(name)
    except NotFound as error:
        known = ", ".join(sorted(job_type["name"] for job_type in await client.job_types()))
        raise BadInput(f"There is no job type {name!r}. This Server has: {known}.") from error


def _check_texts(wish: Wish) -> None:
    """Refuse bytes that are no text: on Linux a command line may hold any. Raises BadInput."""
    for text in (wish.name, wish.output, wish.frames, *wish.settings):
        try:
            (text or "").encode()
        except UnicodeEncodeError as error:
            raise BadInput(f"{text!a} is not UTF-8 text.") from error


def _file_settings(wish: Wish, job_type: JobType, settings: dict[str, object], watcher: Watcher) -> dict[str, str]:
    """Turn FILE, -f and -o into settings. Raises BadInput."""
    known = {setting["key"] for setting in job_type["settings"]}
    given = {BLENDFILE: wish.file, FRAMES: wish.frames, OUTPUT: wish.output}
    for key, value in given.items():
        if value is not None and key not in known:
            raise BadInput(f"Job type {job_type['name']} has no setting {key}: leave {_WRITTEN[key]} out.")
        if value is not None and key in settings:
            raise BadInput(f"Give the {key} once: {_WRITTEN[key]} or --set {key}=…, not both.")
    if BLENDFILE in known and wish.file is None and BLENDFILE not in settings:
        raise BadInput(f"Job type {job_type['name']} needs a blend file: flamenco submit FILE.blend -f 1-250 -o DIR")
    more: dict[str, str] = {}
    if wish.file is not None:
        more[BLENDFILE] = _manifest_path(wish.file)
    if FRAMES in known and FRAMES not in settings:
        more[FRAMES] = _frames(wish, watcher)
    if OUTPUT in known and OUTPUT not in settings:
        more[OUTPUT] = _output(wish, watcher)
    return more


def _manifest_path(file: Path) -> str:
    try:
        return str(relative_path(file.name))
    except BadPath as error:
        raise BadInput(f"{error} Save the file under another name.") from error


def _frames(wish: Wish, watcher: Watcher) -> str:
    if wish.frames is None:
        if wish.file is None:
            raise BadInput("Say which frames to render: -f 1-250")
        own = own_frame_range(wish.file)
        watcher.note(f"Frames {own}, as set in the file (choose others with -f).")
        return own
    try:
        parse_frames(wish.frames)
    except BadFrames as error:
        raise BadInput(f"-f: {error}") from error
    return wish.frames


def _output(wish: Wish, watcher: Watcher) -> str:
    if wish.output is not None:
        if not wish.output.strip():  # as of -o "$DIR" with an unset variable; it would mean the current folder
            raise BadInput("-o: the folder is empty. Write for example -o renders/shot, or -o . for this folder.")
        return os.path.abspath(Path(wish.output).expanduser())  # noqa: PTH100 (Path.absolute() keeps "..")
    if wish.file is None:
        raise BadInput("Say where the frames go: -o DIR")
    chosen = os.path.abspath(wish.file.parent / f"{wish.file.stem}-frames")  # noqa: PTH100 (also drops "..")
    watcher.note(f"Frames go to {chosen} (choose another folder with -o).")
    return chosen


@contextmanager
def _output_folder(output: str | None) -> Iterator[None]:
    """Make the folder that frames go to; if the job is not taken, what was made goes again. Raises BadInput."""
    if output is None:
        yield
        return
    folder = Path(output).parent if _is_pattern(output) else Path(output)
    made = [level for level in (folder, *folder.parents) if not level.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"Cannot make the output folder {folder}: {error.strerror}. Choose another with -o.") from error
    try:
        yield
    except BaseException:
        with suppress(OSError):  # somebody has put something into it
            for level in made:
                level.rmdir()
        raise


def _is_pattern(output: str) -> bool:
    """Tell whether it names the frames, by # for the digits of their number; else it is a folder."""
    return "#" in Path(output).name


async def _read(file: Path, watcher: Watcher) -> Blob:
    watcher.begin("Reading", (await asyncio.to_thread(file.stat)).st_size)
    return await hashed(file, _manifest_path(file), watcher.advance)


async def _submit_with(client: Client, submission: dict[str, object], blobs: list[Blob], watcher: Watcher) -> Job:
    """Submit; the Server checks all else before it asks for files that it lacks: so a bad job costs no sending."""
    key = new_id()
    try:
        return await _submit_once(client, submission, key)
    except Conflict as error:
        if error.type != BLOBS_MISSING:
            raise
    for missing in await missing_of(client, blobs):
        watcher.begin("Sending", missing.size_bytes)
        await upload(client, missing, watcher.advance)
    return await _submit_once(client, submission, key)


async def _submit_once(client: Client, submission: dict[str, object], key: str) -> Job:
    """Submit; asked again with the same key after a lost answer, the Server returns the same job."""
    waits = pauses()
    for _ in range(MOST_TRIES - 1):
        try:
            return await client.submit(submission, key)
        except Unavailable:
            await asyncio.sleep(next(waits))
    return await client.submit(submission, key)


_WRITTEN = {BLENDFILE: "FILE", FRAMES: "-f", OUTPUT: "-o"}
