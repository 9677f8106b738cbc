"""A whole farm of real processes, for tests: started, killed and restarted one by one."""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

FLAMENCO = [sys.executable, "-m", "flamenco_cli"]
ENDED = {"completed", "failed", "canceled"}


T = TypeVar("T")


class TooLate(AssertionError):
    """Something did not happen before its deadline."""


def eventually(question: Callable[[], T | None], what: str, *, deadline_s: float = 90) -> T:
    """Ask until the answer is true, and return it; ``what`` is what was waited for."""
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        if answer := question():
            return answer
        time.sleep(0.05)
    raise TooLate(f"not within {deadline_s:g} s: {what}")


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@dataclass
class Api:
    """The Server's public API as a script would call it, or with other credentials the Manager's worker API."""

    url: str
    authorization: str | None = None
    root: str = "/api/v1/"

    def get(self, path: str) -> Any:
        return json.loads(self.send("GET", path)[1])

    def post(self, path: str, document: object) -> Any:
        return json.loads(self.send("POST", path, json.dumps(document).encode())[1] or b"null")

    def send(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Make one call; an error answer is returned, not raised. Connection errors are raised."""
        request = urllib.request.Request(f"{self.url}{self.root}{path}", data=body, method=method)
        request.add_header("Content-Type", "application/json")
        if self.authorization:
            request.add_header("Authorization", self.authorization)
        for name, value in (headers or {}).items():
            request.add_header(name, value)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()


@dataclass
class Farm:
    """Server, Manager and Worker as processes of their own, below one folder."""

    folder: Path
    blender: str
    slots: int = 1
    server_port: int = field(default_factory=free_port)
    manager_port: int = field(default_factory=free_port)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def manager_url(self) -> str:
        return f"http://127.0.0.1:{self.manager_port}"

    @property
    def api(self) -> Api:
        return Api(self.url, f"Bearer {self.connection['token']}")

    @property
    def worker_api(self) -> Api:
        """The Manager's API with the credentials of this farm's first slot."""
        identity = json.loads(next((self.folder / "worker").rglob("*.json")).read_text())
        credentials = base64.b64encode(f"{identity['uuid']}:{identity['secret']}".encode()).decode()
        return Api(self.manager_url, f"Basic {credentials}", root="/api/v3/worker/")

    @property
    def connection(self) -> dict[str, str]:
        found: dict[str, str] = json.loads((self.folder / "server" / "connection.json").read_text())
        return found

    @property
    def environment(self) -> dict[str, str]:
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("FLAMENCO_")},
            "FLAMENCO_CONFIG_DIR": str(self.folder / "config"),
            "FLAMENCO_BLENDER": self.blender,
            "NO_COLOR": "1",
        }

    def start(self) -> None:
        """Start all three and wait until the slots are awake."""
        self.start_server()
        added = self.api.post("managers", {"name": "site"})
        self.start_manager(token=added["token"])
        self.start_worker()

    def start_server(self) -> None:
        self._run("server", ["--data", str(self.folder / "server"), "--listen", f"127.0.0.1:{self.server_port}"])
        eventually(lambda: self._answers(self.url), "the Server answers")

    def start_manager(self, token: str | None = None) -> None:
        arguments = ["--server", self.url, "--data", str(self.folder / "manager")]
        arguments += ["--listen", f"127.0.0.1:{self.manager_port}"]
        self._run("manager", arguments, {"FLAMENCO_MANAGER_TOKEN": token} if token else {})
        eventually(lambda: self._answers(self.manager_url), "the Manager answers")

    def start_worker(self) -> None:
        arguments = ["--manager", self.manager_url, "--data", str(self.folder / "worker"), "--slots", str(self.slots)]
        self._run("worker", arguments)
        eventually(self._workers_are_awake, "the Workers are awake")

    def kill(self, name: str) -> None:
        """``kill -9`` one of the processes."""
        process = self.processes.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def stop(self) -> None:
        """Stop everything as Ctrl-C does; whoever does not stop is killed, and that is a failure."""
        stubborn = []
        for name in ("worker", "manager", "server"):
            if process := self.processes.pop(name, None):
                process.terminate()
                try:
                    process.wait(15)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
                    stubborn.append(name)
        assert not stubborn, f"did not stop on SIGTERM: {stubborn}"

    def flamenco(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the ``flamenco`` command against this farm."""
        done = subprocess.run(
            [*FLAMENCO, *arguments],
            env={**self.environment, "FLAMENCO_URL": self.url, "FLAMENCO_TOKEN": self.connection["token"]},
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert not check or done.returncode == 0, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return done

    def submit(self, blend: Path, frames: str, output: Path, **settings: object) -> str:
        """Submit an animation through the command line; returns the job's id."""
        sets = [f"--set={key}={value}" for key, value in settings.items()]
        done = self.flamenco("submit", str(blend), "-f", frames, "-o", str(output), "--json", *sets)
        job_id: str = json.loads(done.stdout)["id"]
        return job_id

    def job(self, job_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.api.get(f"jobs/{job_id}")
        return found

    def ended(self, job_id: str, *, deadline_s: float = 120) -> dict[str, Any]:
        """Wait until the job has ended, and return it."""

        def question() -> dict[str, Any] | None:
            job = self.job(job_id)
            return job if job["status"] in ENDED else None

        return eventually(question, f"job {job_id} ends", deadline_s=deadline_s)

    def renders_a_frame(self) -> int:
        """Wait until a Blender of this farm is at work on a frame; returns its process id."""
        return eventually(lambda: next(iter(self.blenders(rendering=True)), None), "Blender renders")

    def blenders(self, *, rendering: bool = False) -> list[int]:
        """Return the process ids of the Blenders that render for this farm (their command line names its folder)."""
        return [
            pid
            for pid, command in processes()
            if str(self.folder) in command and "--render-frame" in command and (not rendering or cpu_seconds(pid) > 1.5)
        ]

    def _run(self, name: str, arguments: list[str], environment: Mapping[str, str] | None = None) -> None:
        logs = self.folder / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        with (logs / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [*FLAMENCO, name, *arguments],
                env={**self.environment, **(environment or {})},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _answers(self, url: str) -> bool:
        try:
            with urllib.request.urlopen(f"{url}/healthz", timeout=5) as response:
                return bool(response.status == 200)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    def _workers_are_awake(self) -> bool:
        workers = self.api.get("workers")["workers"]
        return sum(worker["status"] == "awake" for worker in workers) >= self.slots


def processes() -> Iterator[tuple[int, str]]:
    """Yield process id and command line of every process that lives."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue  # it ended while we looked
            if command:
                yield int(entry.name), command


def cpu_seconds(pid: int) -> float:
    """Return the processor time of a process; 0 when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def is_alive(pid: int) -> bool:
    """Tell whether a process still runs (a zombie does not)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@contextmanager
def running(folder: Path, blender: str, slots: int = 1) -> Iterator[Farm]:
    """Run a farm while the context lasts; its logs are printed when the test fails."""
    farm = Farm(folder, blender, slots)
    try:
        farm.start()
        yield farm
        farm.stop()
    except BaseException:
        for log in sorted((folder / "logs").glob("*.log")):
            print(f"==== {log.name}\n{log.read_text(errors='replace')[-6000:]}")
        raise
    finally:
        for name in list(farm.processes):
            farm.kill(name)
