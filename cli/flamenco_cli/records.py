"""The objects of the Server's API as they arrive: ``--json`` prints them unchanged, tables read a few of their keys."""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict


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


class Job(TypedDict):
    """A job; times are RFC 3339."""

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


class SignInLink(TypedDict):
    """A link that signs in one browser, once."""

    url: str
    expires_at: str
