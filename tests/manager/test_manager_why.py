"""Why a task does not run: every reason, with what it says."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from farm_builder import EPOCH, Site, needed

from flamenco_core.statuses import WorkerStatus
from flamenco_core.wire.definitions import Needs
from flamenco_core.wire.worker_api import Gpu, Hardware
from flamenco_manager import asked_of_jobs, asked_of_workers, worker_rules
from flamenco_manager.model import Task
from flamenco_manager.why import Reason, why

GIB = 1 << 30


def why_not(site: Site, task: Task) -> list[Reason]:
    return why(site.farm, task, site.now)


# -- each reason: its code, what it says, how many it counts, whom it names, and what would help


def running(site: Site) -> Task:
    site.job()
    return site.takes(site.worker())


def ended(site: Site) -> Task:
    job = site.job()
    site.cancel(job)
    return job.tasks[0]


def done(site: Site) -> Task:
    job = site.job()
    site.completes(job)
    return job.tasks[0]


def comes_next(site: Site) -> Task:
    job = site.job([()] * 9)
    job.typical_s["misc"] = 1.0
    return site.takes_ahead(site.worker())[1][0]


def job_paused(site: Site) -> Task:
    job = site.job()
    site.worker()
    site.pause(job)
    return job.tasks[0]


def job_ended(site: Site) -> Task:
    site.farm.policy = type(site.farm.policy)(failed_attempts=1)
    job, worker = site.job([(), (0,)]), site.worker()
    site.says(worker, site.takes(worker), "failed")
    return job.tasks[1]


def start_time(site: Site) -> Task:
    site.worker()
    return site.job(asked={"start_after": EPOCH + timedelta(hours=6, minutes=5)}).tasks[0]


def waits_for_job(site: Site) -> Task:
    site.worker()
    return site.job(asked={"needs_jobs": [needed(site.job())]}).tasks[0]


def waits_for_a_job_to_end(site: Site) -> Task:
    site.worker()
    return site.job(asked={"needs_jobs": [needed(site.job(), ended=True)]}).tasks[0]


def paused(site: Site) -> Task:
    job = site.job([(), ()])
    site.worker()
    asked_of_jobs.pause_task(site.farm, job.tasks[0], site.now)
    return job.tasks[0]


def waits_for_tasks(site: Site) -> Task:
    job, worker = site.job([(), (), (0, 1), (0, 1, 2)]), site.worker()
    site.says(worker, site.takes(worker), "completed")
    return job.tasks[3]


def waits_for_a_failed_task(site: Site) -> Task:
    site.farm.policy = type(site.farm.policy)(failed_attempts=1)
    job, worker = site.job([(), (), (0, 1)]), site.worker()
    site.says(worker, site.takes(worker), "failed")
    return job.tasks[2]


def project_cap(site: Site) -> Task:
    site.farm.set_limits({}, {"film": 1})
    job = site.job([(), ()], asked={"project": "film"})
    site.worker()
    site.takes(site.worker())
    return job.tasks[1]


def no_such_limit(site: Site) -> Task:
    site.worker()
    return site.job(needs=Needs(limits={"licence": 1})).tasks[0]


def limit(site: Site) -> Task:
    site.farm.set_limits({"licence": 3}, {})
    job = site.job([(), ()], needs=Needs(limits={"licence": 2}))
    site.worker()
    site.takes(site.worker())
    return job.tasks[1]


def max_workers(site: Site) -> Task:
    job = site.job([(), ()], asked={"max_workers": 1})
    site.worker()
    site.takes(site.worker())
    return job.tasks[1]


def no_workers(site: Site) -> Task:
    return site.job().tasks[0]


def no_type(site: Site) -> Task:
    site.worker()
    return site.job(type="ffmpeg").tasks[0]


def no_tag(site: Site) -> Task:
    site.worker(types=("ffmpeg",), tags=["gpu"])
    site.worker(tags=["fast"])
    return site.job(needs=Needs(tag="gpu")).tasks[0]


def no_memory(site: Site) -> Task:
    site.worker(hardware=Hardware(memory_bytes=GIB))
    return site.job(needs=Needs(memory_bytes=64 * GIB)).tasks[0]


def no_gpu(site: Site) -> Task:
    site.worker(hardware=Hardware(gpus=[Gpu("CUDA", "a card")]))
    return site.job(needs=Needs(gpu="OPTIX")).tasks[0]


def no_gpu_at_all(site: Site) -> Task:
    site.worker()
    return site.job(needs=Needs(gpu="any")).tasks[0]


def soon(site: Site) -> Task:
    site.worker()
    site.worker()
    return site.job([()] * 9).tasks[8]


def soon_at_one(site: Site) -> Task:
    site.worker()
    return site.job().tasks[0]


def busy(site: Site) -> Task:
    site.job([()] * 5, priority=90)
    job = site.job([()] * 3)
    site.takes(site.worker())
    site.takes(site.worker())
    return job.tasks[1]


def blocked(site: Site) -> Task:
    job, worker = site.job(), site.worker()
    job.blocked.add((worker.id, "misc"))
    return job.tasks[0]


def retry_later(site: Site) -> Task:
    job, worker = site.job(), site.worker()
    site.says(worker, site.takes(worker), "failed")
    return job.tasks[0]


def marked(site: Site) -> Task:
    job, old = site.job(), site.worker(ours=False)
    site.takes(old)
    site.requeue(job, 0)
    return job.tasks[0]


def not_approved(site: Site) -> Task:
    site.worker(awake=False).is_approved = False
    return site.job().tasks[0]


def asleep(site: Site) -> Task:
    for _ in range(2):
        worker_rules.say_status(site.farm, site.worker(), WorkerStatus.ASLEEP, site.now)
    return site.job().tasks[0]


def leaving(site: Site) -> Task:
    asked_of_workers.request_status(site.farm, site.worker(), WorkerStatus.ASLEEP, site.now, lazy=True)
    return site.job().tasks[0]


def offline(site: Site) -> Task:
    site.worker()
    job = site.job()
    site.passes(181)
    return job.tasks[0]


def says_something_odd(site: Site) -> Task:
    worker_rules.say_status(site.farm, site.worker(), WorkerStatus.TESTING, site.now)
    return site.job().tasks[0]


RESUME, REQUEUE = "resume the job", "requeue it"
REASONS: list[tuple[Callable[[Site], Task], Reason]] = [
    (running, Reason("running", "It runs on w2.")),
    (ended, Reason("ended", "It has ended, as canceled.", act=REQUEUE)),
    (done, Reason("ended", "It has ended, as completed.")),
    (comes_next, Reason("next", "w2 runs it next.")),
    (job_paused, Reason("job-paused", "Its job is paused.", act=RESUME)),
    (job_ended, Reason("job-ended", "Its job has ended, as failed.", act=REQUEUE)),
    (start_time, Reason("start-time", "Its job starts at 2026-01-31 18:05 UTC.")),
    (
        waits_for_job,
        Reason("waits-for-job", "Its job waits until job 00000000-0000-4000-8000-000000000002 is completed."),
    ),
    (
        waits_for_a_job_to_end,
        Reason("waits-for-job", "Its job waits until job 00000000-0000-4000-8000-000000000002 ends."),
    ),
    (paused, Reason("paused", "It is paused.", act="requeue it, or resume the job")),
    (waits_for_tasks, Reason("waits-for-tasks", "It waits for task-1, task-2.", 2)),
    (waits_for_a_failed_task, Reason("waits-for-tasks", "It waits for task-0, task-1.", 2, act="requeue task-0")),
    (
        project_cap,
        Reason(
            "project-cap",
            "Project film has as many Workers as it may have (1).",
            1,
            act="wait, or raise the project's cap",
        ),
    ),
    (
        no_such_limit,
        Reason("no-such-limit", "The farm has no limit called licence.", act="add licence to the farm's settings"),
    ),
    (
        limit,
        Reason(
            "limit",
            "The limit licence is used up: 2 of 3, and it wants 2.",
            2,
            act="wait, or raise the limit",
        ),
    ),
    (
        max_workers,
        Reason(
            "max-workers",
            "Its job has as many Workers as it may have (1).",
            1,
            act="raise the job's number of Workers",
        ),
    ),
    (no_workers, Reason("no-workers", "There are no Workers yet.", 0, act="start one: flamenco worker")),
    (no_type, Reason("no-type", "No Worker takes tasks of type ffmpeg.", 1, act="add such a Worker")),
    (
        no_tag,
        Reason(
            "no-tag",
            "No Worker with tasks of type misc has the tag gpu.",
            1,
            ["w2"],
            "change the job's tag, or tag a Worker",
        ),
    ),
    (no_memory, Reason("no-memory", "No Worker that would fit has 65,536 MiB of memory.", 1, ["w1"])),
    (no_gpu, Reason("no-gpu", "No Worker that would fit has a GPU for OPTIX.", 1, ["w1"])),
    (no_gpu_at_all, Reason("no-gpu", "No Worker that would fit has a GPU.", 1, ["w1"])),
    (soon, Reason("soon", "2 Workers can take it at once.", 2, ["w1", "w2"])),
    (soon_at_one, Reason("soon", "w1 can take it at once.", 1, ["w1"])),
    (busy, Reason("busy", "All 2 Workers that can take it are busy; it is number 5 in line.", 5, ["w3", "w4"])),
    (blocked, Reason("blocked", "w2 failed too many such tasks of this job.", 1, ["w2"], "unblock it")),
    (retry_later, Reason("retry-later", "w2 failed it and will try again soon.", 1, ["w2"])),
    (marked, Reason("marked", "w2 may still send results of an earlier run.", 1, ["w2"])),
    (not_approved, Reason("not-approved", "w1 is not approved yet.", 1, ["w1"], "approve it")),
    (asleep, Reason("asleep", "2 Workers are asleep.", 2, ["w1", "w2"], "wake it")),
    (leaving, Reason("leaving", "w1 is asked to stop working.", 1, ["w1"])),
    (offline, Reason("offline", "w1 is not in touch.", 1, ["w1"], "start it")),
    (says_something_odd, Reason("offline", "w1 is not in touch.", 1, ["w1"], "start it")),
]


@pytest.mark.parametrize(("build", "expected"), REASONS, ids=[build.__name__ for build, _ in REASONS])
def test_each_reason_says_what_holds_a_task_back_and_what_would_help(
    build: Callable[[Site], Task], expected: Reason
) -> None:
    site = Site()
    task = build(site)
    assert why_not(site, task)[0] == expected
    site.check()
