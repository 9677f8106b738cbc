"""What the command line's tests stand on: a real Server in a thread, and ``flamenco`` as a process of its own."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from end_to_end.farm import Api, eventually, processes
from flamenco_cli.connection import connection_in
from flamenco_runtime.settings import Address, parse_address
from flamenco_server.app import serve
from flamenco_server.settings import Settings

PROGRAM = [sys.executable, "-m", "flamenco_cli"]
TASKS_DEADLINE_S = 20


@dataclass(frozen=True)
class Outcome:
    """How a command ended, and what it wrote."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, which must be one JSON document and nothing else."""
        return json.loads(self.out)

    @property
    def message(self) -> str:
        """Standard error with its lines joined."""
        return " ".join(self.err.split())


Flamenco = Callable[..., Outcome]
"""Carries out a command line."""


class RealServer:
    """A Server on its data folder, in a thread; it can be stopped, and started again at the same address."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self._listen = Address("127.0.0.1", 0)
        self._ended: list[BaseException] = []

    @property
    def api(self) -> Api:
        connection = connection_in(self.data)
        return Api(connection.url, f"Bearer {connection.token}")

    @property
    def url(self) -> str:
        return self._listen.url

    def start(self) -> None:
        """Start it, and wait until it answers."""
        ready = threading.Event()

        def is_ready(url: str) -> None:
            self._listen = parse_address(url.removeprefix("http://"))
            ready.set()

        async def run() -> None:
            self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
            await serve(Settings(data=self.data, listen=self._listen), stop=self._stop, ready=is_ready)

        self._thread = threading.Thread(target=asyncio.run, args=(run(),))
        self._thread.start()
        assert ready.wait(30), "the Server does not answer"

    def stop(self) -> None:
        """Stop it, and wait until it has."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)
        assert not self._thread.is_alive()

    def submit(self, **settings: object) -> str:
        """Submit a job that only sleeps; returns its id."""
        document = {"name": "nap", "type": "echo-sleep-test", "settings": settings}
        job_id: str = self.api.post("jobs", document)["id"]
        return job_id

    def cancel(self, job_id: str) -> None:
        """Ask to cancel a job."""
        status, answer = self.api.send("POST", f"jobs/{job_id}/cancel")
        assert status < 400, answer

    def compiled(self, job_id: str) -> dict[str, Any]:
        """Wait until the job has its tasks."""

        def question() -> dict[str, Any] | None:
            job: dict[str, Any] = self.api.get(f"jobs/{job_id}")
            return job if job["activity"] == "Waiting for a Manager" else None

        return eventually(question, "the job is compiled", deadline_s=TASKS_DEADLINE_S)


def environment(config: Path, **more: str) -> dict[str, str]:
    """Return an environment in which only the tests' own farm is known."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FLAMENCO_")}
    return {**kept, "FLAMENCO_CONFIG_DIR": str(config), **more}


def flamenco_process(*arguments: object, config: Path, **more: str) -> Outcome:
    """Run ``flamenco`` as a process until it ends."""
    words = [str(argument) for argument in arguments]
    done = subprocess.run(
        [*PROGRAM, *words], env=environment(config, **more), capture_output=True, text=True, timeout=60
    )
    assert "Traceback" not in done.stderr
    return Outcome(done.returncode, done.stdout, done.stderr)


@dataclass
class Running:
    """A ``flamenco`` that runs while a test looks at it. Its output goes to files, so that it never waits for us."""

    arguments: list[str]
    environment: Mapping[str, str]
    folder: Path
    process: subprocess.Popen[bytes] = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._file("out").open("wb") as out, self._file("err").open("wb") as err:
            self.process = subprocess.Popen(
                [*PROGRAM, *self.arguments], env=dict(self.environment), stdout=out, stderr=err, start_new_session=True
            )

    @property
    def out(self) -> str:
        return self._file("out").read_text()

    @property
    def err(self) -> str:
        return self._file("err").read_text()

    def until(self, words: str, *, where: str = "err") -> None:
        """Wait until it has written this."""
        eventually(lambda: words in self._file(where).read_text() or self._check_alive(words), words, deadline_s=60)

    def ended(self) -> Outcome:
        """Wait until it has ended by itself."""
        return Outcome(self.process.wait(60), self.out, self.err)

    def stop(self, number: signal.Signals) -> Outcome:
        """Send it a signal, and wait until it has ended."""
        self.process.send_signal(number)
        return self.ended()

    def _check_alive(self, words: str) -> None:
        assert self.process.poll() is None, f"it ended before it said {words!r}:\n{self.out}\n{self.err}"

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.txt"


@dataclass
class Up(Running):
    """A ``flamenco up``, with its data in ``folder / "farm"``."""

    @property
    def data(self) -> Path:
        return self.folder / "farm"

    @property
    def config(self) -> Path:
        return Path(self.environment["FLAMENCO_CONFIG_DIR"])

    @property
    def url(self) -> str:
        self.until("ready: ", where="out")
        return self.out.strip().removeprefix("ready: ")

    def pid(self, service: str) -> int | None:
        """Return the process id of a service, None while it does not run."""
        return next((pid for pid, command in self.services() if f"flamenco_cli {service} --data" in command), None)

    def services(self) -> Iterator[tuple[int, str]]:
        """Yield the processes that this farm started: their command lines name its folder."""
        for pid, command in processes():
            if pid != self.process.pid and str(self.data) in command:
                yield pid, command

    def until_nothing_runs(self) -> None:
        eventually(lambda: not list(self.services()), "no process of the farm is left", deadline_s=20)

    def clean_up(self) -> None:
        """End whatever a failed test left."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.until_nothing_runs()


def up(folder: Path, *options: str, **more: str) -> Up:
    """Start ``flamenco up`` on free ports."""
    ports = ["--listen", "127.0.0.1:0", "--manager-listen", "127.0.0.1:0"]
    arguments = ["up", "--data", str(folder / "farm"), *ports, *options]
    return Up(arguments, environment(folder / "config", **more), folder)
