"""Which task comes first. Pure, and quick: O(log n) for each question, however many tasks wait.

Jobs by priority, then by age; within a job, tasks by priority, then in their order (jobs.md, "Who gets which task").
Lists are cleaned when they are read: what stands in one and is not runnable any more is dropped then.
"""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator
from heapq import heappop, heappush, merge

from flamenco_manager.model import Job, Task
from flamenco_manager.task_rules import is_runnable

_JobKey = tuple[int, float, int]
_TaskEntry = tuple[int, int, Task]


class Scheduler:
    """The runnable tasks of a farm, in the order in which they are handed out."""

    def __init__(self) -> None:
        self._ready: dict[tuple[int, str], list[_TaskEntry]] = {}
        """Per job and task type: a heap of tasks."""
        self._jobs: dict[str, list[tuple[_JobKey, Job]]] = {}
        """Per task type: the jobs that have such tasks, sorted."""

    def add(self, task: Task) -> None:
        """List a task that has become runnable; once is enough, twice does no harm."""
        if task.is_listed:
            return
        task.is_listed = True
        heap = self._ready.get((task.job.key, task.type))
        if heap is None:
            heap = self._ready[task.job.key, task.type] = []
            insort(self._jobs.setdefault(task.type, []), (_key_of(task.job), task.job), key=_first)
        heappush(heap, (-task.priority, task.index, task))

    def drop(self, job: Job) -> None:
        """Forget the tasks of a job, which has ended."""
        for job_key, task_type in [key for key in self._ready if key[0] == job.key]:
            self._unlist(job, task_type, self._ready[job_key, task_type])

    def first(self, task_types: frozenset[str], fits: Callable[[Task], bool]) -> Task | None:
        """Return the first runnable task of these types that fits, or None. It stays listed until it runs."""
        for job in self._jobs_with(task_types):
            found = [task for task_type in task_types if (task := self._first_of(job, task_type, fits)) is not None]
            if found:
                return min(found, key=lambda task: (-task.priority, task.index))
        return None

    def _jobs_with(self, task_types: frozenset[str]) -> Iterator[Job]:
        """Yield, in order, the jobs that list tasks of these types, each once."""
        lists = [list_ for task_type in task_types if (list_ := self._jobs.get(task_type))]
        before: Job | None = None
        for _, job in merge(*[_in_order(list_) for list_ in lists], key=_first):
            if job is not before:
                yield job
            before = job

    def _first_of(self, job: Job, task_type: str, fits: Callable[[Task], bool]) -> Task | None:
        heap = self._ready.get((job.key, task_type))
        if heap is None:
            return None
        skipped: list[_TaskEntry] = []
        found: Task | None = None
        while heap:
            task = heap[0][2]
            if not is_runnable(task):
                heappop(heap)
                task.is_listed = False
            elif fits(task):
                found = task
                break
            else:
                skipped.append(heappop(heap))
        for entry in skipped:
            heappush(heap, entry)
        if not heap:
            self._unlist(job, task_type, heap)
        return found

    def _unlist(self, job: Job, task_type: str, heap: list[_TaskEntry]) -> None:
        for _, _, task in heap:
            task.is_listed = False
        del self._ready[job.key, task_type]
        jobs = self._jobs[task_type]
        del jobs[bisect_left(jobs, _key_of(job), key=_first)]


def _in_order(jobs: list[tuple[_JobKey, Job]]) -> Iterator[tuple[_JobKey, Job]]:
    """Yield the entries, although the list loses some of those already yielded while we look at their jobs."""
    key: _JobKey | None = None
    while True:
        at = 0 if key is None else bisect_left(jobs, key, key=_first)
        at += at < len(jobs) and jobs[at][0] == key
        if at >= len(jobs):
            return
        key = jobs[at][0]
        yield jobs[at]


def _first(entry: tuple[_JobKey, Job]) -> _JobKey:
    return entry[0]


def _key_of(job: Job) -> _JobKey:
    return (-job.priority, job.created.timestamp() if job.created else 0.0, job.key)
