"""The objects of the Server's API as they arrive: ``--json`` prints them unchanged, tables read a few of their keys."""

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict


class Named(TypedDict):
    """A reference to something, with the name to show for it."""

    id: str
    name: str


class Setting(TypedDict):
    """A setting of a job type."""

    key: str
    type: str
    choices: Sequence[str] | None
    default: Any
    required: bool
    visibility: str
    description: str


class JobType(TypedDict):
    """A job type, with the settings that it asks for."""

    name: str
    label: str
    description: str
    etag: str
    settings: Sequence[Setting]


class Ask(TypedDict):
    """What is asked and not answered yet, and by whom."""

    value: Any
    by: str


class Job(TypedDict):
    """A job; times are RFC 3339. ``refused`` says why the last thing that was asked was not done."""

    id: str
    name: str
    type: str
    status: str
    activity: str
    priority: int
    owner: str
    created_at: str
    started_at: str | None
    finished_at: str | None
    cancel_requested: bool
    manager: Named | None
    task_count: int
    task_counts: Mapping[str, int]
    frames: str | None
    frame_count: int
    frames_done: int
    output: str | None
    settings: Mapping[str, Any]
    metadata: Mapping[str, str]
    requested: NotRequired[Mapping[str, Ask]]
    refused: NotRequired[str]
    deleted_at: NotRequired[str | None]
    project: NotRequired[str]
    tag: NotRequired[str | None]
    start_after: NotRequired[str | None]
    max_workers: NotRequired[int | None]
    needs_jobs: NotRequired[Sequence[Mapping[str, Any]]]
    memory_bytes: NotRequired[int | None]
    gpu: NotRequired[str | None]
    limits: NotRequired[Mapping[str, int]]
    task_runtime_limit_s: NotRequired[float | None]
    task_silence_limit_s: NotRequired[float | None]


class Failure(TypedDict):
    """Why a Worker could not do a task."""

    worker: str
    reason: str


class Task(TypedDict):
    """A task of a job."""

    id: str
    job: str
    index: int
    name: str
    type: str
    status: str
    attempt: int
    activity: str
    frames: str | None
    worker: Named | None
    failed_by: Sequence[Failure]
    requested: NotRequired[Mapping[str, Ask]]
    refused: NotRequired[str]


class Reason(TypedDict):
    """What holds a task back; ``act`` is what would help."""

    code: str
    text: str
    count: NotRequired[int]
    workers: NotRequired[Sequence[str]]
    act: NotRequired[str]


class Answer(TypedDict):
    """Why a task does not run, the first reason that matters first; ``task`` None: no task of the job waits."""

    task: str | None
    reasons: Sequence[Reason]


class Frame(TypedDict):
    """A frame that a job is to render; ``path`` once it was saved."""

    frame: int
    status: str
    path: str | None
    size_bytes: int | None
    seconds: float | None
    worker_name: str | None


class CurrentTask(TypedDict):
    """What a Worker works on."""

    id: str
    name: str
    job: str
    job_name: str


class Program(TypedDict):
    """A program that a Worker found."""

    name: str
    version: str
    path: str


class Worker(TypedDict):
    """A Worker: one slot of a machine."""

    id: str
    name: str
    manager: Named
    status: str
    status_requested: str | None
    approved: bool
    platform: str
    current_task: CurrentTask | None
    last_seen: str | None
    programs: Sequence[Program]
    tags: NotRequired[Sequence[str]]
    lazy: NotRequired[bool]
    schedule: NotRequired[Mapping[str, Any] | None]
    blocked: NotRequired[Sequence[Mapping[str, str]]]
    requested: NotRequired[Mapping[str, Ask]]
    refused: NotRequired[str]


class WorkerState(TypedDict):
    """What a Worker became, when, and why."""

    status: str
    at: str
    why: str


class Tag(TypedDict):
    """A group of Workers that jobs may ask for."""

    name: str
    description: str


class Manager(TypedDict):
    """A Manager, the service of one site."""

    id: str
    name: str
    software: str
    platform: str
    last_seen: str | None
    away: bool


class NewManager(TypedDict):
    """What is told once when a Manager is added."""

    id: str
    name: str
    token: str


class LinkRequest(TypedDict):
    """A Manager that waits until an admin has typed its code."""

    id: str
    name: str
    address: str
    software: str
    platform: str
    key_fingerprint: str
    asked_at: str
    expires_at: str


class FoundLinkRequest(LinkRequest):
    """The one with the code that was typed; ``taken_by`` has the name that it would like."""

    taken_by: Manager | None


class LinkedManager(TypedDict):
    """What a Manager that was linked is called."""

    id: str
    name: str


class SignInLink(TypedDict):
    """A link that signs in one browser, once."""

    url: str
    expires_at: str
