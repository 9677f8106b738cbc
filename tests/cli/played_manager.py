"""A Manager that is played by a thread: it has what a test gives it, and answers orders as the test says."""

import hashlib
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cli_world import RealServer

from end_to_end.farm import Api, eventually
from flamenco_core.identifiers import new_id, task_id
from flamenco_core.wire.manager_api import MANAGER_FEED, NO_DIGEST, SERVER_FEED, OrderSchema, order_digest

Order = Mapping[str, Any]
Answer = Mapping[str, Any]
"""What goes into the report about an order: ``result``, ``why``, ``answer`` of it, and ``jobs``, ``tasks`` …"""


@dataclass
class PlayedManager:
    """Links itself, reports what it is told to, and answers each order by ``answers[kind]``, or simply with done."""

    server: RealServer
    name: str = "site"
    answers: dict[str, Callable[[Order], Answer]] = field(default_factory=dict)
    orders: list[Order] = field(default_factory=list)
    _report: int = 1
    _report_digest: str = NO_DIGEST
    _order: int = 0
    _order_digest: str = NO_DIGEST
    _commits: int = 0

    def __post_init__(self) -> None:
        token = self.server.api.post("managers", {"name": self.name})["token"]
        self._feed = new_id()
        self._api = Api(self.server.url, f"Bearer {token}", "/api/v1/manager/")
        said = {"name": self.name, "software": "played", "platform": "linux", "feed": self._feed}
        reply = json.loads(self._api.send("POST", "hello", json.dumps(said).encode())[1])
        self._feeds = {MANAGER_FEED: self._feed, SERVER_FEED: reply["feed"]}
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._serve)

    def start(self) -> None:
        """Begin to fetch orders."""
        self._thread.start()

    def stop(self) -> None:
        """Fetch no more."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(30)

    def kinds(self) -> Sequence[str]:
        """Return the kinds of the orders that came, but for those that submit jobs and make tags."""
        return [order["kind"] for order in self.orders if order["kind"] not in ("job.submit", "tag.put")]

    def until_ordered(self, kind: str) -> Order:
        """Wait until an order of this kind has come."""
        return eventually(
            lambda: next((order for order in self.orders if order["kind"] == kind), None), kind, deadline_s=20
        )

    def report(self, **content: Any) -> None:
        """Report, and have it acknowledged."""
        with self._lock:
            body = json.dumps({"report": self._report, "previous": self._report_digest, **content}).encode()
            status, reply = self._api.send("POST", "reports", body, self._feeds)
            assert status == 200, reply
            self._report += 1
            self._report_digest = hashlib.sha256(body).hexdigest()

    def rev(self) -> list[int]:
        self._commits += 1
        return [1, self._commits]

    def job(self, job_id: str, status: str = "active", **changes: Any) -> dict[str, Any]:
        """Say something of a job."""
        said = {"id": job_id, "rev": self.rev(), "status": status, "activity": "", "counts": {"queued": 2}}
        return {**said, "steps_completed": 0, "steps_total": 2, **changes}

    def task(self, job_id: str, index: int, status: str, **changes: Any) -> dict[str, Any]:
        """Say something of a task."""
        said = {"id": task_id(job_id, index), "job": job_id, "rev": self.rev(), "status": status, "attempt": 1}
        return {**said, "activity": "", "steps_completed": 0, "steps_total": 1, **changes}

    def worker(self, worker_id: str, name: str, **changes: Any) -> dict[str, Any]:
        """Say something of a Worker."""
        said = {"id": worker_id, "rev": self.rev(), "name": name, "address": "10.0.0.1", "platform": "linux"}
        more = {"software": "4.0", "task_types": ["misc"], "status": "awake", "approved": True, "can_restart": True}
        return {**said, **more, **changes}

    def running_job(self, **counts: int) -> str:
        """Have a job that runs; returns its id."""
        job_id = self.server.submit()
        eventually(lambda: self.server.api.get(f"jobs/{job_id}")["manager"], "the job is issued", deadline_s=20)
        self.report(jobs=[self.job(job_id, counts=counts or {"queued": 2})])
        return job_id

    def put_log(self, task: str, piece: bytes, at: int, *, is_whole: bool = False) -> None:
        """Send a piece of the log of a task's first attempt."""
        end = at + len(piece)
        headers = {**self._feeds, "Content-Range": f"bytes {at}-{end - 1}/{end if is_whole else '*'}"}
        status, reply = self._api.send("PUT", f"tasks/{task}/attempts/1/log", piece, headers)
        assert status == 204, reply

    def _serve(self) -> None:
        while not self._stopped.is_set():
            path = f"orders?after={self._order}&wait=0.2"
            for order in json.loads(self._api.send("GET", path, None, self._feeds)[1])["orders"]:
                self._order = order["order"]
                self._order_digest = order_digest(self._order_digest, OrderSchema().load(order))
                self.orders.append(order)
                said = dict(self.answers.get(order["kind"], lambda _: {})(order))
                if said.pop("silent", False):
                    continue
                result = {"order": order["order"], "result": said.pop("result", "done"), "why": said.pop("why", "")}
                if "answer" in said:
                    result["answer"] = said.pop("answer")
                self.report(orders=[result], **said)
