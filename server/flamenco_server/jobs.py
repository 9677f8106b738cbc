"""Submitting jobs."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from flamenco_core.errors import Conflict, Outdated
from flamenco_core.identifiers import new_id
from flamenco_core.statuses import JobStatus
from flamenco_core.wire.manager_api import JobFile
from flamenco_server.accounts import Caller
from flamenco_server.blobs import BlobStore
from flamenco_server.events import Change, EventBus
from flamenco_server.job_settings import check_settings
from flamenco_server.job_terms import FarmFacts, KnownJobs, check_terms
from flamenco_server.job_type_registry import JobTypes, LoadedJobType
from flamenco_server.manifest import check_blend_file, check_manifest, check_uploaded
from flamenco_server.records import NO_TERMS, Job, Terms

COMPILING = "Compiling"
"""What a job does until its tasks are stored."""


@dataclass(frozen=True, slots=True)
class Submission:
    """What somebody wants rendered. ``type_etag``: what the job type was when the settings were chosen, None: any."""

    name: str
    type: str
    type_etag: str | None = None
    priority: int = 50
    settings: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    files: Sequence[JobFile] = ()
    project: str = ""
    tag: str | None = None
    start_paused: bool = False
    terms: Terms = NO_TERMS


@dataclass(frozen=True, slots=True)
class SubmissionKey:
    """What makes sending again harmless: the client's key, and the digest of what it sent with that key."""

    key: str
    body_sha256: str

    @classmethod
    def of(cls, key: str, body: bytes) -> "SubmissionKey":
        """Make it of the header and the body of a request."""
        return cls(key, hashlib.sha256(body).hexdigest())


@dataclass(frozen=True, slots=True)
class Submitted:
    """A job that is stored. ``is_replay``: it was already, by the same submission."""

    job: Job
    is_replay: bool = False


class JobTypeChanged(Outdated):
    """The settings were chosen for another version of the job type."""

    type = "job-type-changed"

    def __init__(self, job_type: str) -> None:
        super().__init__(f"Job type {job_type} has changed: refresh it, then submit again.")


class IdempotencyKeyReused(Conflict):
    """The key of another submission."""

    type = "idempotency-key-reused"

    def __init__(self) -> None:
        super().__init__("This Idempotency-Key came with another submission before: make up a new one for a new job.")


class JobStore(Protocol):
    """Jobs, on disk."""

    async def add_job(self, job: Job, source: LoadedJobType, key: SubmissionKey | None) -> Submitted:
        """Store a job, the source of its type and its key in one step; or return the one that has this key.

        Raises IdempotencyKeyReused. The number of ``job`` is chosen by the store.
        """

    async def submitted_with(self, owner: str, key: SubmissionKey) -> Job | None:
        """Return the job that has this key, None if there is none. Raises IdempotencyKeyReused."""


class Space(Protocol):
    """How much room there is for new jobs."""

    def check(self) -> None:
        """Refuse what would take up space. Raises NoSpace."""


@dataclass(frozen=True, slots=True)
class Submitting:
    """What submitting needs. ``compile_soon`` is told of each new job."""

    store: JobStore
    facts: FarmFacts
    known_jobs: KnownJobs
    job_types: JobTypes
    blobs: BlobStore
    bus: EventBus
    compile_soon: Callable[[str], None]
    space: Space


async def submit_job(
    desk: Submitting, wanted: Submission, key: SubmissionKey | None, caller: Caller, *, now: datetime
) -> Submitted:
    """Check a submission, store it, and have it compiled. Nothing is stored of one that is refused.

    Raises BadInput that names each field, JobTypeChanged, BadTerms, BlobsMissing, IdempotencyKeyReused, NoSpace.
    """
    if key is not None and (known := await desk.store.submitted_with(caller.name, key)):
        return Submitted(known, is_replay=True)
    desk.space.check()
    loaded = await desk.job_types.get(wanted.type)
    if wanted.type_etag not in (None, loaded.etag):
        raise JobTypeChanged(wanted.type)
    check_manifest(wanted.files)
    settings = check_settings(loaded.type, wanted.settings)
    await check_terms(desk.facts, desk.known_jobs, wanted.tag, wanted.terms)
    await check_uploaded(desk.blobs, wanted.files)
    if loaded.type.blend_file is not None:
        await check_blend_file(desk.blobs, loaded.type.blend_file, settings, wanted.files)
    submitted = await desk.store.add_job(_new_job(wanted, loaded, settings, caller, now), loaded, key)
    if not submitted.is_replay:
        desk.compile_soon(submitted.job.id)
        desk.bus.publish([Change("job", submitted.job.id)])
    return submitted


def _new_job(
    wanted: Submission, loaded: LoadedJobType, settings: Mapping[str, Any], caller: Caller, now: datetime
) -> Job:
    outline = loaded.type.outline(settings)
    return Job(
        number=0,
        id=new_id(),
        name=wanted.name,
        type=loaded.type.name,
        type_etag=loaded.etag,
        status=JobStatus.UNDER_CONSTRUCTION,
        activity=COMPILING,
        priority=wanted.priority,
        owner=caller.name,
        created_at=now,
        settings=settings,
        metadata=wanted.metadata,
        files=wanted.files,
        project=wanted.project,
        tag=wanted.tag,
        start_paused=wanted.start_paused,
        terms=wanted.terms,
        frames=str(outline.frames) if outline.frames else None,
        frame_count=len(outline.frames) if outline.frames else 0,
        output=outline.output,
    )
