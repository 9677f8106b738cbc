"""Objects as the Server's API sends them."""

from typing import Any

from flamenco_cli.records import Frame, Job, JobType, Manager, Setting, Task, Worker

JOB_ID = "3f2a91c0-7d2e-4b0a-9a51-0f6f6b7f0a01"
TASK_ID = "90ab17e4-55c1-5f0e-8d2c-1b2c3d4e5f60"
WORKER_ID = "57a84dd8-77ad-49be-a772-b9dbc06bf9ab"
CREATED = "2026-05-04T12:00:00.000Z"


def a_job(**changes: Any) -> Job:
    job = Job(
        id=JOB_ID,
        name="sh010",
        type="simple-blender-render",
        status="active",
        activity="",
        priority=50,
        owner="kim",
        created_at=CREATED,
        started_at=CREATED,
        finished_at=None,
        cancel_requested=False,
        manager={"id": "m", "name": "site"},
        task_count=4,
        task_counts={"active": 1, "queued": 3},
        frames="1-10",
        frame_count=10,
        frames_done=0,
        output="/render/sh010/######",
        settings={"fps": 24.0, "preview_video": True, "scene": None},
        metadata={},
    )
    return Job(**{**job, **changes})


def a_task(**changes: Any) -> Task:
    task = Task(
        id=TASK_ID,
        job=JOB_ID,
        index=0,
        name="render-1-5",
        type="blender",
        status="active",
        attempt=1,
        activity="frame 2",
        frames="1-5",
        worker={"id": WORKER_ID, "name": "node-01"},
        failed_by=[],
    )
    return Task(**{**task, **changes})


def a_frame(**changes: Any) -> Frame:
    frame = Frame(
        frame=1,
        status="completed",
        path="/render/sh010/000001.png",
        size_bytes=412_000,
        seconds=3.26,
        worker_name="node-01",
    )
    return Frame(**{**frame, **changes})


def a_worker(**changes: Any) -> Worker:
    worker = Worker(
        id=WORKER_ID,
        name="node-01",
        manager={"id": "m", "name": "site"},
        status="awake",
        status_requested=None,
        approved=True,
        platform="linux",
        current_task=None,
        last_seen=CREATED,
        programs=[{"name": "blender", "version": "4.5.1", "path": "/opt/blender"}],
    )
    return Worker(**{**worker, **changes})


def a_manager(**changes: Any) -> Manager:
    manager = Manager(id="m", name="site", software="Flamenco 4", platform="linux", last_seen=CREATED, away=False)
    return Manager(**{**manager, **changes})


def a_setting(**changes: Any) -> Setting:
    setting = Setting(
        key="knob",
        type="string",
        choices=None,
        default="x",
        required=False,
        visibility="visible",
        description="A knob.",
    )
    return Setting(**{**setting, **changes})


def a_job_type(*settings: Setting) -> JobType:
    return JobType(name="some-type", label="Some type", description="Does it.", etag="e", settings=settings)
