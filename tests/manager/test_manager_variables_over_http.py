"""Variables from settings to Workers: what the site says, what the Server says, what a submitter's paths become."""

from pathlib import Path
from typing import Any

from fake_server import FakeServer
from manager_world import HttpWorker, World, a_task, manager_world

from flamenco_manager.settings import Settings
from flamenco_manager.variables import read_variables
from flamenco_runtime.settings import load_settings


def storage(**values: str) -> dict[str, Any]:
    described = [{"platform": platform, "value": value} for platform, value in values.items()]
    return {"storage": {"is_twoway": True, "values": described}}


OF_SITE = storage(linux="/mnt/storage", windows="S:\\")


async def message_for(worker: HttpWorker) -> object:
    """Take a task, and return what its Worker is to echo."""
    task = await worker.task()
    await worker.update(task, taskStatus="active", seq=1)
    await worker.update(task, taskStatus="completed", seq=2)
    return task["commands"][0]["parameters"]["message"]


def an_echo(message: object) -> dict[str, Any]:
    return a_task(commands=[{"name": "echo", "parameters": {"message": message}, "total_step_count": 0}])


async def sent(world: World, *messages: object, **changes: Any) -> None:
    job = await world.server.submit([an_echo(message) for message in messages], **changes)
    await world.server.until_job(job, "queued")


async def test_a_job_from_windows_runs_on_linux_and_on_windows(server: FakeServer, tmp_path: Path) -> None:
    async with manager_world(tmp_path, server, variables=read_variables(OF_SITE)) as world:
        linux, windows = await world.worker("a"), await world.worker("b", platform="windows")
        path = "s:\\show\\shot 1\\a.blend"
        await sent(world, path, path, "S:other", "/not\\mine", submitter_platform="windows")
        assert await message_for(linux) == "/mnt/storage/show/shot 1/a.blend"
        assert await message_for(windows) == "S:\\show\\shot 1\\a.blend"
        assert [await message_for(linux), await message_for(windows)] == ["S:other", "/not\\mine"]


async def test_paths_of_a_submitter_of_unknown_platform_stay(server: FakeServer, tmp_path: Path) -> None:
    async with manager_world(tmp_path, server, variables=read_variables(OF_SITE)) as world:
        worker = await world.worker()
        await sent(world, "S:\\show\\a.blend")
        assert await message_for(worker) == "S:\\show\\a.blend"


async def test_the_jobs_folder_is_where_workers_of_another_platform_see_it(server: FakeServer, tmp_path: Path) -> None:
    seen = read_variables(storage(linux=str(tmp_path), windows="F:\\flamenco"))
    async with manager_world(tmp_path, server, variables=seen) as world:
        linux, windows = await world.worker("a"), await world.worker("b", platform="windows")
        await sent(world, "{jobs}/ID/a.blend", "{jobs}/ID/a.blend")
        assert await message_for(linux) == f"{tmp_path}/jobs/ID/a.blend"
        assert await message_for(windows) == "F:\\flamenco\\jobs\\ID\\a.blend"


async def test_the_servers_variables_hold_from_the_next_task_on_and_after_a_restart(
    server: FakeServer, tmp_path: Path
) -> None:
    settings = {"variables": read_variables(OF_SITE)}
    async with manager_world(tmp_path, server, **settings) as world:
        worker = await world.worker()
        await sent(world, "{storage}/a", "{storage}/b", "{storage}/c")
        assert await message_for(worker) == "/mnt/storage/a"
        await server.asked("settings", variables=storage(linux="/net/storage"))
        assert await message_for(worker) == "/net/storage/b"
    url, server.url = server.url, "http://127.0.0.1:9"  # the Server is away
    async with manager_world(tmp_path, server, **settings) as world:
        worker.world = world
        assert await message_for(worker) == "/net/storage/c"
    server.url = url
    async with manager_world(tmp_path, server, **settings) as world:  # whose hello says nothing of variables now
        worker.world = world
        await sent(world, "{storage}/d")
        assert await message_for(worker) == "/mnt/storage/d"


async def test_variables_that_do_not_fit_do_not_cut_the_link(server: FakeServer, tmp_path: Path) -> None:
    grows = {"big": {"values": [{"value": "{x}" * 1000}]}, "x": {"values": [{"value": "x" * 1000}]}}
    server.settings = {"variables": grows}
    async with manager_world(tmp_path, server, variables=read_variables(OF_SITE)) as world:
        worker = await world.worker()
        await sent(world, "{storage}/{x}")
        assert await message_for(worker) == "/mnt/storage/{x}"
        assert (await server.asked("settings", variables=grows))["result"] == "done"
        await sent(world, "{storage}/{x}")
        assert await message_for(worker) == "/mnt/storage/{x}"


def test_variables_stand_in_the_settings_file(tmp_path: Path) -> None:
    file = tmp_path / "manager.toml"
    file.write_text(
        "[variables.storage]\n"
        "is_twoway = true\n"
        "values = [\n"
        "    {platform = 'linux', value = '/mnt/storage'},\n"
        "    {platform = 'windows', value = 'S:\\'},\n"
        "]\n"
    )
    settings = load_settings(Settings, prefix="FLAMENCO_MANAGER_", environ={}, file=file)
    assert settings.variables == read_variables(OF_SITE)
