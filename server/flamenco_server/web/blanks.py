"""Empty things: what a row is rendered with once, for scripts to clone and fill when something new appears."""

from flamenco_server.web.words import Document

JOB: Document = {
    "id": "",
    "name": "",
    "type": "",
    "status": "under-construction",
    "activity": "",
    "priority": 0,
    "owner": "",
    "created_at": None,
    "started_at": None,
    "finished_at": None,
    "cancel_requested": False,
    "manager": None,
    "task_count": 0,
    "task_counts": {},
    "steps_completed": 0,
    "steps_total": 0,
    "frames": None,
    "frame_count": 0,
    "frames_done": 0,
    "newest_frame": None,
}

TASK: Document = {
    "id": "",
    "index": 0,
    "name": "",
    "status": "queued",
    "attempt": 0,
    "activity": "",
    "frames": None,
    "worker": None,
    "failed_by": [],
    "started_at": None,
    "finished_at": None,
}

FRAME: Document = {"frame": 0, "layer": "", "status": "queued", "seconds": None, "thumbnail": None}

WORKER: Document = {
    "id": "",
    "name": "",
    "manager": {"name": ""},
    "status": "starting",
    "status_requested": None,
    "approved": True,
    "platform": "",
    "software": "",
    "address": "",
    "current_task": None,
    "last_seen": None,
    "hardware": None,
    "programs": [],
}

MANAGER: Document = {"id": "", "name": "", "away": False, "platform": "", "software": "", "last_seen": None}
