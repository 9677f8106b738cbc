"""What random histories are made of: jobs, needs, settings of a farm. Most are plain, some have something special."""

from typing import Any

from hypothesis import strategies as st
from naive_records import NO_NEEDS, NaiveNeeds
from planned_jobs import TYPES, JobPlan, TaskPlan

GPU, TAG, LICENCE, PROJECT = "OPTIX", "gpus", "licence", "film"

GRAPHS = st.one_of(
    st.sampled_from([((),), ((), ()), ((), (0,)), ((), (), (0, 1)), ((), (0,), (1,)), ((), (0,), (0,), (1, 2))]),
    st.sampled_from([1, 2, 3, 5, 12, 12]).map(lambda count: ((),) * count),
    st.lists(st.sets(st.integers(0, 5), max_size=2), min_size=2, max_size=6).map(
        lambda sets: tuple(tuple(sorted(one for one in waits if one < at)) for at, waits in enumerate(sets))
    ),
)
NEEDS = st.sampled_from(
    [
        NaiveNeeds(limits={LICENCE: 1}),
        NaiveNeeds(limits={LICENCE: 2}),
        NaiveNeeds(tag=TAG),
        NaiveNeeds(memory=8),
        NaiveNeeds(gpu=GPU),
        NaiveNeeds(gpu="any", tag=""),
        NaiveNeeds(limits={}),
        NaiveNeeds(limits={"unheard of": 1}),
    ]
)
SPECIAL: dict[str, list[Any]] = {
    "max_workers": [1, 2],
    "project": [PROJECT],
    "starts_in_s": [1, 30, 120],
    "needs_jobs": [[(0, False)], [(0, True)], [(1, False), (2, True)], [(3, True)]],
    "start_paused": [True],
    "runtime_limit": [20.0, 100.0],
    "silence_limit": [20.0, 100.0],
}
SETTINGS: dict[str, st.SearchStrategy[Any]] = {
    "policy": st.sampled_from(["fifo", "balanced"]),
    "limits": st.sampled_from([{LICENCE: 1}, {LICENCE: 2}, {LICENCE: 3}, {LICENCE: 0}, {}]),
    "project_caps": st.sampled_from([{PROJECT: 1}, {PROJECT: 2}, {}]),
    "failed_attempts": st.integers(1, 4),
    "lost_attempts": st.integers(1, 3),
    "job_failed_tasks": st.integers(1, 4),
    "job_failed_share": st.sampled_from([0.1, 0.5, 1.0, 0.0]),
    "block_after": st.integers(1, 3),
    "worker_timeout_s": st.sampled_from([60.0, 30.0]),
    "start_up_grace_s": st.sampled_from([0.0, 20.0]),
    "retry_pauses_s": st.sampled_from([[5.0, 30.0, 120.0], [2.5]]),
}
_ONCE_IN_A_WHILE = st.sampled_from([False, False, False, True])


@st.composite
def job_plans(draw: st.DrawFn) -> JobPlan:
    """Draw a job."""
    facts: dict[str, Any] = {}
    if draw(_ONCE_IN_A_WHILE):
        facts["needs"] = draw(NEEDS)
    if draw(_ONCE_IN_A_WHILE):
        name = draw(st.sampled_from([*sorted(SPECIAL), "needs_jobs", "needs_jobs"]))
        facts[name] = draw(st.sampled_from(SPECIAL[name]))
    own_needs = draw(NEEDS) if draw(_ONCE_IN_A_WHILE) else NO_NEEDS
    types, priorities = draw(st.sampled_from([("misc",), TYPES])), draw(st.sampled_from([(50,), (50, 80)]))
    tasks = [
        TaskPlan(
            waits_for, types[at % len(types)], priorities[at % len(priorities)], own_needs if at == 1 else NO_NEEDS
        )
        for at, waits_for in enumerate(draw(GRAPHS))
    ]
    return JobPlan(tasks, draw(st.sampled_from([50, 50, 50, 10, 90])), **facts)
