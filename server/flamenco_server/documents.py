"""The public form of our records: the JSON of ``/api/v1``, of the live events, and what the web page is drawn from."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from flamenco_core.wire.manager_api import Rev
from flamenco_core.wire.schema import rfc3339
from flamenco_server.job_type import Setting
from flamenco_server.job_type_registry import LoadedJobType
from flamenco_server.records import Frame, Job, Manager, Tag, Task, Terms, Worker, WorkerState

Document = dict[str, Any]
"""A JSON object."""


def job_document(job: Job) -> Document:
    """Describe a job as lists show it."""
    return {
        "id": job.id,
        "name": job.name,
        "type": job.type,
        "status": str(job.status),
        "activity": job.activity,
        "priority": job.priority,
        "owner": job.owner,
        "created_at": rfc3339(job.created_at),
        "started_at": _moment(job.started_at),
        "finished_at": _moment(job.finished_at),
        "cancel_requested": job.cancel_requested,
        "requested": _requested(job),
        "refused": job.refused,
        "deleted_at": _moment(job.deleted_at),
        "project": job.project,
        "tag": job.tag,
        "start_paused": job.start_paused,
        **_terms(job.terms),
        "manager": {"id": job.manager_id, "name": job.manager_name} if job.manager_id else None,
        "task_count": job.task_count,
        "task_counts": dict(job.counts or {}),
        "steps_completed": job.steps_completed,
        "steps_total": job.steps_total,
        "frames": job.frames,
        "frame_count": job.frame_count,
        "frames_done": job.frames_done,
        "output": job.output,
        "newest_frame": _newest_frame(job),
        "settings": dict(job.settings),
        "metadata": dict(job.metadata),
        "rev": _rev(job.rev),
    }


def job_detail(job: Job) -> Document:
    """Describe a job with its files."""
    files = [{"path": file.path, "sha256": file.sha256, "size_bytes": file.size_bytes} for file in job.files]
    return {**job_document(job), "files": files}


def task_document(task: Task) -> Document:
    """Describe a task as lists show it."""
    return {
        "id": task.id,
        "job": task.job,
        "index": task.index,
        "name": task.name,
        "type": task.type,
        "status": str(task.status),
        "priority": task.priority,
        "attempt": task.attempt,
        "activity": task.activity,
        "steps_completed": task.steps_completed,
        "steps_total": task.steps_total,
        "frames": task.frames,
        "depends_on": list(task.depends_on),
        "worker": {"id": task.worker, "name": task.worker_name} if task.worker else None,
        "failed_by": [{"worker": entry.worker, "reason": entry.reason} for entry in task.failed_by],
        "result": task.result,
        "started_at": _moment(task.started_at),
        "finished_at": _moment(task.finished_at),
        "requested": _requested(task),
        "refused": task.refused,
        "rev": _rev(task.rev),
    }


def task_detail(task: Task) -> Document:
    """Describe a task with its commands."""
    commands = [
        {"name": command.name, "parameters": command.parameters, "total_step_count": command.total_step_count}
        for command in task.commands
    ]
    return {**task_document(task), "commands": commands}


def frame_document(frame: Frame) -> Document:
    """Describe a frame."""
    return {
        "frame": frame.frame,
        "layer": frame.layer,
        "status": str(frame.status),
        "task": frame.task,
        "path": frame.path,
        "size_bytes": frame.size_bytes,
        "sha256": frame.sha256,
        "width": frame.width,
        "height": frame.height,
        "seconds": frame.seconds,
        "worker_name": frame.worker_name,
        "thumbnail": thumbnail_path(frame.job, frame.frame) if frame.has_thumbnail else None,
    }


def worker_document(worker: Worker) -> Document:
    """Describe a Worker."""
    return {
        "id": worker.id,
        "name": worker.name,
        "manager": {"id": worker.manager_id, "name": worker.manager_name},
        "status": str(worker.status),
        "status_requested": str(worker.status_requested) if worker.status_requested else None,
        "approved": worker.approved,
        "platform": worker.platform,
        "software": worker.software,
        "address": worker.address,
        "task_types": list(worker.task_types),
        "current_task": asdict(worker.current_task) if worker.current_task else None,
        "last_seen": _moment(worker.last_seen),
        "hardware": asdict(worker.hardware) if worker.hardware else None,
        "programs": [asdict(program) for program in worker.programs],
        "node": worker.node,
        "slot": worker.slot,
        "tags": list(worker.tags),
        "lazy": worker.lazy,
        "schedule": asdict(worker.schedule) if worker.schedule else None,
        "can_restart": worker.can_restart,
        "blocked": [asdict(block) for block in worker.blocked],
        "requested": _requested(worker),
        "refused": worker.refused,
    }


def state_document(state: WorkerState) -> Document:
    """Describe what a Worker became."""
    return {"status": str(state.status), "at": rfc3339(state.at), "why": state.why}


def tag_document(tag: Tag) -> Document:
    """Describe a tag."""
    return {"name": tag.name, "description": tag.description}


def manager_document(manager: Manager, now: datetime) -> Document:
    """Describe a Manager; whether it is away depends on the present."""
    return {
        "id": manager.id,
        "name": manager.name,
        "software": manager.software,
        "platform": manager.platform,
        "created_at": rfc3339(manager.created_at),
        "last_seen": _moment(manager.last_seen),
        "away": manager.is_away(now),
    }


def job_type_document(loaded: LoadedJobType) -> Document:
    """Describe a job type, for whoever draws a form of its settings."""
    return {
        "name": loaded.type.name,
        "label": loaded.type.label,
        "description": loaded.type.description,
        "etag": loaded.etag,
        "settings": [_setting(setting) for setting in loaded.type.settings],
    }


def thumbnail_path(job_id: str, frame: int) -> str:
    """Return the URL path of a frame's thumbnail."""
    return f"/api/v1/jobs/{job_id}/frames/{frame}/thumbnail"


def _setting(setting: Setting) -> Document:
    return {
        "key": setting.key,
        "type": setting.type,
        "subtype": setting.subtype,
        "choices": list(setting.choices) if setting.choices is not None else None,
        "propargs": dict(setting.propargs),
        "default": setting.default,
        "eval": setting.eval,
        "eval_info": asdict(setting.eval_info) if setting.eval_info else None,
        "visibility": setting.visibility,
        "required": setting.required,
        "editable": setting.editable,
        "description": setting.description,
        "label": setting.label,
    }


def _newest_frame(job: Job) -> Mapping[str, object] | None:
    if job.newest_frame is None:
        return None
    return {"frame": job.newest_frame, "thumbnail": thumbnail_path(job.id, job.newest_frame)}


def _terms(terms: Terms) -> Document:
    return {
        "start_after": _moment(terms.start_after),
        "max_workers": terms.max_workers,
        "needs_jobs": [asdict(needed) for needed in terms.needs_jobs],
        "memory_bytes": terms.memory_bytes,
        "gpu": terms.gpu,
        "limits": dict(terms.limits or {}),
        "task_runtime_limit_s": terms.task_runtime_limit_s,
        "task_silence_limit_s": terms.task_silence_limit_s,
    }


def _requested(thing: Job | Task | Worker) -> Document:
    """Say what is asked and not answered, and by whom."""
    return {about: {"value": asked.value, "by": asked.by} for about, asked in thing.asks.items()}


def _rev(rev: Rev | None) -> Sequence[int] | None:
    return None if rev is None else [rev.epoch, rev.commit]


def _moment(moment: datetime | None) -> str | None:
    return rfc3339(moment) if moment else None
