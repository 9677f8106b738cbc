"""What a Manager tells anybody (worker-api.md, section 7), and that none of it changes anything."""

import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fake_server import FakeServer
from manager_world import World, a_task, manager_world

from flamenco_core import VERSION
from flamenco_core.statuses import JobStatus, WorkerStatus
from flamenco_core.wire.discovery import SSDP_DEVICE, SSDP_TARGET
from flamenco_manager.farm import Farm
from flamenco_manager.farm_status import farm_status
from flamenco_manager.http.reading import device_description
from flamenco_manager.model import Job, Policy, Worker
from flamenco_manager.variables import read_variables

VARIABLES = {
    "blender": {"values": [{"value": "/opt/blender"}, {"value": "D:\\blender.exe", "platform": "windows"}]},
    "shots": {"is_twoway": True, "values": [{"value": "/shots"}, {"value": "/home/shots", "audience": "users"}]},
}


@pytest.fixture
async def world(server: FakeServer, tmp_path: Path) -> AsyncIterator[World]:
    async with manager_world(tmp_path, server, name="site <1>", variables=read_variables(VARIABLES)) as running:
        yield running


async def test_version_is_all_texts(world: World) -> None:
    version = (await world.call("GET", "/api/v3/version")).json()
    assert version == {"version": VERSION, "shortversion": VERSION, "name": "site <1>", "git": ""}


async def test_configuration_tells_where_jobs_are_kept(world: World, tmp_path: Path) -> None:
    configuration = (await world.call("GET", "/api/v3/configuration")).json()
    assert configuration == {"storageLocation": str(tmp_path / "jobs"), "shamanEnabled": False, "isFirstRun": False}


async def test_variables_are_listed_for_an_audience_and_a_platform(world: World) -> None:
    async def listed(audience: str, platform: str) -> dict[str, dict[str, object]]:
        reply = await world.call("GET", f"/api/v3/configuration/variables/{audience}/{platform}")
        assert reply.status == 200
        return reply.json()  # type: ignore[no-any-return]

    workers, users = await listed("workers", "linux"), await listed("users", "linux")
    assert workers["blender"] == {"value": "/opt/blender", "is_twoway": False}
    assert workers["shots"] == {"value": "/shots", "is_twoway": True}
    assert users["shots"] == {"value": "/home/shots", "is_twoway": True}
    assert (await listed("workers", "windows"))["blender"]["value"] == "D:\\blender.exe"
    assert await listed("workers", "amiga") == {}


async def test_the_shared_storage_is_told_for_an_audience_and_a_platform(world: World, tmp_path: Path) -> None:
    for audience, platform in (("workers", "linux"), ("users", "windows"), ("users", "amiga")):
        reply = await world.call("GET", f"/api/v3/configuration/shared-storage/{audience}/{platform}")
        assert reply.json() == {
            "location": str(tmp_path / "jobs"),
            "audience": audience,
            "platform": platform,
            "shamanEnabled": False,
        }


@pytest.mark.parametrize("what", ["variables", "shared-storage"])
async def test_an_unknown_audience_is_refused_by_name(world: World, what: str) -> None:
    reply = await world.call("GET", f"/api/v3/configuration/{what}/artists/linux")
    assert (reply.status, reply.json()["code"]) == (400, 400)
    assert "audience" in reply.json()["message"]


async def test_the_farm_is_inoperative_then_idle_then_waiting_then_active(world: World) -> None:
    async def status() -> str:
        return str((await world.call("GET", "/api/v3/status")).json()["status"])

    assert await status() == "inoperative"
    worker = await world.worker()
    assert await status() == "idle"
    job = await world.server.submit([a_task()])
    await world.server.until_job(job, "queued")
    assert await status() == "waiting"
    task = await worker.task()
    assert await status() == "active"
    await worker.update(task, taskStatus="completed", seq=1)
    assert await status() == "idle"
    await worker.say_status("asleep")
    assert await status() == "asleep"
    await worker.sign_off()
    assert await status() == "inoperative"


@pytest.mark.parametrize(
    ("workers", "jobs", "expected"),
    [
        ([], ["queued"], "inoperative"),
        (["offline", "error", None], ["active"], "inoperative"),
        (["offline", "awake"], ["active"], "active"),
        (["asleep"], ["active"], "waiting"),
        (["awake"], ["queued"], "waiting"),
        (["starting"], ["queued"], "waiting"),
        (["awake", "asleep"], ["paused"], "idle"),
        (["asleep", "offline"], ["under-construction"], "asleep"),
        (["starting"], [], "unknown"),
    ],
)
def test_the_status_of_a_farm(workers: list[str | None], jobs: list[str], expected: str) -> None:
    farm = Farm(Policy())
    for number, status in enumerate(workers):
        worker = Worker(str(number), b"", "w", "linux", "", ())
        worker.status = WorkerStatus(status) if status else None
        farm.workers[worker.id] = worker
    for number, status in enumerate(jobs):
        farm.jobs[str(number)] = Job(id=str(number), key=number, status=JobStatus(status))
    assert farm_status(farm) == expected


async def test_the_device_description_is_one_of_upnp(world: World) -> None:
    reply = await world.call("GET", "/upnp/description.xml")
    assert (reply.status, reply.headers["Content-Type"]) == (200, "text/xml; charset=utf-8")
    space = "{urn:schemas-upnp-org:device-1-0}"
    root = ET.fromstring(reply.body)
    assert root.tag == f"{space}root"
    assert [root.findtext(f"{space}specVersion/{space}{part}") for part in ("major", "minor")] == ["1", "0"]
    device = root.find(f"{space}device")
    assert device is not None
    facts = {child.tag.removeprefix(space): child.text for child in device}
    assert facts["deviceType"] == SSDP_TARGET == "urn:flamenco:manager:0"
    assert facts["UDN"] == SSDP_DEVICE == "uuid:aa80bc5f-d0af-46b8-8630-23bd7e80ec4d"
    assert (facts["friendlyName"], facts["presentationURL"]) == ("site <1>", "/")
    assert facts.keys() >= {"manufacturer", "modelName"}


def test_any_name_makes_a_description_that_is_xml() -> None:
    assert ET.fromstring(device_description('größe & "co" <b>')) is not None


READING = [
    "/",
    "/healthz",
    "/readyz",
    "/metrics",
    "/upnp/description.xml",
    "/api/v3/version",
    "/api/v3/status",
    "/api/v3/configuration",
    "/api/v3/configuration/variables/users/linux",
    "/api/v3/configuration/shared-storage/users/linux",
]


@pytest.mark.parametrize("path", READING)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_people_can_only_read(world: World, path: str, method: str) -> None:
    assert (await world.call(method, path, json={"isFirstRun": True})).status == 405
    assert (await world.call("HEAD", path)).status == 200
