"""What explains is what decides: the order of reasons, and random farms in which both are asked."""

from datetime import timedelta

from farm_builder import EPOCH, Site, needed
from hypothesis import given, settings
from hypothesis import strategies as st

from flamenco_core.statuses import TaskStatus, WorkerStatus
from flamenco_core.wire.definitions import Needs
from flamenco_core.wire.worker_api import Hardware
from flamenco_manager import asked_of_jobs, asked_of_workers, worker_rules
from flamenco_manager.attempts import HandOut
from flamenco_manager.choosing import best_for
from flamenco_manager.model import Job, Task, Worker
from flamenco_manager.why import MOST_NAMES, Reason, why

GIB = 1 << 30


def codes(site: Site, task: Task) -> list[str]:
    return [reason.code for reason in why(site.farm, task, site.now)]


# -- the first that matters first


def test_what_people_and_the_job_hold_back_comes_before_limits_and_these_before_workers() -> None:
    site = Site()
    held = {"start_after": EPOCH + timedelta(days=1), "needs_jobs": [needed(site.job())], "project": "film"}
    job = site.job([(), (0,)], needs=Needs(limits={"licence": 1}, tag="gpu"), asked={**held, "max_workers": 0})
    site.worker()
    site.pause(job)
    site.farm.set_limits({"licence": 0}, {"film": 0})
    holding_back = [
        "job-paused",
        "start-time",
        "waits-for-job",
        "waits-for-tasks",
        "limit",
        "max-workers",
        "no-tag",
    ]
    assert codes(site, job.tasks[1]) == holding_back
    site.farm.set_limits({"licence": 1}, {"film": 0})
    assert codes(site, job.tasks[1])[4] == "project-cap"


def test_busy_ones_come_before_those_that_refuse_and_these_before_those_that_are_away() -> None:
    site = Site()
    job = site.job()
    refuses, marked, blocked, busy = (site.worker(ours=number != 1) for number in range(4))
    asleep, leaving, away, new = (site.worker() for _ in range(4))
    worker_rules.say_status(site.farm, asleep, WorkerStatus.ASLEEP, site.now)
    asked_of_workers.request_status(site.farm, leaving, WorkerStatus.OFFLINE, site.now, lazy=False)
    worker_rules.sign_off(site.farm, away, site.now)
    new.is_approved = False
    assert site.takes(marked) is job.tasks[0]
    site.says(marked, job.tasks[0], "active")
    worker_rules.sign_off(site.farm, marked, site.now)
    site.comes_back(marked)
    assert site.takes(refuses) is job.tasks[0]
    site.says(refuses, job.tasks[0], "failed")
    job.blocked.add((blocked.id, "misc"))
    site.job(priority=90)
    site.takes(busy)
    expected = ["busy", "blocked", "failed-it", "marked", "not-approved", "asleep", "leaving", "offline"]
    assert codes(site, job.tasks[0]) == expected
    worker_rules.say_status(site.farm, busy, WorkerStatus.ASLEEP, site.now)
    site.passes(61, *site.farm.workers.values())
    worker_rules.heard(site.farm, marked, site.now)
    assert codes(site, job.tasks[0])[0] == "soon"
    worker_rules.say_status(site.farm, marked, WorkerStatus.ASLEEP, site.now)
    assert codes(site, job.tasks[0])[0] == "soon"  # nobody else is left to try, and the pause is over
    job.tasks[0].retry_at_s = site.now.monotonic_s + 5
    assert codes(site, job.tasks[0])[:2] == ["blocked", "retry-later"]


def test_nobody_is_said_to_take_at_once_what_is_held_back() -> None:
    site = Site()
    job = site.job([(), (0,)])
    worker = site.worker()
    assert codes(site, job.tasks[0]) == ["soon"]
    assert codes(site, job.tasks[1]) == ["waits-for-tasks"]
    site.takes(worker)
    assert codes(site, job.tasks[1]) == ["waits-for-tasks", "busy"]


def test_the_place_in_line_counts_what_waits_and_not_what_runs() -> None:
    site = Site()
    ahead, job, others = site.job([()] * 5, priority=90), site.job([()] * 4), site.job(type="ffmpeg", priority=99)
    workers = [site.worker(types=("misc",)) for _ in range(2)]
    for worker in workers:
        site.takes(worker)
    assert why(site.farm, job.tasks[2], site.now)[0].count == 3 + 2 + 1
    site.says(workers[0], ahead.tasks[0], "completed")
    site.takes(workers[0])
    assert why(site.farm, job.tasks[2], site.now)[0].count == 2 + 2 + 1
    assert why(site.farm, ahead.tasks[3], site.now)[0].count == 1
    assert codes(site, others.tasks[0]) == ["no-type"]
    site.check()


def test_a_worker_that_has_its_next_task_already_is_busy_also_between_two_of_them() -> None:
    site = Site()
    job, worker = site.job([()] * 9), site.worker()
    job.typical_s["misc"] = 1.0
    first, ahead = site.takes_ahead(worker, most=3)
    site.says(worker, first, "completed")
    assert (worker.task, worker.reserved) == (None, ahead)
    assert codes(site, job.tasks[8]) == ["busy"]


def test_a_reason_names_no_more_than_a_line_can_hold_and_leaves_out_what_is_not_known() -> None:
    site = Site()
    job = site.job([()] * 30 + [tuple(range(30))])
    for _ in range(30):
        site.worker()
    waits = why(site.farm, job.tasks[30], site.now)[0]
    assert waits.text.endswith("task-19 and 10 more.")
    soon = why(site.farm, job.tasks[0], site.now)[0].document()
    assert soon == {
        "code": "soon",
        "text": "30 Workers can take it at once.",
        "count": 30,
        "workers": [f"w{number}" for number in range(2, 2 + MOST_NAMES)],
    }
    assert Reason("limit", "text", act="wait").document() == {"code": "limit", "text": "text", "act": "wait"}


# -- random farms


def would_get(site: Site, worker: Worker, task: Task) -> bool:
    """Tell whether a Worker that asked again and again, and nobody else, would come to a task: by what decides."""
    before: list[Task] = []
    while (found := best_for(site.farm, worker, site.now)) is not None and found is not task:
        found.is_reserved = True
        before.append(found)
    for other in before:
        other.is_reserved = False
    site.farm.list_runnable(before)
    return found is task


NEEDS = st.sampled_from(
    [None, None, None, Needs(tag="gpu"), Needs(memory_bytes=8 * GIB), Needs(limits={"licence": 1}), Needs(gpu="any")]
)
GRAPHS = st.sampled_from([((),), ((), ()), ((), (0,)), ((), (), (0, 1)), ((),) * 4])
ASKED = st.sampled_from(
    [
        {},
        {},
        {},
        {"project": "film"},
        {"max_workers": 1},
        {"start_paused": True},
        {"start_after": EPOCH + timedelta(days=1)},
    ]
)
STATES = ["awake", "awake", "awake", "asleep", "leaving", "offline", "not approved"]
HAPPENINGS = [
    "ask",
    "ask",
    "ask",
    "ask ahead",
    "complete",
    "fail",
    "fail",
    "sign off",
    "silence",
    "pause",
    "cancel",
    "wait",
]


def add_worker(site: Site, data: st.DataObject) -> Worker:
    memory = data.draw(st.sampled_from([4, 16]), "memory")
    worker = site.worker(
        ours=data.draw(st.booleans(), "ours"),
        types=data.draw(st.sampled_from([("misc",), ("misc", "blender"), ("blender",)]), "types"),
        tags=data.draw(st.sampled_from([[], ["gpu"]]), "tags"),
        hardware=Hardware(memory_bytes=memory * GIB),
    )
    state = data.draw(st.sampled_from(STATES), "state")
    if state == "asleep":
        worker_rules.say_status(site.farm, worker, WorkerStatus.ASLEEP, site.now)
    elif state == "leaving":
        asked_of_workers.request_status(site.farm, worker, WorkerStatus.ASLEEP, site.now, lazy=True)
    elif state == "offline":
        worker_rules.sign_off(site.farm, worker, site.now)
    elif state == "not approved":
        worker.is_approved = False
    return worker


def add_job(site: Site, data: st.DataObject) -> Job:
    job = site.job(
        data.draw(GRAPHS, "graph"),
        priority=data.draw(st.sampled_from([10, 50]), "priority"),
        type=data.draw(st.sampled_from(["misc", "blender"]), "type"),
        needs=data.draw(NEEDS, "needs"),
        asked=data.draw(ASKED, "asked"),
    )
    job.typical_s = {"misc": 1.0, "blender": 1.0}
    return job


def happen(site: Site, data: st.DataObject, what: str, worker: Worker, job: Job) -> None:
    task = worker.task
    if what.startswith("ask"):
        site.ask(worker, 3 if what == "ask ahead" else 1)
    elif what in ("complete", "fail") and task is not None:
        site.says(worker, task, "active")
        site.says(worker, task, what + ("d" if what == "complete" else "ed"))
    elif what == "sign off":
        worker_rules.sign_off(site.farm, worker, site.now)
        worker_rules.say_status(site.farm, worker, WorkerStatus.AWAKE, site.now)
    elif what == "silence":
        site.passes(181, *[other for other in site.farm.workers.values() if other is not worker])
    elif what == "pause":
        waiting = [one for one in job.tasks if one.status.is_waiting and not job.status.is_ended]
        if waiting:
            asked_of_jobs.pause_task(site.farm, data.draw(st.sampled_from(waiting)), site.now)
    elif what == "cancel" and not job.tasks[0].status.is_ended:
        asked_of_jobs.cancel_task(site.farm, job.tasks[0], site.now)
    elif what == "wait":
        site.passes(4, *site.farm.workers.values())


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_a_task_comes_soon_exactly_when_an_idle_worker_would_get_it_or_one_before_it(data: st.DataObject) -> None:
    site = Site()
    site.farm.set_limits({"licence": 1}, {"film": 1})
    site.farm.set_policy(site.farm.policy, is_balanced=data.draw(st.booleans(), "balanced"))
    workers = [add_worker(site, data) for _ in range(data.draw(st.integers(0, 4), "workers"))]
    jobs = [add_job(site, data) for _ in range(data.draw(st.integers(1, 3), "jobs"))]
    if workers:
        for what in data.draw(st.lists(st.sampled_from(HAPPENINGS), max_size=12), "happenings"):
            happen(site, data, what, data.draw(st.sampled_from(workers)), data.draw(st.sampled_from(jobs)))
    at_work = [worker for worker in workers if worker.is_at_work]
    for task in [task for job in jobs for task in job.tasks]:
        reasons = codes(site, task)
        idle = [worker for worker in at_work if worker.is_idle and would_get(site, worker, task)]
        busy = [worker for worker in at_work if not worker.is_idle and would_get(site, worker, task)]
        assert (reasons[0] == "soon") == bool(idle), (task.name, reasons)
        assert (reasons[0] == "busy") == (bool(busy) and not idle), (task.name, reasons)
        is_settled = task.status is TaskStatus.ACTIVE or task.status.is_ended or task.is_reserved
        assert (reasons[0] in ("running", "ended", "next")) == is_settled
        if idle:
            assert isinstance(site.ask(idle[0]), HandOut) or idle[0].status_requested
            break  # that changed the farm
    site.check()
