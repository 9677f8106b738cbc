"""``echo-sleep-test``: tries a farm without Blender. One task says something, then others sleep."""

from collections.abc import Iterator

from flamenco_core.wire.worker_api import Command
from flamenco_server.job_type import AuthoredTask, JobToCompile, JobType, Setting

TASK_TYPE = "misc"


def compile_job(job: JobToCompile) -> Iterator[AuthoredTask]:
    """Yield the task that speaks, then as many that sleep once it has spoken."""
    yield AuthoredTask("echo", TASK_TYPE, [Command("echo", {"message": job.settings["message"]})])
    sleep = Command("sleep", {"duration_in_seconds": job.settings["sleep_duration_seconds"]})
    for number in range(1, int(job.settings["sleep_repeats"]) + 1):
        yield AuthoredTask(f"sleep-{number}", TASK_TYPE, [sleep], depends_on=[0])


JOB_TYPE = JobType(
    name="echo-sleep-test",
    label="Echo and sleep",
    description="Tries the farm without Blender: a task that prints a message, then tasks that sleep.",
    settings=(
        Setting(
            key="message",
            type="string",
            label="Message",
            description="What the first task prints into its log.",
            default="Flamenco works.",
        ),
        Setting(
            key="sleep_duration_seconds",
            type="float",
            label="Seconds of sleep",
            description="How long each of the other tasks sleeps.",
            default=5.0,
            propargs={"min": 0, "max": 86_400},
        ),
        Setting(
            key="sleep_repeats",
            type="int32",
            label="Sleeping tasks",
            description="How many tasks sleep.",
            default=1,
            propargs={"min": 0, "max": 999_999},
        ),
    ),
    compile=compile_job,
)
