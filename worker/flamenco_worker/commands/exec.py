"""``exec``: runs any program, without a shell."""

from dataclasses import dataclass

from flamenco_worker.command_run import CommandRun
from flamenco_worker.failures import CommandFailed
from flamenco_worker.output_lines import run_program
from flamenco_worker.registry import command


@dataclass(frozen=True)
class Exec:
    """``exe``: a path or a name on PATH; ``args``: its arguments, each passed on as it is."""

    exe: str
    args: tuple[str, ...] = ()


@command("exec")
async def execute(parameters: Exec, run: CommandRun) -> None:
    """Run the program; success is exit status 0. Raises CommandFailed."""

    async def take(lines: list[str]) -> None:
        for line in lines:
            run.reporter.log(line)
        await run.reporter.relieve()

    program = await run.programs.resolve(parameters.exe)
    status = await run_program([program, *parameters.args], take)
    if status != 0:
        raise CommandFailed(f"{parameters.exe} ended with status {status}.")
