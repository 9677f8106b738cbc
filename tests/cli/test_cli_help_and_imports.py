"""Help that teaches, and a command that starts fast: services are imported when they are run."""

import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from cli_world import Flamenco, environment

from flamenco_cli.main import root
from flamenco_cli.teaching import Group, Verb

SERVICES = ("flamenco_server", "flamenco_manager", "flamenco_worker")


def every_command() -> Iterator[tuple[list[str], click.Command]]:
    """Every command and subcommand, with the words that name it."""
    context = click.Context(root)
    for name in root.list_commands(context):
        command = root.get_command(context, name)
        assert command is not None
        yield [name], command
        if isinstance(command, click.Group):
            for second, subcommand in command.commands.items():
                yield [name, second], subcommand


COMMANDS = {" ".join(words): command for words, command in every_command()}


def in_a_fresh_python(code: str, folder: Path) -> str:
    """Run code that calls ``run([...])`` in a Python that has imported nothing of ours; returns what it printed."""
    program = f"import sys, io, contextlib; from pathlib import Path\n{code}"
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment(folder), capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout.strip()


IMPORTED = """
from flamenco_cli.main import run
with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
    for arguments in {calls}:
        run(arguments)
print(sorted(module for module in sys.modules if module.partition(".")[0] in {watched}))
"""


def test_help_of_every_command_imports_no_service(tmp_path: Path) -> None:
    calls = [["--help"], *([*shlex.split(words), "--help"] for words in COMMANDS)]
    assert in_a_fresh_python(IMPORTED.format(calls=calls, watched=SERVICES), tmp_path) == "[]"


def test_a_verb_imports_no_service_and_no_library_of_one(tmp_path: Path) -> None:
    watched = (*SERVICES, "apsw", "jinja2", "psutil", "OpenImageIO", "blender_asset_tracer")
    calls = [["jobs"], ["submit", "x.blend"], ["cancel", "abcd"]]
    assert in_a_fresh_python(IMPORTED.format(calls=calls, watched=watched), tmp_path) == "[]"


@pytest.mark.parametrize(
    ("component", "package"),
    [("server", "jinja2"), ("manager", "apsw"), ("worker", "OpenImageIO")],
)
def test_a_missing_extra_is_told_with_how_to_install_it(component: str, package: str, tmp_path: Path) -> None:
    code = f"""
sys.modules["{package}"] = None
from flamenco_cli.main import run
with contextlib.redirect_stderr(io.StringIO()) as err:
    status = run(["{component}", "--data", "{tmp_path}/data"])
print(int(status), err.getvalue(), Path("{tmp_path}/data").exists())
"""
    sentence = f"Error: 'flamenco {component}' needs the package {package}. Install it: pip install "
    assert in_a_fresh_python(code, tmp_path) == f"3 {sentence}'flamenco[{component}]'\n False"


def test_without_a_command_the_help_is_shown(flamenco: Flamenco) -> None:
    outcome = flamenco()
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out == flamenco("--help").out == flamenco("-h").out


def test_the_first_help_teaches_where_to_begin_how_the_farm_is_found_and_what_exit_codes_mean(
    flamenco: Flamenco,
) -> None:
    text = flamenco("--help").out
    for words in ("flamenco demo", "flamenco up", "submit scene.blend", "FLAMENCO_URL", "FLAMENCO_TOKEN", "--data"):
        assert words in text
    assert "0 done, 1 the job failed, 2 wrong use, 3 cannot connect, 4 not allowed" in " ".join(text.split())
    assert all(f"  {words} " in text for words in COMMANDS if " " not in words)


def test_the_version_is_told(flamenco: Flamenco) -> None:
    outcome = flamenco("--version")
    assert outcome.status == 0
    assert outcome.out.startswith("flamenco, version ")


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_says_what_it_does_explains_its_options_and_ends_with_examples(
    words: str, flamenco: Flamenco
) -> None:
    command = COMMANDS[words]
    assert isinstance(command, Verb | Group)
    outcome = flamenco(*shlex.split(words), "--help")
    assert (outcome.status, outcome.err) == (0, "")
    assert command.help
    assert command.help.split("\n")[0].endswith((".", ":"))
    shown, _, examples = outcome.out.partition("Examples:")
    assert f"flamenco {words}" in examples
    assert "..." not in shown.partition("Commands:")[2], "a summary is cut off"
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{words} {parameter.name} is not explained"


@pytest.mark.parametrize("words", COMMANDS)
def test_every_example_can_be_typed_as_it_stands(words: str) -> None:
    """The words of each example are read by the very command line; nothing is run."""
    command = COMMANDS[words]
    assert isinstance(command, Verb | Group)
    for example in command._examples:
        typed = shlex.split(example.partition(" | ")[0].partition("   ")[0], comments=True)
        while "=" in typed[0]:
            typed.pop(0)
        for redirection in ("<", ">", ">>"):
            if redirection in typed:
                del typed[typed.index(redirection) :]
        assert typed[0] == "flamenco"
        read(typed[1:])


def read(arguments: list[str]) -> None:
    """Let click read a line to its last word."""
    with click.Context(root, info_name="flamenco") as context:
        name, command, rest = root.resolve_command(context, arguments)
        assert command is not None
        if isinstance(command, click.Group) and rest and rest[0] in command.commands:
            name, command, rest = rest[0], command.commands[rest[0]], rest[1:]
        command.make_context(name, rest, parent=context).close()


@pytest.mark.parametrize("words", ["jobs", "job", "tasks", "frames", "workers", "managers", "job-types", "cancel"])
def test_whatever_is_listed_can_be_had_as_json(words: str) -> None:
    assert "--json" in [option for parameter in COMMANDS[words].params for option in parameter.opts]
