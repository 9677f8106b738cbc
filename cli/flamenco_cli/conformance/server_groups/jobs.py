"""GET jobs/ID and GET jobs/ID/tasks."""

import orjson

from flamenco_cli.conformance.check import Needs
from flamenco_cli.conformance.guest_manager import GuestManager, must_be_problem
from flamenco_cli.conformance.manager_api import SERVER, an_unknown_id
from flamenco_core.identifiers import task_id
from flamenco_core.wire.manager_api import JobDefinitionSchema, TaskDefinitionSchema

TASKS = "its tasks as JSON lines, compressed, resumable with `?after=INDEX`"


@SERVER.declare(
    "jobs",
    says="a job that is gone (404) is reported as dropped",
    asked="GET jobs/ID and its tasks, of a job that there is not and with an id that is none",
    expected="404 each time",
    mend="Answer 404 for jobs that are gone, or another Manager's.",
)
async def _a_job_that_is_gone_is_404(guest: GuestManager) -> None:
    await guest.linked()
    for path in (f"jobs/{an_unknown_id()}", f"jobs/{an_unknown_id()}/tasks", "jobs/nonsense"):
        must_be_problem(await guest.call("GET", path), 404)


@SERVER.declare(
    "jobs",
    says="a job's definition",
    asked="GET jobs/ID",
    expected="200 with id, name, type, priority, owner, created, task_count, files",
    mend="Answer with the job as it was submitted, and what people ask of it now.",
    needs=Needs.FARM,
)
async def _a_job_is_defined(guest: GuestManager) -> None:
    job = await guest.with_job()
    answer = (await guest.call("GET", f"jobs/{job.id}")).must_be(200)
    said = answer.must_have(id=job.id, name=str, type=str, priority=int, owner=str, created=str, files=list)
    JobDefinitionSchema().load(said)
    answer.must_have(task_count=len(guest.tasks))
    if job.blob not in [file["sha256"] for file in said["files"]]:
        raise answer.differs(f"without its file {job.blob}")


@SERVER.declare(
    "jobs",
    says=TASKS,
    asked="GET jobs/ID/tasks, taking gzip",
    expected="200, compressed: a JSON object a line, indexes from 0 on, ids that are UUIDv5 of job and index",
    mend="Stream the tasks in their order, one JSON object a line; compress them for whoever takes that.",
    needs=Needs.FARM,
)
async def _tasks_are_json_lines_in_order(guest: GuestManager) -> None:
    job = await guest.with_job()
    answer = (await guest.call("GET", f"jobs/{job.id}/tasks", headers={"Accept-Encoding": "gzip"})).must_be(200)
    if answer.headers.get("Content-Encoding") not in ("gzip", "deflate"):
        raise answer.differs("not compressed")
    tasks = [TaskDefinitionSchema().load(orjson.loads(line)) for line in answer.body.splitlines() if line]
    if [(task.index, task.id) for task in tasks] != [(n, task_id(job.id, n)) for n in range(len(tasks))]:
        raise answer.differs("with other indexes, or ids, than those of tasks 0, 1, 2 …")
    if any(other >= task.index for task in tasks for other in task.depends_on):
        raise answer.differs("with a task that waits for one after it")


@SERVER.declare(
    "jobs",
    says=TASKS,
    asked="GET jobs/ID/tasks?after=0, and after the last one",
    expected="200 with the tasks from index 1 on; 200 with none",
    mend="Begin behind the index that is named.",
    needs=Needs.FARM,
)
async def _tasks_go_on_behind_an_index(guest: GuestManager) -> None:
    job = await guest.with_job()
    for after in (0, len(guest.tasks) - 1):
        answer = (await guest.call("GET", f"jobs/{job.id}/tasks?after={after}")).must_be(200)
        if [orjson.loads(line) for line in answer.body.splitlines() if line] != guest.tasks[after + 1 :]:
            raise answer.differs(f"where the tasks behind {after} were due")
