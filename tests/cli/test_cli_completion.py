"""Shell completion: what the shells are told, and that a real bash completes with it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from cli_world import Flamenco, Outcome, environment, flamenco_process
from click.shell_completion import get_completion_class

from flamenco_cli.main import root

SHELLS = ["bash", "zsh", "fish"]
ASK = {
    "bash": {"COMP_WORDS": "flamenco {words}", "COMP_CWORD": "{count}"},
    "zsh": {"COMP_WORDS": "flamenco {words}", "COMP_CWORD": "{count}"},
    "fish": {"COMP_WORDS": "flamenco {words}", "COMP_CWORD": "{last}"},
}
"""What each shell's script passes on in the environment."""


def asked(shell: str, config: Path, *words: str) -> Outcome:
    """Ask as the shell's script does while somebody types; the last word is not complete yet."""
    values = {"words": " ".join(words), "count": str(len(words)), "last": words[-1]}
    variables = {name: text.format(**values) for name, text in ASK[shell].items()}
    return flamenco_process(config=config, _FLAMENCO_COMPLETE=f"{shell}_complete", **variables)


def offered(shell: str, config: Path, *words: str) -> set[str]:
    """The words that are offered, without their kind and help."""
    out = asked(shell, config, *words).out
    if shell == "zsh":  # three lines for each: kind, word, help
        return set(out.splitlines()[1::3])
    return {line.split(",", 1)[1].split("\t")[0] for line in out.splitlines()}


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_gets_a_script_of_its_own_that_calls_flamenco(flamenco: Flamenco, shell: str) -> None:
    outcome = flamenco("completion", shell)
    assert (outcome.status, outcome.err) == (0, "")
    assert f"_FLAMENCO_COMPLETE={shell}_complete" in outcome.out
    assert re.search(r"\bflamenco\b", outcome.out)


def test_a_shell_that_is_not_known_is_answered_with_those_that_are(flamenco: Flamenco) -> None:
    outcome = flamenco("completion", "powershell")
    assert (outcome.status, outcome.out) == (2, "")
    assert "'bash', 'zsh', 'fish'" in outcome.message


@pytest.mark.parametrize("shell", SHELLS)
def test_commands_are_completed(shell: str, config: Path) -> None:
    assert offered(shell, config, "jo") == {"jobs", "job", "job-types"}
    assert not config.exists(), "it needs no farm, and changes nothing"


@pytest.mark.parametrize(
    ("words", "among"),
    [
        (["submit", "--"], {"--frames", "--wait", "--set", "--json", "--data"}),
        (["jobs", "--status", "pa"], {"paused"}),
        (["tasks", "3f2a", "--status", "soft"], {"soft-failed"}),
        (["worker", "ap"], {"approve"}),
        (["server", "add"], {"add-manager"}),
        (["completion", ""], {"bash", "zsh", "fish"}),
    ],
)
def test_options_values_and_subcommands_are_completed(words: list[str], among: set[str]) -> None:
    completion = get_completion_class("bash")
    assert completion is not None
    items = completion(root, {}, "flamenco", "_FLAMENCO_COMPLETE").get_completions(words[:-1], words[-1])
    assert among <= {item.value for item in items}


def test_a_real_bash_completes_with_the_script(flamenco: Flamenco, tmp_path: Path) -> None:
    script = tmp_path / "completion.bash"
    script.write_text(flamenco("completion", "bash").out)
    program = tmp_path / "bin" / "flamenco"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m flamenco_cli "$@"\n')
    program.chmod(0o755)
    code = f"""
        PATH={program.parent}:$PATH; source {script}; complete -p flamenco
        COMP_WORDS=(flamenco submit --pri); COMP_CWORD=2; COMPREPLY=()
        _flamenco_completion flamenco; echo "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(
        ["bash", "-euc", code], env=environment(tmp_path), capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr == ""
    registered, completed = done.stdout.strip().splitlines()
    assert registered.endswith("flamenco")
    assert completed == "--priority"
