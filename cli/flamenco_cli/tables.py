"""Lists of jobs, tasks, frames, Workers, Managers and job types, as tables for people."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

import orjson
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from flamenco_cli.amounts import duration_text
from flamenco_cli.columns import Column, Rows
from flamenco_cli.records import (
    Failure,
    Frame,
    Job,
    JobType,
    Manager,
    Setting,
    Tag,
    Task,
    Worker,
    WorkerState,
)
from flamenco_cli.short_ids import SHORT
from flamenco_cli.terminal import ago, harmless, size
from flamenco_cli.words import WORKER_REQUESTS, look_of, program_of, worker_look_of

BAR_CELLS = 12


def jobs_table(jobs: Iterable[Job], now: datetime) -> Rows:
    """Show a row per job."""
    rows = Rows(
        Column("Id"),
        Column("State"),
        Column("Name", prose=True),
        Column("Progress", spare=2),
        Column("Frames", right=True, spare=1),
        Column("Priority", right=True, spare=5),
        Column("Owner", spare=4),
        Column("Submitted", right=True, spare=3),
    )
    for job in jobs:
        rows.add(
            job["id"][:SHORT],
            look_of(job["status"]).text(),
            job["name"],
            bar(*progress_of(job)),
            _counted(*frames_of(job)),
            str(job["priority"]),
            job["owner"],
            ago(job["created_at"], now),
        )
    return rows


def job_sheet(job: Job, page: str, now: datetime) -> RenderableType:
    """Show everything about one job that a person asks for first."""
    done, total = progress_of(job)
    rows: dict[str, Text | str] = {
        "Name": job["name"],
        "State": look_of(job["status"]).text(),
        "Asked": _asked(job),
        "Not done": job.get("refused", ""),
        "Doing": job["activity"],
        "Progress": Text.assemble(bar(done, total), f" {done} of {total} {noun_of(job)}"),
        "Frames": _frames_line(job),
        "Tasks": ", ".join(_task_counts(job["task_counts"])) or "none yet",
        "Output": job["output"] or "",
        "Type": job["type"],
        "Priority": str(job["priority"]),
        **_terms_lines(job),
        "Manager": job["manager"]["name"] if job["manager"] else "",
        "Submitted": f"{_moment(job['created_at'], now)} by {job['owner']}",
        "Page": page,
        "Id": job["id"],
    }
    return Group(_sheet(rows), *_settings_lines(job))


def tasks_table(tasks: Iterable[Task], worker_names: Mapping[str, str]) -> Rows:
    """Show a row per task; ``worker_names`` by their ids."""
    rows = Rows(
        Column("Id"),
        Column("#", right=True, spare=4),
        Column("State"),
        Column("Name", prose=True, spare=2),
        Column("Frames", prose=True, spare=3),
        Column("Worker", spare=1),
        Column("Tries", right=True, spare=5),
        Column("Doing", prose=True),
    )
    for task in tasks:
        rows.add(
            task["id"][:SHORT],
            str(task["index"]),
            look_of(task["status"]).text(),
            task["name"],
            task["frames"] or "",
            task["worker"]["name"] if task["worker"] else "",
            str(task["attempt"]),
            reasons_of(task["failed_by"], worker_names) or task["activity"],
        )
    return rows


def reasons_of(failures: Sequence[Failure], worker_names: Mapping[str, str]) -> str:
    """Tell why a task failed: each reason once, with the names of the Workers that met it."""
    met_by: dict[str, dict[str, None]] = {}
    for failure in failures:
        name = worker_names.get(failure["worker"], failure["worker"][:SHORT])
        met_by.setdefault(failure["reason"], {})[name] = None
    return "; ".join(f"{', '.join(names)}: {reason}" for reason, names in met_by.items())


def frames_table(frames: Iterable[Frame]) -> Rows:
    """Show a row per frame."""
    rows = Rows(
        Column("Frame", right=True),
        Column("State"),
        Column("Took", right=True, spare=1),
        Column("Size", right=True, spare=3),
        Column("Worker", spare=2),
        Column("Where", prose=True),
    )
    for frame in frames:
        rows.add(
            str(frame["frame"]),
            look_of(frame["status"]).text(),
            f"{frame['seconds']:.1f} s" if frame["seconds"] is not None else "",
            size(frame["size_bytes"]) if frame["size_bytes"] is not None else "",
            frame["worker_name"] or "",
            frame["path"] or "",
        )
    return rows


def workers_table(workers: Iterable[Worker], now: datetime) -> Rows:
    """Show a row per Worker."""
    rows = Rows(
        Column("Id"),
        Column("State"),
        Column("Name", prose=True),
        Column("Manager", spare=3),
        Column("Doing", prose=True),
        Column("Tags", prose=True, spare=4),
        Column("Programs", prose=True, spare=2),
        Column("Last seen", right=True, spare=1),
    )
    for worker in workers:
        task = worker["current_task"]
        rows.add(
            worker["id"][:SHORT],
            _worker_state(worker),
            worker["name"],
            worker["manager"]["name"],
            f"{task['job_name']}: {task['name']}" if task else "",
            ", ".join(worker.get("tags", [])),
            ", ".join(program_of(program["name"], program["version"]) for program in worker["programs"]),
            ago(worker["last_seen"], now),
        )
    return rows


def states_table(states: Iterable[WorkerState], now: datetime) -> Rows:
    """Show a row per change of a Worker's state."""
    rows = Rows(Column("State"), Column("Since", right=True), Column("Why", prose=True))
    for state in states:
        look = worker_look_of(state["status"], approved=True)
        rows.add(look.text(), ago(state["at"], now), state["why"])
    return rows


def tags_table(tags: Iterable[Tag]) -> Rows:
    """Show a row per tag."""
    rows = Rows(Column("Tag"), Column("Meaning", prose=True))
    for tag in tags:
        rows.add(tag["name"], tag["description"])
    return rows


def settings_sheet(settings: Mapping[str, object]) -> RenderableType:
    """Show the farm's settings, as they are written to change them."""
    return _sheet({key: value if isinstance(value, str) else _written(value) for key, value in settings.items()})


def managers_table(managers: Iterable[Manager], now: datetime) -> Rows:
    """Show a row per Manager."""
    rows = Rows(
        Column("Id"),
        Column("State"),
        Column("Name", prose=True),
        Column("Software", spare=3),
        Column("Platform", spare=2),
        Column("Last seen", right=True, spare=1),
    )
    for manager in managers:
        rows.add(
            manager["id"][:SHORT],
            _manager_state(manager),
            manager["name"],
            manager["software"] or "",
            manager["platform"] or "",
            ago(manager["last_seen"], now),
        )
    return rows


def job_types_list(job_types: Iterable[JobType]) -> RenderableType:
    """Show every job type with the settings that a person may set."""
    return Group(*(part for job_type in job_types for part in _job_type_parts(job_type)))


def _job_type_parts(job_type: JobType) -> Iterable[RenderableType]:
    rows = Rows(
        Column("Setting"), Column("Type", prose=True), Column("Default", prose=True), Column("Meaning", prose=True)
    )
    for setting in job_type["settings"]:
        if setting["visibility"] != "hidden":
            kind = " | ".join(setting["choices"]) if setting["choices"] else setting["type"]
            rows.add(setting["key"], kind, _default(setting), setting["description"] or "")
    yield Text(harmless(job_type["name"]), style="bold")
    yield Text(harmless(job_type["description"]))
    yield Padding(rows, (0, 0, 1, 2))


def _default(setting: Setting) -> str:
    return "required" if setting["required"] and setting["default"] is None else _plain(setting["default"])


def _manager_state(manager: Manager) -> Text:
    if manager["last_seen"] is None:
        return Text("○ Never seen", style="quiet")
    return Text("■ Away", style="bad") if manager["away"] else Text("● Connected", style="good")


def noun_of(job: Job) -> str:
    """Name what the progress of a job counts."""
    noun = "frame" if job["frame_count"] else "task"
    return noun if progress_of(job)[1] == 1 else f"{noun}s"


def progress_of(job: Job) -> tuple[int, int]:
    """Return what is done, of how much: frames where the job renders some, else tasks."""
    if job["frame_count"]:
        return frames_of(job)
    return job["task_counts"].get("completed", 0), job["task_count"]


def frames_of(job: Job) -> tuple[int, int]:
    """Return the frames that are done, and all of them."""
    return job["frames_done"] or 0, job["frame_count"] or 0


def bar(done: int, total: int) -> Text:
    """Draw a bar of text, which also survives a pipe."""
    full = round(BAR_CELLS * done / total) if total else 0
    return Text.assemble(("█" * full, "busy" if done < total else "good"), ("░" * (BAR_CELLS - full), "quiet"))


def _sheet(rows: Mapping[str, Text | str]) -> Table:
    sheet = Table.grid(padding=(0, 2, 0, 0))
    sheet.add_column(style="quiet")
    for name, value in rows.items():
        if str(value):
            sheet.add_row(harmless(name), Text(harmless(value), overflow="fold") if isinstance(value, str) else value)
    return sheet


def _settings_lines(job: Job) -> Iterable[RenderableType]:
    if not job["settings"]:
        return []
    return [
        Text("\nSettings", style="quiet"),
        _sheet({f"  {key}": _plain(value) for key, value in job["settings"].items()}),
    ]


def _frames_line(job: Job) -> str:
    return f"{job['frames']} ({job['frame_count']})" if job["frames"] else ""


def _task_counts(counts: Mapping[str, int]) -> Iterable[str]:
    return [f"{count} {look_of(status).word.lower()}" for status, count in counts.items() if count]


def _counted(done: int, total: int) -> str:
    return f"{done}/{total}" if total else ""


def _moment(moment: str, now: datetime) -> str:
    passed = ago(moment, now)
    return "just now" if passed == "now" else f"{passed} ago"


def _worker_state(worker: Worker) -> Text:
    look = worker_look_of(worker["status"], approved=worker["approved"])
    wanted = worker["status_requested"]
    more = list[str]()
    if worker["status"] == "offline":  # what it comes back to; it does nothing now
        more += ["asleep when it is back"] if wanted == "asleep" else []
    elif wanted is not None and wanted != worker["status"]:
        is_later = worker.get("lazy") and worker["current_task"] is not None
        more.append(WORKER_REQUESTS.get(wanted, wanted) + (" after its task" if is_later else ""))
    more += [f"blocked from {block['task_type']} of {block['job'][:SHORT]}" for block in worker.get("blocked", ())]
    return Text.assemble(look.text(), *(harmless(f", {one}") for one in more))


def _asked(job: Job) -> str:
    """Say what is asked of a job and not answered yet, and by whom."""
    asks = job.get("requested", {})
    said = {"state": "{}", "requeue": "requeue"}
    return ", ".join(
        f"{said.get(about, about + ' {}').format(asked['value'])} (by {asked['by']})" for about, asked in asks.items()
    )


def _terms_lines(job: Job) -> Mapping[str, str]:
    """Say when and where a job may run, as far as it says so itself."""
    memory, limits = job.get("memory_bytes"), job.get("limits", {})
    needed = [need["job"][:SHORT] + (" (its end)" if need["ended"] else "") for need in job.get("needs_jobs", [])]
    return {
        "Project": job.get("project", ""),
        "Tag": job.get("tag") or "",
        "Starts after": job.get("start_after") or "",
        "Waits for": ", ".join(needed),
        "Needs": ", ".join(
            [*([size(memory)] if memory else []), *([f"GPU {job['gpu']}"] if job.get("gpu") else [])]
            + [name if count == 1 else f"{count} × {name}" for name, count in limits.items()]
        ),
        "At most": f"{job['max_workers']} Workers" if job.get("max_workers") else "",
        "Each task": ", ".join(_task_limits(job)),
    }


def _task_limits(job: Job) -> Iterator[str]:
    """Say how long a task may run, and be silent."""
    if runtime_s := job.get("task_runtime_limit_s"):
        yield f"at most {duration_text(runtime_s)}"
    if silence_s := job.get("task_silence_limit_s"):
        yield f"at most {duration_text(silence_s)} without output"


def _written(value: object) -> str:
    return orjson.dumps(value).decode()


def _plain(value: object) -> str:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else "" if value is None else str(value)
