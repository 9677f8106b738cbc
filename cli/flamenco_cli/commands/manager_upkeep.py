"""``flamenco manager check``, ``repair``, ``backup`` and ``restore``: for whoever keeps a Manager, on its machine."""

import asyncio
import sys
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from flamenco_cli.asking import confirm
from flamenco_cli.exit_codes import ExitCode
from flamenco_cli.running import FOLDER, json_option
from flamenco_cli.services import manager_data, manager_upkeep
from flamenco_cli.teaching import Verb
from flamenco_cli.terminal import notes, print_json, print_line, say, size
from flamenco_runtime.clock import utc_now

T = TypeVar("T")
Tell = Callable[[str, float], Coroutine[Any, Any, None]]
FILE = click.Path(path_type=Path)

_LEFT_OUT = "Not in it: files of jobs, logs, previews, and the Manager's token (jobs, task-logs, previews, link.json)."

data_option = click.option("--data", type=FOLDER, help="The Manager's data folder. Without: the one of your settings.")
config_option = click.option("--config", type=FILE, metavar="FILE", help="The Manager's settings file.")
yes_option = click.option("--yes", "-y", is_flag=True, help="Do not ask.")


@click.command("check", cls=Verb, examples=["flamenco manager check", "flamenco manager check --json | jq .findings"])
@data_option
@config_option
@json_option
def check_command(data: Path | None, config: Path | None, as_json: bool) -> ExitCode:
    """Look whether what a Manager keeps fits together: memory, store, counts. It may run meanwhile.

    Exit code 1: something was found.
    """
    upkeep, folder = manager_upkeep(), manager_data(data, config)
    found = _done(lambda tell: upkeep.check(folder, tell))
    if as_json:
        print_json(found)
    else:
        _print_findings([f"{one['about']}: {one['what']} {one['advice']}" for one in found["findings"]])
        if found["unsettled"]:
            say(f"{found['unsettled']} things changed all the time, and could not be compared.", "doubtful")
        if found["is_sound"]:
            print_line(f"All is well with {_counted(found)}.")
    return ExitCode.DONE if found["is_sound"] else ExitCode.DIFFERS


@click.command("repair", cls=Verb, examples=["flamenco manager repair", "flamenco manager repair --yes"])
@data_option
@config_option
@yes_option
def repair_command(data: Path | None, config: Path | None, yes: bool) -> ExitCode:
    """Mend what 'flamenco manager check' found, as far as that can be done; the Manager must be stopped.

    Says first what it would do, and asks. The store is copied before.
    """
    upkeep, folder = manager_upkeep(), manager_data(data, config)
    found = _done(lambda tell: upkeep.plan_repair(folder, tell))
    _print_findings([str(finding) for finding in found])
    can = sum(finding.is_repairable for finding in found)
    if not can:
        say("There is nothing to mend." if not found else "None of this can be mended.")
        return ExitCode.DIFFERS if found else ExitCode.DONE
    _confirm(f"Mend {can} of these?", yes=yes)
    mended, backup = _done(lambda tell: upkeep.repair(folder, tell))
    say(f"Mended: {len(mended)}. As it was before, the store is in {backup}.", "good")
    return ExitCode.DONE if can == len(found) else ExitCode.DIFFERS


@click.command(
    "backup",
    cls=Verb,
    examples=["flamenco manager backup", "flamenco manager backup /var/backups/flamenco/"],
)
@click.argument("target", type=click.Path(), required=False)
@data_option
@config_option
@json_option
def backup_command(target: str | None, data: Path | None, config: Path | None, as_json: bool) -> None:
    """Copy a Manager's store into a file, TARGET or a new one in the folder TARGET; the Manager may run meanwhile.

    Nobody waits for it. The copy is of one moment, checked and on disk when this ends; only its owner may read it. An
    older backup of the same name is replaced, anything else is not.
    It holds jobs, tasks and commands, Workers, and what the Server is still to hear; not the files of jobs, logs and
    previews (jobs, task-logs and previews in DATA), and not the Manager's token (link.json in DATA, a secret).
    """
    upkeep, folder = manager_upkeep(), manager_data(data, config)
    chosen = _file_for(target)
    made = _done(lambda tell: upkeep.back_up(folder, chosen, tell))
    if as_json:
        print_json(made)
        return
    say(f"{_counted(made)}, {size(made['size_bytes'])}. {_LEFT_OUT}", "quiet")
    print_line(made["file"])


@click.command("restore", cls=Verb, examples=["flamenco manager restore flamenco-manager-20261124T213000Z.sqlite"])
@click.argument("file", type=FILE)
@data_option
@config_option
@yes_option
def restore_command(file: Path, data: Path | None, config: Path | None, yes: bool) -> None:
    """Put a backup back in the place of a Manager's store; the Manager must be stopped.

    The store that is there is kept aside. When the Manager starts, it hands nothing out until it has spoken with its
    Server: what happened since the backup comes back from there.
    """
    upkeep, folder = manager_upkeep(), manager_data(data, config)
    plan = asyncio.run(upkeep.plan_restore(folder, file))
    say(f"{file} holds {_counted(plan.new.document())}.")
    if plan.present is not None:
        say(f"{folder} has {_counted(plan.present.document())} now; that store is kept in {folder / 'replaced'}.")
    _confirm(f"Put {file} back into {folder}?", yes=yes)
    aside = _done(lambda tell: upkeep.restore(folder, file, tell))
    say(f"It is back.{'' if aside is None else f' What was there before is {aside}.'} Start the Manager now.", "good")


VERBS = (check_command, repair_command, backup_command, restore_command)


def _done(work: Callable[[Tell], Coroutine[Any, Any, T]]) -> T:
    """Do something, and show how far it has come where somebody looks."""
    with notes().status("") as status:

        async def tell(doing: str, share: float) -> None:
            status.update(f"{doing} … {share:.0%}" if share else f"{doing} …")

        return asyncio.run(work(tell))


def _confirm(question: str, *, yes: bool) -> None:
    """Ask before a store is changed; a script must have said ``--yes``. Raises Exit, UsageError."""
    if not yes and not sys.stdin.isatty():
        raise click.UsageError("Nothing was changed: nobody can be asked here. Say --yes if you mean it.")
    confirm(question, yes=yes)


def _file_for(target: str | None) -> Path:
    """Return the whole path of the file to make: a new one, where only a folder is named, be it there or not."""
    file = Path(target or ".")
    if file.is_dir() or (target or "").endswith("/"):
        file /= f"flamenco-manager-{utc_now():%Y%m%dT%H%M%SZ}.sqlite"
    return file.absolute()


def _print_findings(lines: Sequence[str]) -> None:
    for line in lines:
        print_line(line)


def _counted(held: Any) -> str:
    """Say how much a store holds."""
    nouns = (("jobs", "job"), ("tasks", "task"), ("workers", "Worker"))
    words = [f"{held[key]:,} {noun}{'' if held[key] == 1 else 's'}" for key, noun in nouns]
    return f"{words[0]}, {words[1]} and {words[2]}"
