"""The conformance suite on our own Manager: every check is passed, and every check notices what it is there for."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import pytest
from fake_server import FakeServer
from manager_world import World, a_task, manager_world

from flamenco_cli.conformance.check import Check, Needs, Outcome, Verdict, all_checks
from flamenco_cli.conformance.judging import Patience, Scope, judged
from flamenco_cli.conformance.peer import Differs, open_peer
from flamenco_cli.conformance.visit import Visit
from flamenco_cli.conformance.work import MESSAGE, NoTasks, ReadyTasks, Task, TaskSource
from spoiling_proxy import Given, Spoil, SpoilingProxy, spoiling

CHECKS = [check for check in all_checks() if not check.is_slow]


@dataclass
class SiteTasks:
    """Tasks of jobs that a fake Server submits."""

    server: FakeServer
    advice: str = ""
    has_tasks: bool = True
    has_farm: bool = True
    jobs: list[str] = field(default_factory=list)

    async def prepare(self) -> None:
        if not self.jobs:
            speaks = a_task(commands=[{"name": "echo", "parameters": {"message": MESSAGE}, "total_step_count": 0}])
            self.jobs.append(await self.server.submit([speaks, *[a_task(steps_total=5) for _ in range(80)]]))
            await self.server.until_job(self.jobs[-1], "queued")

    def owns(self, task: Task) -> bool:
        return True

    async def approve(self, worker_id: str) -> bool:
        await self.server.issue("worker.approve", worker=worker_id)
        return True

    async def ask_worker(self, worker_id: str, status: str, *, lazy: bool) -> None:
        await self.server.issue("worker.status", worker=worker_id, status=status, lazy=lazy)

    async def forget(self, worker_id: str) -> None:
        await self.server.issue("worker.forget", worker=worker_id)

    async def cancel_job(self) -> None:
        await self.prepare()
        await self.server.issue("job.cancel", job=self.jobs.pop())

    async def close(self) -> None:
        self.jobs.clear()


@pytest.fixture
async def world(server: FakeServer, tmp_path: Path) -> AsyncIterator[World]:
    async with manager_world(tmp_path, server, registration_token="let-me-in") as running:
        yield running


async def verdicts_of(
    url: str, source: TaskSource, *, scope: Scope | None = None, token: str | None = None
) -> dict[str, Verdict]:
    told: list[str] = []
    async with open_peer(url) as peer:
        visit = Visit(peer, source, token)
        patience = Patience(0, told.append)
        return {one.check.name: one async for one in judged(visit, all_checks(), scope or Scope(), patience)}


def failed(verdicts: dict[str, Verdict]) -> set[str]:
    return {name for name, verdict in verdicts.items() if verdict.outcome is Outcome.FAILED}


async def test_our_manager_passes_every_check(world: World) -> None:
    verdicts = await verdicts_of(world.url, SiteTasks(world.server))
    assert {name: one.came for name, one in verdicts.items() if one.outcome is Outcome.FAILED} == {}
    assert {name for name, one in verdicts.items() if one.outcome is Outcome.NOT_JUDGED} == {
        "idle-connections-are-kept"
    }
    assert len(verdicts) > 100


async def test_without_tasks_only_the_checks_that_need_some_are_left_out(world: World) -> None:
    verdicts = await verdicts_of(world.url, NoTasks())
    assert failed(verdicts) == set()
    left_out = {name for name, one in verdicts.items() if one.outcome is Outcome.NOT_JUDGED}
    assert left_out == {one.name for one in all_checks() if one.needs in (Needs.TASK, Needs.FARM) or one.is_slow}


async def test_tasks_that_are_ready_are_enough_for_what_needs_no_server(world: World) -> None:
    await SiteTasks(world.server).prepare()
    verdicts = await verdicts_of(world.url, ReadyTasks())
    assert failed(verdicts) == set()
    left_out = {name for name, one in verdicts.items() if one.outcome is Outcome.NOT_JUDGED}
    assert left_out == {one.name for one in all_checks() if one.needs is Needs.FARM or one.is_slow}


@pytest.fixture
async def proxy(world: World) -> AsyncIterator[SpoilingProxy]:
    async with spoiling(world.url) as running:
        yield running


@pytest.mark.parametrize("group", sorted({check.group for check in CHECKS}, key=int))
async def test_every_check_notices_that_the_last_answer_is_a_500(
    world: World, proxy: SpoilingProxy, group: str
) -> None:
    unnoticed = []
    async with open_peer(proxy.url) as peer:
        source = SiteTasks(world.server)
        visit = Visit(peer, source, None)
        for check in (check for check in CHECKS if check.group == group):
            if check.needs in (Needs.TASK, Needs.FARM):
                await source.cancel_job()  # a new one: a Worker that failed too much of the old one is kept from it
            await check.run(visit)  # Workers are registered, tasks are there
            await visit.clean_up()
            before = proxy.calls
            await check.run(visit)
            calls = proxy.calls - before
            await visit.clean_up()
            if await passes_with_a_500_at(check, visit, proxy, proxy.calls + calls):
                unnoticed.append(check.name)
    assert unnoticed == []


async def passes_with_a_500_at(check: Check, visit: Visit, proxy: SpoilingProxy, call: int) -> bool:
    proxy.fails_from = call
    try:
        await check.run(visit)
    except Differs as difference:
        return "500" not in str(difference)
    finally:
        proxy.fails_from = None
        await visit.clean_up()
    return True


def _json(given: Given, **changes: object) -> Given:
    return given.but(body=orjson.dumps(orjson.loads(given.body) | changes))


def refuses_with_401(given: Given) -> Given:
    if given.status != 403:
        return given
    return given.but(status=401, headers={**given.headers, "WWW-Authenticate": "Basic"})


def asks_for_a_password(given: Given) -> Given:
    return given.but(headers={**given.headers, "WWW-Authenticate": "Basic"}) if given.status == 403 else given


def refuses_without_a_message(given: Given) -> Given:
    return given.but(body=b"{}") if given.status in (400, 403) else given


def calls_nothing_json(given: Given) -> Given:
    is_empty = given.status == 204
    return given.but(headers={**given.headers, "Content-Type": "application/json"}) if is_empty else given


def writes_json_as_text(given: Given) -> Given:
    is_json = "json" in given.headers.get("Content-Type", "")
    return given.but(headers={**given.headers, "Content-Type": "text/plain"}) if is_json else given


def writes_integers_as_fractions(given: Given) -> Given:
    if given.path.endswith("/worker/task") and given.status == 200:
        return given.but(body=given.body.replace(b'"priority":50', b'"priority":50.0'))
    return given


def forgets_the_version_of_git(given: Given) -> Given:
    return given.but(body=b'{"version": "1", "shortversion": "1", "name": "x"}') if "version" in given.path else given


def says_409_for_423(given: Given) -> Given:
    return given.but(status=409) if given.status == 423 else given


def wakes_everybody_at_sign_on(given: Given) -> Given:
    if given.path.endswith("/sign-on") and given.status == 200:
        return _json(given, status_requested="awake")
    return given


def lets_everything_run(given: Given) -> Given:
    if "may-i-run" in given.path and given.status == 200:
        return _json(given, mayKeepRunning=True, statusChangeRequested=False)
    return given


def lets_nothing_run(given: Given) -> Given:
    if "may-i-run" in given.path and given.status == 200:
        return _json(given, mayKeepRunning=False, reason="no")
    return given


def takes_every_update(given: Given) -> Given:
    is_update = given.method == "POST" and "/worker/task/" in given.path and "output" not in given.path
    return given.but(status=204, body=b"", headers={}) if is_update and given.status in (400, 409) else given


def numbers_no_attempts(given: Given) -> Given:
    if given.path.endswith("/worker/task") and given.status == 200:
        return given.but(body=orjson.dumps({k: v for k, v in orjson.loads(given.body).items() if k != "attempt"}))
    return given


def mixes_up_results(given: Given) -> Given:
    if given.path.endswith("/updates") and given.status == 200:
        return _json(given, results=orjson.loads(given.body)["results"][::-1])
    return given


def takes_no_more_than_10_kb(given: Given) -> Given:
    is_long = given.path.endswith(tuple("0123456789abcdef")) and len(given.said) > 10_000
    return given.but(status=413) if is_long and given.status == 204 else given


def does_not_say_that_it_waited(given: Given) -> Given:
    return given.but(headers={k: v for k, v in given.headers.items() if k != "Preference-Applied"})


SPOILS: dict[Spoil, set[str]] = {
    refuses_with_401: {"state-needs-credentials", "credentials-are-checked-first", "may-i-run-needs-credentials"},
    asks_for_a_password: {"state-needs-credentials", "sign-off-needs-credentials"},
    refuses_without_a_message: {"refused-bodies-have-a-message", "task-needs-credentials"},
    calls_nothing_json: {"empty-answers-are-empty", "an-update-may-be-empty", "state-is-204-when-nothing-is-wanted"},
    writes_json_as_text: {"json-answers-are-declared", "version-tells-who-answers"},
    writes_integers_as_fractions: {"an-assigned-task-has-every-key"},
    forgets_the_version_of_git: {"version-tells-who-answers"},
    says_409_for_423: {"a-pending-status-comes-first", "a-lazy-request-waits-for-the-task"},
    wakes_everybody_at_sign_on: {"sign-on-keeps-what-is-pending", "sign-off-remembers-the-status"},
    lets_everything_run: {
        "an-unknown-task-may-not-run",
        "others-may-not-run-it",
        "an-ended-task-may-not-run",
        "an-immediate-request-stops-the-task",
        "a-cancelled-task-may-not-run",
        "signing-off-gives-the-task-back",
        "leaving-awake-gives-the-task-back",
    },
    lets_nothing_run: {"the-holder-may-run", "workers-cannot-say-soft-failed", "a-lazy-request-waits-for-the-task"},
    takes_every_update: {
        "another-workers-task-is-409",
        "workers-cannot-say-soft-failed",
        "bad-updates-are-400",
        "late-words-change-nothing",
        "repeats-are-harmless",
        "a-result-needs-a-beginning",
        "workers-say-three-statuses",
        "a-reassigned-task-is-409",
        "an-earlier-attempt-changes-nothing",
    },
    numbers_no_attempts: {"attempts-are-numbered"},
    mixes_up_results: {"a-batch-tells-what-became-of-each"},
    takes_no_more_than_10_kb: {"long-logs-are-taken"},
    does_not_say_that_it_waited: {"answers-may-be-held-back", "a-no-ends-the-waiting"},
}


@pytest.mark.parametrize("spoil", SPOILS, ids=lambda spoil: spoil.__name__)
async def test_what_a_manager_gets_wrong_is_found(
    world: World, proxy: SpoilingProxy, spoil: Spoil, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flamenco_cli.conformance.visit.TASK_PATIENCE_S", 2.0)
    proxy.spoil = spoil
    verdicts = await verdicts_of(proxy.url, SiteTasks(world.server), scope=Scope(only=tuple(SPOILS[spoil])))
    assert failed(verdicts) == SPOILS[spoil]
    for name in failed(verdicts):
        assert verdicts[name].check.mend


async def test_a_flamenco_3_manager_is_not_judged_by_what_differs_on_purpose(world: World) -> None:
    verdicts = await verdicts_of(world.url, NoTasks(), scope=Scope(is_flamenco3=True))
    assert {one.check.group for one in verdicts.values()} == {"1", "2", "3", "4", "5", "6", "7", "8", "9"}


async def test_a_manager_elsewhere_says_which_worker_waits_for_approval(world: World, proxy: SpoilingProxy) -> None:
    proxy.added_headers = {"X-Forwarded-For": "192.0.2.1"}
    told: list[str] = []
    async with open_peer(proxy.url) as peer:
        visit = Visit(peer, NoTasks(), None)
        verdicts = [one async for one in judged(visit, all_checks(), Scope(), Patience(0, told.append))]
    waiting = {one.check.name for one in verdicts if one.outcome is Outcome.NEEDS_APPROVAL}
    assert waiting == {one.name for one in CHECKS if one.needs is Needs.AWAKE}
    assert not failed({one.check.name: one for one in verdicts})
    assert len(told) == 1
    name = told[0].split("flamenco worker approve ")[1].split()[0]
    known = [worker["name"] for worker in world.server.mirror["workers"].values()]
    assert name in known


async def test_the_registration_token_spares_the_approval(world: World, proxy: SpoilingProxy) -> None:
    proxy.added_headers = {"X-Forwarded-For": "192.0.2.1"}
    verdicts = await verdicts_of(proxy.url, NoTasks(), token="let-me-in")
    assert failed(verdicts) == set()
    assert all(one.outcome is not Outcome.NEEDS_APPROVAL for one in verdicts.values())


async def test_somebody_who_may_approves_the_workers_on_the_way(world: World, proxy: SpoilingProxy) -> None:
    proxy.added_headers = {"X-Forwarded-For": "192.0.2.1"}
    verdicts = await verdicts_of(proxy.url, SiteTasks(world.server), scope=Scope(only=("6.6", "6.8")))
    assert failed(verdicts) == set()
    assert all(one.outcome is Outcome.PASSED for one in verdicts.values())


async def test_waiting_for_an_approval_ends_when_it_comes(world: World, proxy: SpoilingProxy) -> None:
    proxy.added_headers = {"X-Forwarded-For": "192.0.2.1"}
    async with open_peer(proxy.url) as peer:
        visit = Visit(peer, NoTasks(), None)

        class Approver(Patience):
            async def is_over(self, advice: str) -> bool:
                for worker in await _named(world, visit.names):
                    await world.server.issue("worker.approve", worker=worker)
                return await super().is_over(advice)

        scope = Scope(only=("6.4",))
        verdicts = [one async for one in judged(visit, all_checks(), scope, Approver(30, lambda _: None))]
    assert [one.outcome for one in verdicts] == [Outcome.PASSED] * 2


async def _named(world: World, names: list[str]) -> list[str]:
    workers = world.server.mirror["workers"]
    await world.server.until(lambda: set(names) <= {worker["name"] for worker in workers.values()})
    return [worker_id for worker_id, worker in workers.items() if worker["name"] in names]


async def test_a_task_of_somebody_elses_job_is_given_back(world: World) -> None:
    class OwnTasks(SiteTasks):
        def owns(self, task: Task) -> bool:
            return task.job in self.jobs

    other = await world.server.submit([a_task()], priority=100)
    await world.server.until_job(other, "queued")
    verdicts = await verdicts_of(world.url, OwnTasks(world.server), scope=Scope(only=("the-holder-may-run",)))
    assert "another job" in verdicts["the-holder-may-run"].came
    worker = await world.worker("honest", ours=False)
    assert (await worker.task())["job"] == other
