"""Lists of jobs, tasks, frames, Workers, Managers and job types, as tables for people."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from flamenco_cli.records import Frame, Job, JobType, Manager, Task, Worker
from flamenco_cli.short_ids import SHORT
from flamenco_cli.terminal import ago, size
from flamenco_cli.words import look_of, program_of, worker_look_of

BAR_CELLS = 12


def jobs_table(jobs: Iterable[Job], now: datetime) -> Table:
    """Show a row per job."""
    table = _table("Id", "State", "Name", "Progress", ">Frames", ">Priority", "Owner", ">Submitted")
    for job in jobs:
        table.add_row(
            job["id"][:SHORT],
            look_of(job["status"]).text(),
            Text(job["name"]),
            bar(*progress_of(job)),
            _counted(*frames_of(job)),
            str(job["priority"]),
            Text(job["owner"]),
            ago(job["created_at"], now),
        )
    return table


def job_sheet(job: Job, page: str, now: datetime) -> RenderableType:
    """Show everything about one job that a person asks for first."""
    done, total = progress_of(job)
    rows: dict[str, Text | str] = {
        "Name": Text(job["name"]),
        "State": look_of(job["status"]).text(),
        "Doing": Text(job["activity"]),
        "Progress": Text.assemble(bar(done, total), f" {done} of {total}"),
        "Frames": _frames_line(job),
        "Tasks": Text(", ".join(_task_counts(job["task_counts"])) or "none yet"),
        "Output": Text(job["output"] or ""),
        "Type": Text(job["type"]),
        "Priority": str(job["priority"]),
        "Manager": Text(job["manager"]["name"] if job["manager"] else ""),
        "Submitted": f"{_moment(job['created_at'], now)} by {job['owner']}",
        "Page": Text(page),
        "Id": job["id"],
    }
    return Group(_sheet(rows), *_settings_lines(job))


def tasks_table(tasks: Iterable[Task]) -> Table:
    """Show a row per task."""
    table = _table("Id", ">#", "State", "Name", "Frames", "Worker", ">Tries", "Doing")
    for task in tasks:
        reasons = "; ".join(f"{failure['worker']}: {failure['reason']}" for failure in task["failed_by"])
        table.add_row(
            task["id"][:SHORT],
            str(task["index"]),
            look_of(task["status"]).text(),
            Text(task["name"]),
            task["frames"] or "",
            Text(task["worker"]["name"] if task["worker"] else ""),
            str(task["attempt"]),
            Text(reasons or task["activity"]),
        )
    return table


def frames_table(frames: Iterable[Frame]) -> Table:
    """Show a row per frame."""
    table = _table(">Frame", "State", ">Took", ">Size", "Worker", "Where")
    for frame in frames:
        table.add_row(
            str(frame["frame"]),
            look_of(frame["status"]).text(),
            f"{frame['seconds']:.1f} s" if frame["seconds"] is not None else "",
            size(frame["size_bytes"]) if frame["size_bytes"] is not None else "",
            Text(frame["worker_name"] or ""),
            Text(frame["path"] or ""),
        )
    return table


def workers_table(workers: Iterable[Worker], now: datetime) -> Table:
    """Show a row per Worker."""
    table = _table("Id", "State", "Name", "Manager", "Doing", "Programs", ">Last seen")
    for worker in workers:
        task = worker["current_task"]
        table.add_row(
            worker["id"][:SHORT],
            worker_look_of(worker["status"], approved=worker["approved"]).text(),
            Text(worker["name"]),
            Text(worker["manager"]["name"]),
            Text(f"{task['job_name']}: {task['name']}" if task else ""),
            Text(", ".join(program_of(program["name"], program["version"]) for program in worker["programs"])),
            ago(worker["last_seen"], now),
        )
    return table


def managers_table(managers: Iterable[Manager], now: datetime) -> Table:
    """Show a row per Manager."""
    table = _table("Id", "State", "Name", "Software", "Platform", ">Last seen")
    for manager in managers:
        state = Text("■ Away", style="bad") if manager["away"] else Text("● Connected", style="good")
        row = (Text(manager["name"]), Text(manager["software"] or ""), Text(manager["platform"] or ""))
        table.add_row(manager["id"][:SHORT], state, *row, ago(manager["last_seen"], now))
    return table


def job_types_table(job_types: Iterable[JobType]) -> Table:
    """Show a row per setting of every job type that a person may set."""
    table = _table("Job type", "Setting", "Type", "Default", "Meaning")
    for job_type in job_types:
        table.add_row(Text(job_type["name"], style="bold"), "", "", "", Text(job_type["description"]))
        for setting in job_type["settings"]:
            if setting["visibility"] == "hidden":
                continue
            kind = " | ".join(setting["choices"]) if setting["choices"] else setting["type"]
            default = "required" if setting["required"] and setting["default"] is None else _plain(setting["default"])
            table.add_row("", setting["key"], kind, Text(default), Text(setting["description"] or ""))
    return table


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


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="quiet")
    for heading in headings:
        right = heading.startswith(">")
        table.add_column(heading.removeprefix(">"), justify="right" if right else "left", no_wrap=heading == "Id")
    return table


def _sheet(rows: Mapping[str, Text | str]) -> Table:
    sheet = Table.grid(padding=(0, 2, 0, 0))
    sheet.add_column(style="quiet")
    for name, value in rows.items():
        if str(value):
            sheet.add_row(name, value)
    return sheet


def _settings_lines(job: Job) -> Iterable[RenderableType]:
    if not job["settings"]:
        return []
    return [
        Text("\nSettings", style="quiet"),
        _sheet({f"  {key}": Text(_plain(value)) for key, value in job["settings"].items()}),
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


def _plain(value: object) -> str:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else "" if value is None else str(value)
