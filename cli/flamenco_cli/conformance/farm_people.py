"""People on the Flamenco Server that is judged, for what a Manager cannot do itself."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flamenco_cli.client import Client
from flamenco_cli.conformance.guest_manager import SubmittedJob
from flamenco_core.errors import Conflict
from flamenco_core.identifiers import new_id

BLEND = b"BLENDER-v405" + b"conformance " * 20
"""As much of a Blender file as a Server looks at."""


@dataclass
class FarmPeople:
    """Whoever's token the client carries."""

    client: Client
    linked: list[str] = field(default_factory=list)
    """Names of Managers that were linked, and stay behind."""

    async def submit(self) -> SubmittedJob:
        """Submit a job of three frames."""
        contents = BLEND + new_id().encode()
        blob = hashlib.sha256(contents).hexdigest()
        await self.client.call("PUT", f"blobs/{blob}", data=contents)
        settings = {"frames": "1-3", "blendfile": "scene.blend", "render_output_path": "/conformance", "chunk_size": 1}
        submission = {
            "name": f"conformance {new_id()[:8]}",
            "type": "simple-blender-render",
            "settings": settings,
            "files": [{"path": "scene.blend", "sha256": blob, "size_bytes": len(contents)}],
            "priority": 100,
        }
        job = await self.client.submit(submission, new_id())
        return SubmittedJob(job["id"], blob, contents)

    async def job(self, job_id: str) -> Mapping[str, Any]:
        """Return a job as people see it."""
        return await self.client.job(job_id)

    async def log(self, task_id: str, attempt: int) -> bytes:
        """Return the log of an attempt as people see it."""
        return (await self.client.log_behind(task_id, attempt, 0))[0]

    async def cancel(self, job_id: str) -> None:
        """Ask for a job to be cancelled, if it has not ended."""
        try:
            await self.client.ask_job(job_id, "cancel")
        except Conflict:
            return

    async def confirm_link(self, request_id: str, code: str) -> str:
        """Confirm a Manager's code, as an admin; returns its id."""
        manager = await self.client.confirm_link(request_id, code)
        self.linked.append(manager["name"])
        return manager["id"]
