"""Which task comes first. Pure, and quick: O(log n) for each question, however many tasks wait.

Jobs by priority, then by the farm's policy: by age (``fifo``), or those with fewest active Workers first
(``balanced``); within a job, tasks by priority, then in their order (jobs.md, "Who gets which task"). Tasks are listed
by kind, so that what a Worker cannot take, or a limit forbids, is passed over as a whole; so are jobs that have as many
Workers as they may have. Lists are cleaned when they are read: what stands in one and is not runnable any more is
dropped then.
"""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator
from heapq import heappop, heappush, merge

from flamenco_core.statuses import TaskStatus
from flamenco_manager.model import Job, Kind, Task
from flamenco_manager.task_rules import is_runnable

LOOKED_AT = 64
"""Who gets tasks ahead of time gets them of so many that come next."""

_Order = tuple[int, int, float, int]
_JobEntry = tuple[_Order, Job]
_TaskEntry = tuple[int, int, Task]


class Scheduler:
    """The runnable tasks of a farm, in the order in which they are handed out."""

    def __init__(self) -> None:
        self._is_balanced = False
        self._jobs: dict[Kind, list[_JobEntry]] = {}
        """Per kind of task: the jobs that list such tasks, sorted."""

    @property
    def is_balanced(self) -> bool:
        """Among jobs of equal priority, those with fewest active Workers come first."""
        return self._is_balanced

    def set_balanced(self, is_balanced: bool) -> None:
        """Change the policy; everything is sorted anew."""
        if is_balanced != self._is_balanced:
            self._is_balanced = is_balanced
            for job in {job.key: job for jobs in self._jobs.values() for _, job in jobs}.values():
                self.reorder(job)

    def add(self, task: Task) -> None:
        """List a task that has become runnable; once is enough, twice does no harm."""
        if task.is_listed:
            return
        task.is_listed = True
        job, kind = task.job, task.kind
        heap = job.ready.get(kind)
        if heap is None:
            if not job.ready:
                job.order = self._order_of(job)
            heap = job.ready[kind] = []
            if not job.is_passed_over:
                self._enter(job, kind)
        heappush(heap, (-task.priority, task.index, task))

    def drop(self, job: Job) -> None:
        """Forget the tasks of a job: none of them can be handed out now."""
        for kind in list(job.ready):
            self._unlist(job, kind)

    def reorder(self, job: Job) -> None:
        """Put a job where it belongs now: its priority changed, or how many Workers it has."""
        order = self._order_of(job)
        if order == job.order:
            return
        is_entered = not job.is_passed_over
        for kind in job.ready if is_entered else ():
            self._leave(job, kind)
        job.order = order
        for kind in job.ready if is_entered else ():
            self._enter(job, kind)

    def pass_over(self, job: Job) -> None:
        """Look at a job no more: it has as many Workers as it may have. Its tasks stay listed."""
        if not job.is_passed_over:
            for kind in job.ready:
                self._leave(job, kind)
            job.is_passed_over = True

    def look_at(self, job: Job) -> None:
        """Look at a job again that was passed over."""
        if job.is_passed_over:
            job.order = self._order_of(job)
            for kind in job.ready:
                self._enter(job, kind)
            job.is_passed_over = False

    def has_entered(self, job: Job, kind: Kind) -> bool:
        """Tell whether a job is looked at for tasks of a kind, and stands where it belongs."""
        jobs = self._jobs.get(kind, [])
        at = bisect_left(jobs, job.order, key=_order)
        return at < len(jobs) and jobs[at][1] is job and job.order == self._order_of(job)

    def first(
        self,
        fits_kind: Callable[[Kind], bool],
        fits_tasks_of: Callable[[Job, Kind], bool],
        fits: Callable[[Task], bool],
    ) -> Task | None:
        """Return the first runnable task that fits in every respect, or None. It stays listed until it runs.

        ``fits_tasks_of``: the tasks of one kind in one job fit, as far as that can be told of all of them at once.
        """
        kinds = {kind for kind in self._jobs if fits_kind(kind)}
        for job in self._jobs_with(kinds):
            fitting = [kind for kind in job.ready if kind in kinds and fits_tasks_of(job, kind)]
            found = [task for kind in fitting if (task := self._first_of(job, kind, fits)) is not None]
            if found:
                return min(found, key=lambda task: (-task.priority, task.index))
        return None

    def next_of(self, job: Job, kind: Kind, fits: Callable[[Task], bool], most: int) -> list[Task]:
        """Return up to ``most`` of the runnable tasks of one job and kind that come next, those that fit."""
        heap = job.ready.get(kind, [])
        kept: list[_TaskEntry] = []
        found: list[Task] = []
        while heap and len(found) < most and len(kept) < LOOKED_AT:
            entry = heappop(heap)
            task = entry[2]
            task.is_listed = is_runnable(task)
            if task.is_listed:
                kept.append(entry)
                if fits(task):
                    found.append(task)
        for entry in kept:
            heappush(heap, entry)
        return found

    def ahead_of(self, task: Task) -> int:
        """Count the tasks that come before one, as far as it competes with them: those of its kind.

        O(n) in its own job. Of other jobs those are counted that are listed: nearly all of them are runnable.
        """
        count = 0
        for _, job in self._jobs.get(task.kind, ()):
            heap = job.ready[task.kind]
            _clean(heap)
            if job is not task.job:
                count += len(heap)
                continue
            if heap and heap[0][2] is task:
                return count
            mine = (-task.priority, task.index)
            return count + sum(entry[:2] < mine for entry in heap if is_runnable(entry[2]))
        return count

    def _jobs_with(self, kinds: Iterable[Kind]) -> Iterator[Job]:
        """Yield, in order, the jobs that list tasks of these kinds, each once."""
        lists = [_in_order(self._jobs[kind]) for kind in kinds]
        before: Job | None = None
        for _, job in lists[0] if len(lists) == 1 else merge(*lists, key=_order):
            if job is not before:
                yield job
            before = job

    def _first_of(self, job: Job, kind: Kind, fits: Callable[[Task], bool]) -> Task | None:
        heap = job.ready.get(kind)
        if heap is None:
            return None
        skipped: list[_TaskEntry] = []
        found: Task | None = None
        while _clean(heap):
            if fits(heap[0][2]):
                found = heap[0][2]
                break
            skipped.append(heappop(heap))
        for entry in skipped:
            heappush(heap, entry)
        if not heap:
            self._unlist(job, kind)
        return found

    def _unlist(self, job: Job, kind: Kind) -> None:
        for _, _, task in job.ready.pop(kind):
            task.is_listed = False
        if not job.is_passed_over:
            self._leave(job, kind)

    def _enter(self, job: Job, kind: Kind) -> None:
        insort(self._jobs.setdefault(kind, []), (job.order, job), key=_order)

    def _leave(self, job: Job, kind: Kind) -> None:
        jobs = self._jobs[kind]
        del jobs[bisect_left(jobs, job.order, key=_order)]
        if not jobs:
            del self._jobs[kind]

    def _order_of(self, job: Job) -> _Order:
        active = job.counts.get(TaskStatus.ACTIVE, 0) if self._is_balanced else 0
        return (-job.priority, active, job.created.timestamp() if job.created else 0.0, job.key)


def listed(job: Job) -> Iterable[Task]:
    """Yield the tasks of a job that are listed for hand-out, in no order."""
    return (entry[2] for heap in job.ready.values() for entry in heap)


def _clean(heap: list[_TaskEntry]) -> bool:
    """Drop what is not runnable any more from the head of a list; tells whether something is left."""
    while heap and not is_runnable(heap[0][2]):
        heappop(heap)[2].is_listed = False
    return bool(heap)


def _in_order(jobs: list[_JobEntry]) -> Iterator[_JobEntry]:
    """Yield the entries, although the list loses some of those already yielded while we look at their jobs."""
    order: _Order | None = None
    while True:
        at = 0 if order is None else bisect_left(jobs, order, key=_order)
        at += at < len(jobs) and jobs[at][0] == order
        if at >= len(jobs):
            return
        order = jobs[at][0]
        yield jobs[at]


def _order(entry: _JobEntry) -> _Order:
    return entry[0]
