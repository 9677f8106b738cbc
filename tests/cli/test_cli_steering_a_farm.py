"""Steering a farm of real processes: what is asked on the command line comes about on the Manager and its Workers."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cli_world import Flamenco, Up

from end_to_end.farm import eventually

pytestmark = [pytest.mark.usefixtures("on_farm"), pytest.mark.timeout(180)]

Submit = Callable[..., str]


@pytest.fixture
def nap(flamenco: Flamenco) -> Iterator[Submit]:
    """Submit jobs that speak once and then sleep, several times; what is left of them at the end is deleted."""
    submitted: list[str] = []

    def submit(*options: str, seconds: float = 600, repeats: int = 1) -> str:
        settings = (f"--set=sleep_duration_seconds={seconds}", f"--set=sleep_repeats={repeats}")
        outcome = flamenco("submit", "--type", "echo-sleep-test", *settings, *options)
        assert outcome.status == 0, outcome
        submitted.append(outcome.out.split()[0])
        return submitted[-1]

    yield submit
    flamenco("delete", *submitted)
    for job_id in submitted:
        until(flamenco, job_id, "canceled", "completed", "failed")
    eventually(
        lambda: not any(worker["current_task"] for worker in flamenco("workers", "--json").json),
        "all Workers are free",
        deadline_s=30,
    )


def until(flamenco: Flamenco, job_id: str, *statuses: str, **counts: int) -> dict[str, Any]:
    """Wait until a job is in one of these statuses, with so many tasks in each of ``counts``."""

    def question() -> dict[str, Any] | None:
        job: dict[str, Any] = flamenco("job", job_id, "--json").json
        fits = all(job["task_counts"].get(status, 0) == count for status, count in counts.items())
        return job if job["status"] in statuses and fits else None

    return eventually(question, f"the job is {' or '.join(statuses)} {counts}", deadline_s=60)


def codes(flamenco: Flamenco, thing_id: str) -> list[str]:
    """Ask why something does not run; returns the codes of the reasons."""
    outcome = flamenco("why", thing_id, "--json")
    assert outcome.status == 0, outcome
    return [reason["code"] for reason in outcome.json["reasons"]]


def test_a_job_is_paused_once_its_running_tasks_are_done_and_goes_on_when_it_is_resumed(
    flamenco: Flamenco, nap: Submit
) -> None:
    job = nap(seconds=0.5, repeats=40)
    until(flamenco, job, "active", active=2)
    assert flamenco("pause", job[:8]).status == 0
    paused = until(flamenco, job, "paused", active=0)
    assert paused["task_counts"]["paused"] > 0
    assert "job-paused" in codes(flamenco, job)
    assert "resume the job" in flamenco("why", job[:8]).out
    assert flamenco("pause", job).status == 0  # it is already
    assert flamenco("resume", job[:8]).status == 0
    until(flamenco, job, "completed", completed=41)
    refused = flamenco("pause", job)
    assert (refused.status, "completed already" in refused.message) == (2, True)


def test_a_job_that_starts_paused_begins_when_it_is_resumed(flamenco: Flamenco, nap: Submit) -> None:
    job = nap("--paused", seconds=0)
    until(flamenco, job, "paused", paused=2)
    assert flamenco("resume", job).status == 0
    until(flamenco, job, "completed")


def test_a_canceled_job_runs_again_when_it_is_requeued(flamenco: Flamenco, nap: Submit) -> None:
    job = nap(repeats=3)
    until(flamenco, job, "active", active=2, completed=1)
    assert flamenco("cancel", job[:8], "--yes").status == 0
    until(flamenco, job, "canceled", canceled=3)
    assert flamenco("requeue", job[:8]).status == 2  # nothing of it has failed
    assert flamenco("requeue", job[:8], "--not-completed").status == 0
    until(flamenco, job, "active", active=2, completed=1)
    sleeping = [task for task in flamenco("tasks", job, "--json").json if task["status"] == "active"]
    assert {task["attempt"] for task in sleeping} == {2}
    one = sleeping[0]["id"]
    assert flamenco("cancel", job, "--tasks", one[:13]).status == 0
    eventually(
        lambda: next(t for t in flamenco("tasks", job, "--json").json if t["id"] == one)["status"] == "canceled",
        "the task is canceled",
        deadline_s=30,
    )
    assert flamenco("requeue", job, "--tasks", one[:13]).status == 0
    until(flamenco, job, "active", canceled=0)


def test_a_higher_priority_goes_first(flamenco: Flamenco, nap: Submit) -> None:
    filler = nap(repeats=2)
    until(flamenco, filler, "active", active=2)
    early, late = nap(seconds=0.2), nap(seconds=0.2)
    for job in (early, late):
        until(flamenco, job, "queued")
    assert flamenco("priority", "90", late[:8]).status == 0
    assert flamenco("job", late, "--json").json["priority"] == 90
    assert "busy" in " ".join(codes(flamenco, early))
    flamenco("cancel", filler, "--yes")
    for job in (early, late):
        until(flamenco, job, "completed")
    began = {job: flamenco("job", job, "--json").json["started_at"] for job in (early, late)}
    assert began[late] <= began[early]


def test_a_deleted_job_leaves_the_list_comes_back_and_runs_again(flamenco: Flamenco, nap: Submit) -> None:
    job = nap()
    until(flamenco, job, "active", active=1)
    assert flamenco("delete", job[:8], "--yes").status == 0
    assert job not in [found["id"] for found in flamenco("jobs", "--json").json]
    assert job in [found["id"] for found in flamenco("jobs", "--deleted", "--json").json]
    until(flamenco, job, "canceled")
    assert codes(flamenco, job) == ["deleted"]
    assert flamenco("undelete", job[:8]).status == 0
    back = until(flamenco, job, "canceled")
    assert (back["deleted_at"], back["requested"]) == (None, {})
    assert flamenco("requeue", job, "--all").status == 0
    until(flamenco, job, "active", active=1)


def test_workers_sleep_and_wake_and_a_job_says_so(flamenco: Flamenco, farm: Up, nap: Submit) -> None:
    names = [worker["name"] for worker in flamenco("worker", "list", "--json").json]

    def all_are(status: str) -> None:
        eventually(
            lambda: {worker["status"] for worker in flamenco("workers", "--json").json} == {status},
            f"all Workers are {status}",
            deadline_s=30,
        )

    assert flamenco("worker", "sleep", *names, "--now").status == 0
    try:
        all_are("asleep")
        job = nap(seconds=0)
        until(flamenco, job, "queued")
        assert "asleep" in codes(flamenco, job)
        assert names[0] in flamenco("why", job).out
    finally:
        assert flamenco("worker", "wake", *names).status == 0
    all_are("awake")
    until(flamenco, job, "completed")
    history = [state["status"] for state in flamenco("worker", "history", names[0], "--json").json]
    assert history[:2] == ["awake", "asleep"]


def test_a_job_with_a_tag_waits_for_a_worker_that_has_it(flamenco: Flamenco, nap: Submit) -> None:
    worker = flamenco("worker", "list", "--json").json[0]["name"]
    assert flamenco("tag", "add", "rare").status == 0
    job = nap("--tag", "rare", seconds=0)
    until(flamenco, job, "queued")
    assert "no-tag" in codes(flamenco, job)
    assert flamenco("worker", "tags", worker, "rare").status == 0
    assert flamenco("worker", "tags", worker).out == "rare\n"
    until(flamenco, job, "completed")
    assert {task["worker"]["name"] for task in flamenco("tasks", job, "--json").json} == {worker}
    assert flamenco("tag", "delete", "rare", "--force").status == 0
    eventually(lambda: flamenco("worker", "tags", worker).out == "", "the Worker has no tags", deadline_s=30)


def test_a_job_waits_for_another_one_for_a_limit_and_for_its_start(flamenco: Flamenco, nap: Submit) -> None:
    assert flamenco("settings", "limits.renderman=1").status == 0
    first = nap("--limit", "renderman")
    until(flamenco, first, "active", active=1, completed=1)
    after = nap("--after", first[:8], seconds=0)
    limited = nap("--limit", "renderman", seconds=0)
    later = nap("--start-after", "2099-01-01", seconds=0)
    for job, code in ((after, "waits-for-job"), (limited, "limit"), (later, "start-time")):
        until(flamenco, job, "queued")
        assert code in codes(flamenco, job), (job, codes(flamenco, job))
    flamenco("cancel", first, "--yes")
    until(flamenco, limited, "completed")
    assert flamenco("job", after, "--json").json["status"] == "queued"
    assert flamenco("settings", "limits.renderman=").status == 0
