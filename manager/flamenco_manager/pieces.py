"""Changing a job of very many tasks piece by piece, so that nobody else waits for all of it. Pure.

Between two pieces others get their turn, and each piece is stored by itself. Nothing of the job is handed out
meanwhile, and nothing ends it: what is so in between is nobody's business.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

from flamenco_manager.farm import Farm
from flamenco_manager.model import Job, Task
from flamenco_manager.task_rules import is_runnable

AT_ONCE = 2_000
"""So many tasks are changed in one go. A smaller job changes in one step."""


def in_pieces(farm: Farm, job: Job, tasks: Sequence[Task], act: Callable[[Task], None]) -> Iterator[None]:
    """Do something to each of a job's tasks; yields between two pieces. ``list_again`` must follow."""
    if len(tasks) <= AT_ONCE:
        for task in tasks:
            act(task)
        return
    job.is_changing = True
    farm.scheduler.drop(job)
    for first in range(0, len(tasks), AT_ONCE):
        for task in tasks[first : first + AT_ONCE]:
            act(task)
        farm.job_changed(job)
        yield
    job.is_changing = False


def list_again(farm: Farm, tasks: Iterable[Task]) -> Iterator[None]:
    """List all of these tasks that are runnable; yields between two pieces."""
    waiting = iter(tasks)
    while piece := list(islice(waiting, AT_ONCE)):
        farm.list_runnable(task for task in piece if is_runnable(task))
        if len(piece) == AT_ONCE:
            yield


def at_once(pieces: Iterator[None]) -> None:
    """Go through all pieces without a pause."""
    for _ in pieces:
        pass
