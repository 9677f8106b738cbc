"""A lively farm to look at: for screenshots, and for tests that read whole lists."""

from page_farm import Document, FakeFarm, a_done_frame, a_job, a_task, a_worker, ago

LOG = """\
2026-01-12T14:02:07Z Running: /opt/blender-4.5/blender -b -y sh010/anim.blend --render-output … --render-frame 15
Blender 4.5.3 (hash 67807e1800cc built 2025-09-09 01:54:48)
Read blend: "/farm/jobs/sh010/anim.blend"
Warning: File written by newer Blender binary (405.20), expect loss of data!
Fra:15 Mem:182.41M (Peak 182.41M) | Time:00:00.72 | Mem:0.00M, Peak:0.00M | Scene, View Layer | Synchronizing objects
Fra:15 Mem:288.06M (Peak 291.30M) | Time:00:01.20 | Mem:96.1M, Peak:96.1M | Scene, View Layer | Building BVH
Fra:15 Mem:301.77M (Peak 412.02M) | Time:00:12.81 | Remaining:00:31.10 | Mem:110.2M, Peak:110.2M | Sample 128/512
Fra:15 Mem:301.77M (Peak 412.02M) | Time:00:23.50 | Remaining:00:20.41 | Mem:110.2M, Peak:110.2M | Sample 256/512
Saved: '/render/film/sh010/.flamenco/000015.png'
 Time: 00:44.28 (Saving: 00:00.31)
"""


def fill(farm: FakeFarm) -> FakeFarm:
    """Put a farm in the middle of its day."""
    for job in _jobs():
        farm.add(job)
    farm.worker_list = _workers(farm)
    return farm


def _jobs() -> list[Document]:
    """Build jobs in every state, oldest first."""
    cloth = {"frames": "1-250", "frame_count": 250, "task_count": 251, "steps_total": 251}
    dusk = {"frames": "1-120", "frame_count": 120, "task_count": 121, "steps_total": 121}
    echo = {"type": "echo-sleep-test", "frames": None, "frame_count": 0, "task_count": 1000, "steps_total": 1000}
    compiling = {"status": "under-construction", "activity": "Compiling", "task_count": 0, "task_counts": {}}
    crowded = "All suitable Workers render higher priorities"
    return [
        _finished(_job(9, "title_card_v3", "grace", days=1, hours=2)),
        _canceled(_job(8, "sh060_rain_layout", "linus", hours=7)),
        _failed(_job(7, "sh050_crowd_cloth_sim_final_final", "grace", hours=5) | cloth),
        _finished(_job(6, "sh040_turntable", "ada", hours=3)),
        _echoing(_job(5, "farm test", "linus", minutes=40) | echo | {"output": None, "files": [], "priority": 20}),
        _job(4, "sh030_lookdev_dusk", "ada", minutes=21) | dusk | {"task_counts": {"queued": 121}, "activity": crowded},
        _canceling(_job(3, "sh020_water", "grace", minutes=10)),
        _running(_job(2, "sh010_flamenco_dance", "ada", minutes=6) | {"priority": 70}),
        _job(1, "sh070_sunrise", "ada", minutes=1) | compiling | {"steps_total": 0, "manager": None},
    ]


def _job(number: int, name: str, owner: str, **age: float) -> Document:
    return a_job(number, name=name, owner=owner, created_at=ago(**age))


def _canceled(job: Document) -> Document:
    job.update(status="canceled", task_counts={"canceled": 24}, finished_at=ago(hours=6))
    return job


def _canceling(job: Document) -> Document:
    job.update(status="cancel-requested", cancel_requested=True, started_at=ago(minutes=9), frames_done=4)
    job.update(steps_completed=4, task_counts={"completed": 4, "active": 1, "queued": 20})
    return job


def _finished(job: Document) -> Document:
    """Make a job that is done."""
    job.update(status="completed", started_at=job["created_at"], finished_at=ago(hours=2, minutes=30))
    job.update(task_count=25, task_counts={"completed": 25}, steps_completed=25, steps_total=25, frames_done=24)
    job["newest_frame"] = _newest(job, 24 - int(job["id"][-1]))
    return job


def _running(job: Document) -> Document:
    """Make a job of which 14 frames are done, 3 run, and one is tried again."""
    job.update(status="active", started_at=ago(minutes=5, seconds=12), frames_done=14, task_count=25, steps_total=25)
    job.update(steps_completed=14, newest_frame=_newest(job, 14), activity="Rendering on 3 Workers")
    job["task_counts"] = {"completed": 14, "active": 3, "soft-failed": 1, "queued": 7}
    return job


def _failed(job: Document) -> Document:
    """Make a job that lacks two frames."""
    job.update(status="failed", started_at=ago(hours=4), finished_at=ago(hours=1), frames_done=248)
    job.update(activity="2 of 250 frames failed: 12, 55", steps_completed=248, newest_frame=_newest(job, 250))
    job["task_counts"] = {"completed": 248, "failed": 2, "queued": 1}
    return job


def _echoing(job: Document) -> Document:
    """Make a job without frames."""
    job.update(status="active", started_at=ago(minutes=2), steps_completed=612, activity="")
    job["task_counts"] = {"completed": 612, "active": 2, "queued": 386}
    return job


def _newest(job: Document, frame: int) -> Document:
    return {"frame": frame, "thumbnail": f"/api/v1/jobs/{job['id']}/frames/{frame}/thumbnail"}


def fill_running_job(farm: FakeFarm) -> Document:
    """Give the tasks and frames of the running job their states; returns the job."""
    job = next(job for job in farm.job_list if job["name"] == "sh010_flamenco_dance")
    frames, tasks = farm.frame_lists[job["id"]], farm.task_lists[job["id"]]
    frames[:14] = [a_done_frame(job, number) for number in range(1, 15)]
    tasks[24:] = [a_task(job, 24, name="preview-video", type="ffmpeg", frames="1-24")]
    for index in range(14):
        worker = {"id": f"worker-{index % 3}", "name": f"node-{(index + 1) % 3 + 1:02d}"}
        tasks[index].update(status="completed", attempt=1, worker=worker, started_at=ago(seconds=310 - index * 20))
        tasks[index].update(finished_at=ago(seconds=268 - index * 19), activity="Done")
    for index, (node, percent) in enumerate([(1, 82), (2, 45), (3, 8)], start=14):
        frames[index].update(status="active", worker_name=f"node-{node:02d}")
        tasks[index].update(status="active", attempt=1, worker={"id": f"{node}", "name": f"node-{node:02d}"})
        tasks[index].update(started_at=ago(seconds=percent / 2), activity=f"Rendering frame {index + 1}, {percent} %")
    reason = "Blender ended with status 11 (it crashed) while it rendered frame 18"
    frames[17].update(status="soft-failed")
    tasks[17].update(status="soft-failed", attempt=1, failed_by=[{"worker": "node-02", "reason": reason}])
    farm.logs[tasks[14]["id"]] = LOG
    return job


def _workers(farm: FakeFarm) -> list[Document]:
    job = next(job for job in farm.job_list if job["name"] == "sh010_flamenco_dance")
    busy = [
        a_worker(
            number, current_task={"id": "t", "name": f"render-{14 + number}", "job": job["id"], "job_name": job["name"]}
        )
        for number in (1, 2, 3)
    ]
    laptop = {"cpu_count": 8, "memory_bytes": 16 * 2**30, "gpus": []}
    older = [{"name": "blender", "version": version, "path": "/"} for version in ("3.6.22", "4.5.3")]
    return [
        *busy,
        a_worker(4, programs=older),
        a_worker(5, status="asleep", hardware=laptop),
        a_worker(6, status="awake", status_requested="asleep", current_task=busy[0]["current_task"]),
        a_worker(7, status="error", last_seen=ago(minutes=48)),
        a_worker(8, name="lenas-laptop", approved=False, status="starting", hardware=laptop, programs=older[:1]),
    ]
