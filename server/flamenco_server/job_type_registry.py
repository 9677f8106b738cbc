"""Which job types there are: the modules of ``job_types/``, and a studio's own, read again when they change."""

import asyncio
import hashlib
import types
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from flamenco_core.errors import BadInput, FlamencoError
from flamenco_server.job_type import JobType

log = structlog.get_logger()

BUILT_IN = Path(__file__).parent / "job_types"
ETAG_LENGTH = 32
"""Hexadecimal digits of the source's SHA-256."""


@dataclass(frozen=True, slots=True)
class LoadedJobType:
    """A job type with the source that it was made of; ``etag`` is the digest of that."""

    type: JobType
    etag: str
    source: str


class UnknownJobType(BadInput):
    """No job type has this name."""

    type = "unknown-job-type"

    def __init__(self, name: str, known: Sequence[str]) -> None:
        message = f"There is no job type {name!r}. Known are: {', '.join(known)}."
        super().__init__(message, {"type": message})


class BrokenJobType(FlamencoError):
    """A source that does not make a job type."""

    type = "broken-job-type"


def load_source(source: str, file_name: str) -> LoadedJobType | None:
    """Make a job type of Python source; None if it is a module without a ``JOB_TYPE``. Raises BrokenJobType."""
    module = types.ModuleType(f"flamenco_job_type_{Path(file_name).stem}")
    module.__file__ = file_name
    try:
        exec(compile(source, file_name, "exec"), module.__dict__)  # noqa: S102 (the farm's own code, not a submission's)
    except Exception as error:
        raise BrokenJobType(f"{file_name} cannot be loaded: {type(error).__name__}: {error}") from error
    job_type = module.__dict__.get("JOB_TYPE")
    if job_type is None:
        return None
    if not isinstance(job_type, JobType):
        raise BrokenJobType(f"{file_name}: JOB_TYPE must be a flamenco_server.job_type.JobType.")
    etag = hashlib.sha256(source.encode()).hexdigest()[:ETAG_LENGTH]
    return LoadedJobType(job_type, etag, source)


class JobTypes:
    """The job types of this farm. A studio's own wins over a built-in one of the same name."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._built_in: Mapping[str, LoadedJobType] | None = None
        self._read: dict[Path, tuple[tuple[int, int], LoadedJobType | None]] = {}

    async def all(self) -> Mapping[str, LoadedJobType]:
        """Return the present job types by name."""
        return await asyncio.to_thread(self._present)

    async def get(self, name: str) -> LoadedJobType:
        """Return one. Raises UnknownJobType, which names those that there are."""
        present = await self.all()
        if name not in present:
            raise UnknownJobType(name, sorted(present))
        return present[name]

    def _present(self) -> Mapping[str, LoadedJobType]:
        if self._built_in is None:
            self._built_in = _by_name(_load(path) for path in sorted(BUILT_IN.glob("*.py")))
        if self._folder is None:
            return self._built_in
        own = _by_name(self._fresh(path) for path in sorted(self._folder.glob("*.py")))
        return {**self._built_in, **own}

    def _fresh(self, path: Path) -> LoadedJobType | None:
        """Load a studio's file, if it changed since; a broken one is logged once and left out until it is mended."""
        stamp = _stamp(path)
        known = self._read.get(path)
        if known is not None and known[0] == stamp:
            return known[1]
        try:
            loaded = _load(path)
        except BrokenJobType as error:
            log.error("job type left out", file=str(path), error=str(error))
            loaded = None
        self._read[path] = (stamp, loaded)
        return loaded


def _stamp(path: Path) -> tuple[int, int]:
    """Return what changes when a file does."""
    try:
        facts = path.stat()
    except OSError:  # gone since the folder was listed: reading it says so
        return (0, 0)
    return (facts.st_mtime_ns, facts.st_size)


def _load(path: Path) -> LoadedJobType | None:
    try:
        source = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BrokenJobType(f"{path.name} cannot be read: {error}") from error
    return load_source(source, path.name)


def _by_name(loaded: Iterable[LoadedJobType | None]) -> Mapping[str, LoadedJobType]:
    return {item.type.name: item for item in loaded if item is not None}
