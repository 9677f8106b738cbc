"""How every history ends well: once people hold nothing back, healthy Workers bring every job to its end (I5)."""

from history import History
from history_plans import GPU, LICENCE, TAG
from naive_choosing import Handed
from naive_records import ENDED, WAITING, NaiveJob, NaiveWorker, Word
from planned_jobs import TYPES

from flamenco_manager.why import why


def bring_to_an_end(history: History) -> None:
    """Whatever happened: once people hold nothing back, healthy Workers bring every job to its end (I5)."""
    history.order("settings", {"limits": {LICENCE: 9, "unheard of": 9}, "project_caps": {}, "failed_attempts": 3})
    history.agreement.audit()
    for number in range(len(history.plans)):
        history.arrive(number)
    for worker in history.workers():
        history.sign_off(worker)
    for number in range(2):
        everything = {"types": TYPES, "tags": frozenset([TAG, "nobody's"]), "memory": 99, "gpus": (GPU,)}
        history.register(NaiveWorker(f"00000000-0000-4000-a000-{number:012}", ours=True, **everything))
    healthy = history.workers()[-2:]
    history.checks_each_step = False
    for _ in range(60):
        for job in [job for job in history.jobs() if job.status not in ENDED]:
            _lift_holds(history, job)
        answers = [_render(history, worker) for worker in healthy]
        if not any(answers):
            if all(job.status in ENDED for job in history.jobs()):
                history.agreement.check(is_asked_for=True)
                history.agreement.audit()
                return
            _check_nothing_is_said_to_run_soon(history)
            history.passes(30, healthy)
    raise AssertionError(
        f"never ended: {[(job.number, job.status) for job in history.jobs() if job.status not in ENDED]}"
    )


def _lift_holds(history: History, job: NaiveJob) -> None:
    if job.status in ("paused", "pause-requested") or any(task.status == "paused" for task in job.tasks):
        history.order("job.resume", {"job": job.id})
    others = [history.naive.jobs[job_id] for job_id, ended in job.needs_jobs if not history.naive.is_met(job_id, ended)]
    if history.naive.is_held_back(job) and any(other.status in ENDED or other.deleted for other in others):
        history.order("job.cancel", {"job": job.id})  # it waits for one that nobody will complete


def _render(history: History, worker: NaiveWorker) -> bool:
    answer = history.ask(worker)
    if isinstance(answer, Handed):
        history.say(worker, Word(answer.task, answer.attempt, 1, "active"))
        history.say(worker, Word(answer.task, answer.attempt, 2, "completed"))
    return answer is not None


def _check_nothing_is_said_to_run_soon(history: History) -> None:
    """Two healthy Workers have just asked, and got nothing."""
    now = history.manager.foreman.now()
    for job in history.manager.farm.jobs.values():
        for task in job.tasks:
            codes = [reason.code for reason in why(history.manager.farm, task, now)]
            assert str(task.status) not in WAITING or codes[0] != "soon", f"{task.id}: {codes}"
