"""Jobs on which nobody works: they say for what they wait (jobs.md, "no job stays active with nothing to do"). Pure."""

from collections.abc import Iterator

from flamenco_core.statuses import TaskStatus
from flamenco_manager import job_rules
from flamenco_manager.farm import Farm
from flamenco_manager.model import Job, Moment, Task
from flamenco_manager.task_rules import is_runnable
from flamenco_manager.why import why

LOOKED_AT = 20
"""So many jobs are looked at in one tick; the others come with the next ones."""

_STEADY = {"soon": "", "busy": "Waits for a free Worker"}
"""What is said instead of texts that change with every moment."""


def explain_some(farm: Farm, now: Moment) -> None:
    """Let some of the jobs on which nobody works say why; the others keep what they said."""
    jobs = list(farm.jobs.values())
    if not jobs:
        return
    start = farm.explained % len(jobs)
    farm.explained = start + LOOKED_AT
    for job in (jobs + jobs)[start : start + min(LOOKED_AT, len(jobs))]:
        if job.status.is_runnable and not job.counts.get(TaskStatus.ACTIVE, 0):
            job_rules.say(farm, job, _explanation(farm, job, now))


def _explanation(farm: Farm, job: Job, now: Moment) -> str:
    task = next(iter(_next_tasks(job)), None)
    if task is None:
        return job.activity
    first = why(farm, task, now)[0]
    return _STEADY.get(first.code, first.text)


def _next_tasks(job: Job) -> Iterator[Task]:
    """Yield tasks that would come first: the heads of its lists, else, while it is held back, any."""
    for heap in job.ready.values():
        if heap and is_runnable(heap[0][2]):
            yield heap[0][2]
    if job.is_held_back and job.tasks:
        yield job.tasks[0]
