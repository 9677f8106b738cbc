"""The command line, in this process, and what it talks to."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
from cli_world import Flamenco, Outcome, RealServer, Running, Up, environment, up
from played_manager import PlayedManager

from end_to_end.scenes import make_scene
from flamenco_cli.connection import Connection, connection_in, save_connection
from flamenco_cli.main import run
from what_ran import used


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration folder of the test's own: the user's is never touched."""
    for name in ("FLAMENCO_URL", "FLAMENCO_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FLAMENCO_CONFIG_DIR", str(tmp_path / "config"))
    return tmp_path / "config"


@pytest.fixture
def flamenco(capsys: pytest.CaptureFixture[str]) -> Flamenco:
    """Carry out a command line in this process."""

    def carry_out(*arguments: object) -> Outcome:
        capsys.readouterr()
        status = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return Outcome(int(status), captured.out, captured.err)

    return carry_out


@pytest.fixture(scope="module", autouse=True)
def server_log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Servers of this process write their log to a file: standard output is what the tests look at."""
    with (tmp_path_factory.mktemp("log") / "server.log").open("w") as file:
        structlog.configure(logger_factory=structlog.WriteLoggerFactory(file))
        yield
        structlog.reset_defaults()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    """A Server that the tests of a module share; no Manager is linked to it."""
    server = RealServer(tmp_path_factory.mktemp("server"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def own_server(tmp_path: Path, config: Path) -> Iterator[RealServer]:
    """A Server of the test's own, to which the user is signed in: it may be stopped and started."""
    server = RealServer(tmp_path / "server")
    server.start()
    save_connection(connection_in(server.data), {"FLAMENCO_CONFIG_DIR": str(config)})
    yield server
    server.stop()


@pytest.fixture
def manager(own_server: RealServer) -> Iterator[PlayedManager]:
    """A Manager that is played on the test's own Server; it answers all orders."""
    played = PlayedManager(own_server)
    played.start()
    yield played
    played.stop()


@pytest.fixture
def signed_in(server: RealServer, config: Path) -> Connection:
    """The user's configuration knows the shared Server."""
    connection = connection_in(server.data)
    save_connection(connection, {"FLAMENCO_CONFIG_DIR": str(config)})
    return connection


@pytest.fixture
def background(tmp_path: Path, config: Path) -> Iterator[Callable[..., Running]]:
    """Start ``flamenco`` processes that run beside the test."""
    started: list[Running] = []

    def start(*arguments: str, **more: str) -> Running:
        running = Running(list(arguments), environment(config, **more), tmp_path / f"process-{len(started)}")
        started.append(running)
        return running

    yield start
    for running in started:
        if running.process.poll() is None:
            running.process.kill()
            running.process.wait()


@pytest.fixture(scope="session")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A ``flamenco up`` with two slots and real Blender, shared by all tests; none leaves work behind. A task that
    fails is not tried again: that would wait half a minute."""
    farm = up(tmp_path_factory.mktemp("farm"), "--workers", "2", FLAMENCO_MANAGER_FAILED_ATTEMPTS="1")
    try:
        assert farm.url
        yield farm
    finally:
        farm.process.terminate()
        farm.process.wait(30)
        farm.clean_up()


@pytest.fixture
def on_farm(farm: Up, monkeypatch: pytest.MonkeyPatch) -> Up:
    """The user's configuration is what ``flamenco up`` left there."""
    monkeypatch.setenv("FLAMENCO_CONFIG_DIR", str(farm.config))
    return farm


HEAVY = """
scene.cycles.samples, scene.render.resolution_percentage, light = 50_000, 1000, scene.cycles.samples
bpy.ops.wm.save_as_mainfile(filepath={path!r})
scene.cycles.samples, scene.render.resolution_percentage = light, 100
"""


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six tiny frames for Blender 3.4; beside them ``heavy.blend``, whose frames take for ever."""
    folder = tmp_path_factory.mktemp("scene")
    extra = HEAVY.format(path=str(folder / "heavy.blend"))
    return make_scene(used(shutil.which("blender") or "blender"), folder / "cube.blend", extra=extra)


@pytest.fixture(scope="session")
def heavy_scene(scene: Path) -> Path:
    """A scene whose frames take for ever."""
    return scene.with_name("heavy.blend")


@pytest.fixture
def start_up(tmp_path: Path) -> Iterator[Callable[..., Up]]:
    """Start farms with ``flamenco up``; what is left of them at the end is ended."""
    started: list[Up] = []

    def start(*options: str, **more: str) -> Up:
        started.append(up(tmp_path / "up", *options, **more))
        return started[-1]

    yield start
    for farm in reversed(started):  # two on one folder: the later one is the one that runs
        farm.clean_up()
