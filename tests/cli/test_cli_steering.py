"""Steering jobs, tasks and Workers from the command line, against a real Server and a Manager that is played."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import click
import pytest
from cli_world import Flamenco, RealServer
from played_manager import PlayedManager

from end_to_end.farm import eventually
from flamenco_cli import asking
from flamenco_core.identifiers import new_id, task_id

pytestmark = pytest.mark.usefixtures("own_server")


REASONS: list[Mapping[str, Any]] = [
    {"code": "asleep", "text": "3 Workers sleep.", "workers": ["r7", "r8"], "act": "wake one"},
    {"code": "busy", "text": "All others are busy."},
]


@pytest.fixture
def at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody sits there who could be asked."""

    class Terminal:
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(asking, "sys", type("sys", (), {"stdin": Terminal()}))


def becomes(manager: PlayedManager, status: str, **more: Any) -> Any:
    """Make an answer: the order is done, and its job is this now."""
    return lambda order: {"jobs": [manager.job(order["details"]["job"], status, **more)]}


@pytest.mark.parametrize(
    ("verb", "word", "after"),
    [("pause", "Pausing", "paused"), ("resume", "Resuming", "active"), ("cancel", "Canceling", "canceled")],
)
def test_jobs_are_steered_by_their_short_ids(
    flamenco: Flamenco, manager: PlayedManager, verb: str, word: str, after: str
) -> None:
    manager.answers[f"job.{verb}"] = becomes(manager, after)
    jobs = [manager.running_job() for _ in range(2)]
    outcome = flamenco(verb, *(job[:8] for job in jobs), "--json")
    assert outcome.status == 0
    assert outcome.err.splitlines() == [f"{word} {job[:8]} (nap)." for job in jobs]
    assert [(job["id"], job["status"], job["requested"]) for job in outcome.json] == [(job, after, {}) for job in jobs]
    assert manager.kinds() == [f"job.{verb}"] * 2


def test_a_wrong_id_among_several_changes_none(flamenco: Flamenco, manager: PlayedManager) -> None:
    job = manager.running_job()
    outcome = flamenco("pause", job, "ffffffff")
    assert (outcome.status, outcome.out) == (2, "")
    assert flamenco("job", job, "--json").json["requested"] == {}


def test_what_a_manager_does_not_do_is_told_and_is_no_success(flamenco: Flamenco, manager: PlayedManager) -> None:
    manager.answers["job.requeue"] = lambda _: {"result": "dropped", "why": "No task of the job is such."}
    outcome = flamenco("requeue", manager.running_job()[:8], "--json")
    assert outcome.status == 2
    assert "nap: No task of the job is such." in outcome.message
    assert outcome.json[0]["refused"] == "No task of the job is such."


def test_a_manager_that_does_not_answer_is_not_waited_for_for_ever(
    flamenco: Flamenco, manager: PlayedManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "ANSWER_S", 0.2)
    manager.answers["job.pause"] = lambda _: {"silent": True}
    job = manager.running_job()
    outcome = flamenco("pause", job, "--json")
    assert (outcome.status, outcome.json[0]["status"]) == (0, "pause-requested")
    assert "Asked" in flamenco("job", job).out
    assert "pause (by admin)" in flamenco("job", job).out


@pytest.mark.parametrize(
    ("options", "which"),
    [([], "failed"), (["--failed"], "failed"), (["--all"], "all"), (["--not-completed"], "not-completed")],
)
def test_requeueing_says_which_tasks(
    flamenco: Flamenco, manager: PlayedManager, options: list[str], which: str
) -> None:
    job = manager.running_job()
    assert flamenco("requeue", job[:8], *options).status == 0
    assert manager.until_ordered("job.requeue")["details"]["which"] == which


def test_tasks_can_be_chosen_by_their_short_ids(flamenco: Flamenco, manager: PlayedManager) -> None:
    job = manager.running_job()
    tasks = [task_id(job, 1), task_id(job, 0)]
    outcome = flamenco("requeue", job, "--tasks", f"{tasks[0][:9]}, {tasks[1][:9]},")
    assert outcome.status == 0
    details = manager.until_ordered("job.requeue")["details"]
    assert (details["which"], details["tasks"]) == ("chosen", tasks)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--tasks", "ffffffff"], "No task 'ffffffff' among the tasks of this job"),
        (["--tasks", ","], "names no task"),
        (["--frames", "12"], "no task of this job renders 12"),
        (["--frames", "x"], "--frames: "),
    ],
)
def test_tasks_that_are_not_there_are_not_requeued(
    flamenco: Flamenco, manager: PlayedManager, options: list[str], message: str
) -> None:
    outcome = flamenco("requeue", manager.running_job(), *options)
    assert outcome.status == 2
    assert message in outcome.message
    assert manager.kinds() == []


def test_tasks_of_several_jobs_cannot_be_chosen_at_once(flamenco: Flamenco, manager: PlayedManager) -> None:
    jobs = [manager.running_job() for _ in range(2)]
    assert "name only that" in flamenco("requeue", *jobs, "--tasks", "abcd").message


@pytest.mark.parametrize("verb", ["pause", "cancel"])
def test_tasks_can_be_steered_by_themselves(flamenco: Flamenco, manager: PlayedManager, verb: str) -> None:
    job = manager.running_job()
    task = task_id(job, 1)
    manager.answers[f"task.{verb}"] = lambda _: {"tasks": [manager.task(job, 1, "paused")]}
    outcome = flamenco(verb, job[:8], "--tasks", task[:9], "--json")
    assert outcome.status == 0
    assert [(found["id"], found["status"]) for found in outcome.json] == [(task, "paused")]
    assert manager.kinds() == [f"task.{verb}"]


def test_a_priority_is_changed(flamenco: Flamenco, manager: PlayedManager) -> None:
    job = manager.running_job()
    outcome = flamenco("priority", "80", job[:8], "--json")
    assert (outcome.status, outcome.json[0]["priority"]) == (0, 80)
    assert outcome.err == f"Priority 80 for {job[:8]} (nap).\n"
    assert flamenco("priority", "101", job).status == 2


def test_a_job_gets_a_tag_and_none_again(flamenco: Flamenco, manager: PlayedManager) -> None:
    flamenco("tag", "add", "gpu {1}")
    jobs = [manager.running_job() for _ in range(2)]
    outcome = flamenco("tag", "set", "gpu {1}", *(job[:8] for job in jobs), "--json")
    assert (outcome.status, [job["tag"] for job in outcome.json]) == (0, ["gpu {1}"] * 2)
    assert outcome.err.splitlines() == [f"Tag gpu {{1}} for {job[:8]} (nap)." for job in jobs]
    outcome = flamenco("tag", "set", "--none", jobs[0][:8], "--json")
    assert (outcome.status, outcome.json[0]["tag"]) == (0, None)
    assert outcome.err == f"No tag for {jobs[0][:8]} (nap).\n"
    assert flamenco("job", jobs[1], "--json").json["tag"] == "gpu {1}"


@pytest.mark.parametrize("words", [["gpu"], ["no-such", "JOB"], ["gpu", "JOB", "ffffffff"], ["--none"]])
def test_a_tag_that_cannot_be_set_changes_nothing(flamenco: Flamenco, manager: PlayedManager, words: list[str]) -> None:
    flamenco("tag", "add", "gpu")
    job = manager.running_job()
    assert flamenco("tag", "set", *(job if word == "JOB" else word for word in words)).status == 2
    assert flamenco("job", job, "--json").json["tag"] is None
    assert manager.kinds() == []


def test_a_deleted_job_is_in_the_bin_until_it_is_brought_back(flamenco: Flamenco, manager: PlayedManager) -> None:
    manager.answers["job.delete"] = becomes(manager, "canceled", priority=50, deleted=True)
    manager.answers["job.undelete"] = becomes(manager, "canceled", priority=50)
    job = manager.running_job()
    assert "flamenco undelete" in flamenco("delete", job[:8]).message
    assert flamenco("jobs", "--json").json == []
    assert [found["id"] for found in flamenco("jobs", "--deleted", "--json").json] == [job]
    refused = flamenco("requeue", job)
    assert (refused.status, "undelete it first" in refused.message) == (2, True)
    assert flamenco("undelete", job[:8]).status == 0
    assert [found["id"] for found in flamenco("jobs", "--json").json] == [job]
    assert "No job" in flamenco("undelete", job[:8]).message


class TestConfirming:
    @pytest.mark.parametrize(("verb", "word"), [("cancel", "Cancel"), ("delete", "Delete")])
    @pytest.mark.usefixtures("at_a_terminal")
    def test_running_work_is_lost_only_after_a_yes(
        self, flamenco: Flamenco, manager: PlayedManager, monkeypatch: pytest.MonkeyPatch, verb: str, word: str
    ) -> None:
        asked: list[str] = []
        answers = iter([False, True])

        def answer(question: str, **_: object) -> bool:
            asked.append(question)
            return next(answers)

        monkeypatch.setattr(click, "confirm", answer)
        job = manager.running_job(active=3, queued=1)
        outcome = flamenco(verb, job)
        assert (outcome.status, outcome.err) == (130, "Nothing was changed.\n")
        assert manager.kinds() == []
        assert flamenco(verb, job).status == 0
        assert asked == [f"3 tasks run now, and what they have begun is lost. {word} nap?"] * 2
        assert manager.kinds() == [f"job.{verb}"]

    @pytest.mark.usefixtures("at_a_terminal")
    def test_yes_and_idle_jobs_are_not_asked_about(
        self, flamenco: Flamenco, manager: PlayedManager, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(click, "confirm", lambda *_, **__: pytest.fail("it asked"))
        assert flamenco("cancel", manager.running_job(active=1), "--yes").status == 0
        assert flamenco("cancel", manager.running_job(queued=2)).status == 0

    def test_scripts_are_not_asked(self, flamenco: Flamenco, manager: PlayedManager) -> None:
        assert flamenco("cancel", manager.running_job(active=1)).status == 0

    @pytest.mark.usefixtures("at_a_terminal")
    def test_forgetting_workers_is_asked_with_their_number(
        self, flamenco: Flamenco, manager: PlayedManager, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[str] = []

        def refuse(question: str, **_: object) -> bool:
            asked.append(question)
            return False

        monkeypatch.setattr(click, "confirm", refuse)
        manager.report(workers=[manager.worker(new_id(), name) for name in ("r7", "r8")])
        assert flamenco("worker", "forget", "r7", "r8").status == 130
        assert asked == ["Forget these 2 Workers: r7, r8?"]
        assert flamenco("worker", "forget", "r7", "--yes").status == 0
        assert manager.until_ordered("worker.forget")


class TestWhy:
    def test_the_reasons_of_a_job_come_with_what_would_help(self, flamenco: Flamenco, manager: PlayedManager) -> None:
        manager.answers["task.why"] = lambda _: {"answer": {"reasons": REASONS}}
        job = manager.running_job()
        outcome = flamenco("why", job[:8])
        assert (outcome.status, outcome.err) == (0, "")
        assert [line.rstrip() for line in outcome.out.splitlines()] == [
            "Task 0 (echo)",
            "3 Workers sleep.",
            "  r7, r8",
            "  What helps: wake one",
            "All others are busy.",
        ]
        assert flamenco("why", job, "--json").json == {"task": task_id(job, 0), "reasons": REASONS}

    def test_a_task_may_be_asked_about_by_its_short_id(self, flamenco: Flamenco, manager: PlayedManager) -> None:
        manager.answers["task.why"] = lambda order: {
            "answer": {"reasons": [{"code": "x", "text": order["details"]["task"]}]}
        }
        task = task_id(manager.running_job(), 1)
        assert flamenco("why", task[:9]).out.splitlines()[1].strip() == task
        assert flamenco("why", task).status == 0

    def test_what_is_neither_a_job_nor_a_task_is_told_so(self, flamenco: Flamenco, manager: PlayedManager) -> None:
        outcome = flamenco("why", "ffffffff")
        assert outcome.status == 2
        assert "No job 'ffffffff'" in outcome.message
        assert "No task 'ffffffff'" in outcome.message

    def test_nothing_that_holds_it_back_is_said_so(self, flamenco: Flamenco, manager: PlayedManager) -> None:
        manager.answers["task.why"] = lambda _: {"answer": {"reasons": []}}
        assert "Nothing holds it back." in flamenco("why", manager.running_job()).out


def test_a_site_that_is_away_is_told_and_not_waited_for(
    flamenco: Flamenco, own_server: RealServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager = PlayedManager(own_server, "attic")
    job = manager.running_job()
    eventually(lambda: flamenco("jobs", "--json").json, "the job is there", deadline_s=20)
    monkeypatch.setattr("flamenco_server.records.AWAY_AFTER", timedelta(seconds=-1))  # whoever was here is away
    outcome = flamenco("pause", job)
    assert outcome.status == 0
    assert "The Manager of site attic is away since" in outcome.message
    why = flamenco("why", job)
    assert (why.status, "The Manager of site attic is away since" in why.message) == (3, True)
