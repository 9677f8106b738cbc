"""Section 4: the objects that travel."""

from flamenco_cli.conformance.check import Needs, check
from flamenco_cli.conformance.peer import Differs
from flamenco_cli.conformance.visit import Visit, an_unknown_id
from flamenco_core.identifiers import is_uuid
from flamenco_core.statuses import WorkerStatus

INTEGERS = ("priority", "job_priority", "steps_completed", "steps_total")


@check(
    "4",
    asked="POST register-worker",
    expected='uuid, name, address, status "", platform, software "", supported_task_types',
    mend="Answer registration with the whole RegisteredWorker; its uuid hyphenated, its task types as they were sent.",
)
async def _a_registered_worker_has_every_key(visit: Visit) -> None:
    types = ["misc", " Blender "]
    answer = (await visit.register(supported_task_types=types, platform="beos")).must_be(200)
    record = answer.must_have(
        uuid=str, name=str, address=str, status="", platform="beos", software="", supported_task_types=types
    )
    if not is_uuid(record["uuid"]):
        raise answer.differs("with a uuid that is none")


@check(
    "4",
    asked="POST sign-on",
    expected="status_requested, one of the statuses of section 4",
    mend="Answer sign-on with WorkerStateChange.",
)
async def _a_state_change_names_a_status(visit: Visit) -> None:
    answer = (await (await visit.visitor()).sign_on()).must_be(200)
    if answer.must_have(status_requested=str)["status_requested"] not in [status.value for status in WorkerStatus]:
        raise answer.differs("with a status that there is not")


@check(
    "4",
    asked="GET may-i-run of a task that there is not",
    expected="mayKeepRunning and statusChangeRequested as booleans, reason as text",
    mend="Write MayKeepRunning in camelCase, with all three keys.",
)
async def _may_keep_running_has_every_key(visit: Visit) -> None:
    visitor = await visit.signed_on()
    answer = await visitor.call("GET", f"task/{an_unknown_id()}/may-i-run", what="GET task/ID/may-i-run")
    answer.must_be(200).must_have(mayKeepRunning=bool, statusChangeRequested=bool, reason=str)


@check(
    "4",
    asked="POST task",
    expected="every key of AssignedTask and of its Commands; priorities and steps as integers; status active",
    mend="Write all keys of AssignedTask, numbers without a fraction: 50.0 makes the whole answer unreadable.",
    needs=Needs.TASK,
)
async def _an_assigned_task_has_every_key(visit: Visit) -> None:
    task = (await visit.task(await visit.awake())).document
    for key in ("uuid", "job", "name", "status", "job_type", "task_type"):
        if not isinstance(task.get(key), str):
            raise Differs(f"{key} is {task.get(key)!r}")
    for key in INTEGERS:
        if type(task.get(key)) is not int:
            raise Differs(f"{key} is {task.get(key)!r}")
    if not (is_uuid(task["uuid"]) and is_uuid(task["job"])):
        raise Differs(f"uuid is {task['uuid']!r}, job is {task['job']!r}")
    if task["status"] != "active":
        raise Differs(f"status is {task['status']!r}")
    for command in task.get("commands") or [None]:
        if not isinstance(command, dict) or type(command.get("total_step_count")) is not int:
            raise Differs(f"a command is {command!r}")
        if not (isinstance(command.get("name"), str) and isinstance(command.get("parameters"), dict)):
            raise Differs(f"a command is {command!r}")


@check(
    "4",
    asked="POST task/ID with {}",
    expected="204",
    mend="Accept updates in which every key is absent.",
    needs=Needs.TASK,
)
async def _an_update_may_be_empty(visit: Visit) -> None:
    visitor = await visit.awake()
    task = await visit.task(visitor)
    (await visitor.update(task)).must_be(204).must_be_empty()
