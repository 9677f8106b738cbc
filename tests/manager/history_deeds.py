"""What may happen in a farm, in any order: what Workers do, what people ask, time and accidents."""

from collections.abc import Sequence
from typing import Any

from history import History
from history_happenings import deed
from history_plans import GPU, SETTINGS, TAG, job_plans
from hypothesis import strategies as st
from naive_choosing import Handed
from naive_records import LEAVING, NaiveJob, NaiveTask, NaiveWorker, Word
from planned_jobs import TYPES, JobPlan

MOST_WORKERS, MOST_JOBS = 5, 6
RECENT = 12
"""So many hand-outs are still talked about."""

ANY = st.integers(0, 11)
"""Which one of whatever there is."""
ONCE_IN_A_WHILE = st.sampled_from([False, False, False, True])
ENDS = st.sampled_from(["completed", "completed", "failed"])
SECONDS = st.sampled_from([1, 2, 5, 6, 10, 30, 30, 65, 65, 125, 185, 605])


def some_jobs(deeds: "Deeds") -> object:
    return deeds.history.jobs()


def some_were_handed_out(deeds: "Deeds") -> object:
    return deeds.history.handed


def some_wide_job(deeds: "Deeds") -> bool:
    ours = any(worker.ours for worker in deeds.history.workers())
    waiting = [[task for task in job.tasks if task.status == "queued"] for job in deeds.history.jobs()]
    return ours and any(len(tasks) > 6 for tasks in waiting)


def room_for_jobs(deeds: "Deeds") -> bool:
    return len(deeds.history.plans) < MOST_JOBS


class Deeds:
    """All that may happen to one history."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.last: tuple[NaiveWorker, Handed] | None = None
        """The newest hand-out to a Worker that asked just now."""

    # Workers.

    @deed(8, is_work=True, which=ANY, waits=st.booleans(), most=st.sampled_from([1, 4]))
    def ask(self, which: int, waits: bool, most: int) -> None:
        worker = self._worker(which)
        answer = self.history.ask(worker, most=most if worker.ours else 1, waits=waits)
        self.last = (worker, answer) if isinstance(answer, Handed) else None

    @deed(4, is_work=True, waits=st.booleans())
    def all_ask(self, waits: bool) -> None:
        """Let all that are idle look for work."""
        for worker in self.history.workers():
            if worker.status == "awake" and self.history.naive.held(worker) is None:
                self.history.ask(worker, waits=waits)

    @deed(
        10,
        is_work=True,
        when=lambda self: self.history.some_hold(),
        which=ANY,
        status=st.sampled_from(["active", "active", "completed", "completed", "failed", None]),
    )
    def say(self, which: int, status: str | None) -> None:
        task = _pick(self.history.some_hold(), which)
        worker = self.history.naive.workers[task.holder]
        self.history.say(worker, self._next_word(worker, task, status, frames=[1]))

    @deed(8, is_work=True, which=ANY, status=ENDS)
    def run(self, which: int, status: str) -> None:
        """Let a Worker run what it holds, or what it gets, from its beginning to its end."""
        self._run(self._worker(which), status)

    @deed(4, is_work=True, when=some_wide_job, which=ANY)
    def work_ahead(self, which: int) -> None:
        """Let a Worker that was quick get several tasks at once."""
        worker = _pick([worker for worker in self.history.workers() if worker.ours], which)
        self._run(worker, "completed")
        self.history.ask(worker, most=4)

    @deed(2, is_work=True, status=ENDS)
    def all_run(self, status: str) -> None:
        for worker in self.history.workers():
            self._run(worker, status)

    @deed(
        4,
        when=some_were_handed_out,
        which=ANY,
        status=st.sampled_from(["active", "completed", "failed", None, "queued", "canceled"]),
        seq=st.integers(1, 9),
    )
    def say_something_of_the_past(self, which: int, status: str | None, seq: int) -> None:
        """Let a message come late, again, or out of order; Flamenco 3 Workers tell neither attempt nor order."""
        worker, word = self._late_word(which, status, seq)
        if not worker.gone:
            self.history.say(worker, word)

    @deed(
        2,
        when=some_were_handed_out,
        which=ANY,
        said=st.lists(st.tuples(ANY, st.sampled_from(["active", "completed", "failed", None]), ANY), max_size=4),
    )
    def say_many_things(self, which: int, said: list[tuple[int, str | None, int]]) -> None:
        """Let one call tell of many attempts, those of now among them."""
        worker = self._worker(which)
        words = [self._late_word(past, status, seq + 1) for past, status, seq in said]
        words = [(one, word) for one, word in words if one is worker and worker.ours]
        held = self.history.naive.held(worker)
        now = [self._next_word(worker, held, "active")] if held is not None and worker.ours else []
        if words or now:
            self.history.say_all(worker, [word for _, word in words] + now)

    @deed(3, is_work=True, when=lambda self: self.history.some_hold(), which=ANY, waits=st.booleans())
    def one_that_holds_a_task_asks(self, which: int, waits: bool) -> None:
        """Let a Worker ask as if the answer had been lost, or as if it had died."""
        worker = self.history.naive.workers[_pick(self.history.some_hold(), which).holder]
        answer = self.history.ask(worker, waits=waits)
        self.last = (worker, answer) if isinstance(answer, Handed) else None

    @deed(6, is_work=True, when=lambda self: self.history.reserved(), which=ANY)
    def begin_what_comes_next(self, which: int) -> None:
        """Let a Worker go on to a task that it had ahead of time."""
        task = _pick(self.history.reserved(), which)
        self.history.say(self.history.naive.workers[task.reserved], Word(task.id, task.attempt, 1, "active"))

    @deed(2, when=lambda self: self.history.reserved(), which=ANY)
    def release(self, which: int) -> None:
        """Let a Worker give back a task that it had ahead of time, or has begun."""
        ours = [handed for handed in self.history.handed[-6:] if not self.history.naive.workers[handed.worker].gone]
        if ours:
            handed = _pick(ours, which)
            self.history.release(self.history.naive.workers[handed.worker], handed.task, handed.attempt)

    @deed(2, when=some_were_handed_out, which=ANY)
    def ask_whether_to_go_on(self, which: int) -> None:
        handed = _pick(self.history.handed[-12:], which)
        worker = self.history.naive.workers[handed.worker]
        if not worker.gone:
            self.history.may_run(worker, handed.task, handed.attempt if worker.ours else None)

    @deed(3, which=ANY, only_blender=ONCE_IN_A_WHILE, wakes=st.booleans())
    def die_and_come_back(self, which: int, only_blender: bool, wakes: bool) -> None:
        worker = self._worker(which)
        self.history.sign_on(worker, TYPES[1:] if only_blender else TYPES)
        if wakes:
            self.history.say_status(worker, "awake")

    @deed(which=ANY)
    def sign_off(self, which: int) -> None:
        self.history.sign_off(self._worker(which))

    @deed(which=ANY, status=st.sampled_from(["awake", "awake", "awake", "asleep", "starting"]))
    def say_status(self, which: int, status: str) -> None:
        self.history.say_status(self._worker(which), status)

    @deed(4, is_work=True, when=lambda self: any(worker.requested for worker in self.history.workers()), which=ANY)
    def do_as_asked(self, which: int) -> None:
        """Let a Worker hear what it is to be, and be so."""
        worker = _pick([worker for worker in self.history.workers() if worker.requested], which)
        self.history.poll(worker)
        if worker.requested in LEAVING:
            self.history.sign_off(worker)
        else:
            self.history.say_status(worker, worker.requested)

    @deed(2, when=lambda self: self.last is not None)
    def connection_closed(self) -> None:
        """Let the last hand-out not reach its Worker."""
        if self.last is not None and not self.last[0].gone:
            self.history.take_back(*self.last)
        self.last = None

    @deed(when=lambda self: self.history.manager.parked, which=ANY)
    def hang_up(self, which: int) -> None:
        waiting = [worker for worker in self.history.workers() if self.history.is_waiting(worker)]
        self.history.hang_up(_pick(waiting, which))

    @deed(when=lambda self: len(self.history.naive.workers) < MOST_WORKERS, approved=st.booleans())
    def register(self, approved: bool) -> None:
        self.new_worker(len(self.history.naive.workers), approved=approved)

    # Time and accidents.

    @deed(6, is_work=True, when=lambda self: self.history.some_hold(), which=ANY, others_ask=st.booleans())
    def one_falls_silent(self, which: int, others_ask: bool) -> None:
        """Let a Worker be silent until it is given up, while the others are there, and maybe look for work."""
        silent = self.history.naive.workers[_pick(self.history.some_hold(), which).holder]
        others = [worker for worker in self.history.workers() if worker is not silent]
        self.history.passes(65 if self.history.naive.held(silent).begun else 185, others)
        for worker in others if others_ask else ():
            if worker.status == "awake" and self.history.naive.held(worker) is None:
                self.history.ask(worker)

    @deed(6, is_work=True, when=lambda self: self.history.silent(), which=ANY, status=ENDS, asks=st.booleans())
    def one_is_heard_of_again(self, which: int, status: str, asks: bool) -> None:
        """Let a Worker that was given up go on, or ask whether it may, as if nothing had been."""
        worker = _pick(self.history.silent(), which)
        handed = next((one for one in reversed(self.history.handed) if one.worker == worker.id), None)
        if handed is None:
            self.history.poll(worker)
        elif asks:
            self.history.may_run(worker, handed.task, handed.attempt if worker.ours else None)
        else:
            seq = self.history.naive.runs[handed.task, handed.attempt].seq + 1
            facts = (handed.attempt, seq) if worker.ours else (None, None)
            self.history.say(worker, Word(handed.task, *facts, status))

    @deed(4, is_work=True, seconds=SECONDS, present=st.sets(ANY, max_size=3))
    def time_passes(self, seconds: int, present: set[int]) -> None:
        workers = self.history.workers()
        self.history.passes(seconds, [worker for at, worker in enumerate(workers) if at in present])

    @deed(3, is_work=True, seconds=SECONDS)
    def time_passes_and_all_are_there(self, seconds: int) -> None:
        self.history.passes(seconds, self.history.workers())

    @deed()
    def manager_is_stopped_for_a_while(self) -> None:
        self.history.passes(300, ticks=False)

    @deed()
    def manager_is_killed(self) -> None:
        self.last = None
        self.history.restart()

    # People.

    @deed(4, is_work=True, when=room_for_jobs, plan=job_plans())
    def submit(self, plan: JobPlan) -> None:
        known = [(number, ended) for number, ended in plan.needs_jobs if number < len(self.history.plans)]
        self.history.submit(JobPlan(**{**vars(plan), "needs_jobs": known}))

    @deed(when=room_for_jobs, plan=job_plans())
    def submit_slowly(self, plan: JobPlan) -> None:
        """Let a job be announced, and not come yet."""
        self.history.announce(JobPlan(**{**vars(plan), "needs_jobs": ()}))

    @deed(4, is_work=True, when=lambda self: any(job.status == "under-construction" for job in self.history.jobs()))
    def all_of_a_job_has_come(self) -> None:
        for number in range(len(self.history.plans)):
            self.history.arrive(number)

    @deed(4, when=some_jobs, which=ANY, verb=st.sampled_from(["pause", "resume", "pause", "resume", "cancel"]))
    def ask_of_a_job(self, which: int, verb: str) -> None:
        self._order(f"job.{verb}", self._job(which))

    @deed(2, when=some_jobs, which=ANY, verb=st.sampled_from(["delete", "undelete", "undelete", "erase"]))
    def remove_a_job(self, which: int, verb: str) -> None:
        self._order(f"job.{verb}", self._job(which))

    @deed(
        3,
        when=lambda self: self.history.some_hold(),
        which=ANY,
        verb=st.sampled_from(["job.pause", "task.pause", "job.cancel", "task.cancel", "task.requeue"]),
    )
    def interrupt(self, which: int, verb: str) -> None:
        """Let people ask for something just where a Worker is at work."""
        task = _pick(self.history.some_hold(), which)
        self.history.order(verb, {"job": task.job.id} if verb.startswith("job") else {"task": task.id})

    @deed(
        6,
        is_work=True,
        when=lambda self: self.history.needed_jobs(),
        which=ANY,
        verb=st.sampled_from(["delete", "delete", "undelete", "erase", "cancel", "requeue"]),
    )
    def ask_of_a_needed_job(self, which: int, verb: str) -> None:
        """Let people change a job that another one waits for, or has waited for."""
        details = {"which": "all"} if verb == "requeue" else {}
        self._order(f"job.{verb}", _pick(self.history.needed_jobs(), which), **details)

    @deed(
        3,
        when=lambda self: any(job.deleted for job in self.history.jobs()),
        which=ANY,
        verb=st.sampled_from(["undelete", "undelete", "erase"]),
    )
    def empty_the_bin(self, which: int, verb: str) -> None:
        self._order(f"job.{verb}", _pick([job for job in self.history.jobs() if job.deleted], which))

    @deed(
        4,
        when=some_jobs,
        which=ANY,
        what=st.sampled_from(["all", "not-completed", "failed", "chosen"]),
        chosen=st.sets(st.integers(0, 5)),
        seen=st.one_of(st.none(), st.integers(1, 12)),
    )
    def requeue(self, which: int, what: str, chosen: set[int], seen: int | None) -> None:
        """Let people requeue, maybe having looked some steps ago."""
        job = self._job(which)
        details: dict[str, Any] = {"which": what}
        if what == "chosen":
            details["tasks"] = [task.id for task in job.tasks if task.index in chosen]
        self._order("job.requeue", job, seen=seen, **details)

    @deed(when=some_jobs, which=ANY, priority=st.sampled_from([0, 50, 60, 100]))
    def set_priority(self, which: int, priority: int) -> None:
        self._order("job.priority", self._job(which), priority=priority)

    @deed(when=some_jobs, which=ANY, tag=st.sampled_from([None, None, TAG, "nobody's"]))
    def set_tag(self, which: int, tag: str | None) -> None:
        self._order("job.tag", self._job(which), tag=tag)

    @deed(
        5,
        when=lambda self: self.history.tasks(),
        which=ANY,
        verb=st.sampled_from(["cancel", "pause", "pause", "requeue", "requeue"]),
    )
    def ask_of_a_task(self, which: int, verb: str) -> None:
        self.history.order(f"task.{verb}", {"task": _pick(self.history.tasks(), which).id})

    @deed(2, which=ANY, status=st.sampled_from(["awake", "asleep", "offline", "restart"]), lazy=st.booleans())
    def ask_of_a_worker(self, which: int, status: str, lazy: bool) -> None:
        self.history.order("worker.status", {"worker": self._worker(which).id, "status": status, "lazy": lazy})

    @deed(which=ANY, kind=st.sampled_from(["approve", "unblock", "unblock"]))
    def be_good_to_a_worker(self, which: int, kind: str) -> None:
        self.history.order(f"worker.{kind}", {"worker": self._worker(which).id})

    @deed(when=some_jobs, which=ANY, job=ANY, task_type=st.sampled_from(TYPES))
    def unblock_for_a_job(self, which: int, job: int, task_type: str) -> None:
        details = {"worker": self._worker(which).id, "job": self._job(job).id, "task_type": task_type}
        self.history.order("worker.unblock", details)

    @deed(which=ANY, tags=st.sampled_from([[], [TAG], [TAG, "other"]]))
    def tag_a_worker(self, which: int, tags: list[str]) -> None:
        self.history.order("worker.tags", {"worker": self._worker(which).id, "tags": tags})

    @deed(when=lambda self: len(self.history.workers()) > 2, which=ANY)
    def forget_a_worker(self, which: int) -> None:
        self.history.order("worker.forget", {"worker": self._worker(which).id})

    @deed(changed=st.fixed_dictionaries({}, optional=SETTINGS))
    def change_settings(self, changed: dict[str, Any]) -> None:
        self.history.order("settings", changed)

    @deed(which=ANY)
    def send_an_order_twice(self, which: int) -> None:
        self.history.same_order_again(which % len(self.history.orders))

    # What the deeds above are made of.

    def _worker(self, which: int) -> NaiveWorker:
        return _pick(self.history.workers(), which)

    def _job(self, which: int) -> NaiveJob:
        return _pick(self.history.jobs(), which)

    def _order(self, kind: str, job: NaiveJob, *, seen: int | None = None, **details: Any) -> None:
        looked = None if seen is None else max(0, len(self.history.seen) - seen)
        self.history.order(kind, {"job": job.id, **details}, seen=looked)

    def new_worker(self, number: int, *, approved: bool = True) -> None:
        """Register the next Worker: every third is one of Flamenco 3, some have what others lack."""
        self.history.register(
            NaiveWorker(
                f"00000000-0000-4000-9000-{number:012}",
                ours=number % 3 != 1,
                types=TYPES,
                tags=frozenset([TAG]) if number % 2 else frozenset(),
                memory=8 if number != 1 else 4,
                gpus=(GPU,) if number % 3 == 0 else (),
                approved=approved,
                can_restart=number == 0,
            )
        )

    def _next_word(self, worker: NaiveWorker, task: NaiveTask, status: str | None, frames: Sequence[int] = ()) -> Word:
        """What a Worker says next of a task that it holds."""
        if not worker.ours:
            return Word(task.id, None, None, status, 1)
        seq = self.history.naive.runs[task.id, task.attempt].seq + 1
        return Word(task.id, task.attempt, seq, status, 1, frames)

    def _late_word(self, which: int, status: str | None, seq: int) -> tuple[NaiveWorker, Word]:
        handed = _pick(self.history.handed[-12:], which)
        worker = self.history.naive.workers[handed.worker]
        if not worker.ours:
            return worker, Word(handed.task, None, None, status)
        return worker, Word(handed.task, handed.attempt, seq, status, frames=[seq])

    def _run(self, worker: NaiveWorker, status: str) -> None:
        naive = self.history.naive
        if naive.held(worker) is None and worker.status == "awake":
            self.history.ask(worker)
        for said in ("active", status):
            task = naive.held(worker)
            if task is not None:
                self.history.say(worker, self._next_word(worker, task, said, [1, 2]))


def _pick(things: Sequence[Any], which: int) -> Any:
    return things[which % len(things)]
