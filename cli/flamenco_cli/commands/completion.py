"""``flamenco completion``."""

import click
from click.shell_completion import get_completion_class

from flamenco_cli.teaching import Verb
from flamenco_cli.terminal import print_line


@click.command(
    "completion",
    cls=Verb,
    examples=[
        "flamenco completion bash >> ~/.bashrc",
        "flamenco completion zsh >> ~/.zshrc",
        "flamenco completion fish > ~/.config/fish/completions/flamenco.fish",
    ],
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion_command(shell: str) -> None:
    """Print what makes your shell complete commands and options."""
    from flamenco_cli.main import NAME, root

    completion = get_completion_class(shell)
    if completion is None:
        raise click.BadParameter(f"no completion for {shell}", param_hint="SHELL")
    print_line(completion(root, {}, NAME, "_FLAMENCO_COMPLETE").source())
