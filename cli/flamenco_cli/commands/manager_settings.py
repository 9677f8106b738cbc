"""``flamenco manager settings``: every setting of a Manager, as the file to begin with."""

import click

from flamenco_cli.services import manager_settings_document
from flamenco_cli.teaching import Verb
from flamenco_cli.terminal import print_line


@click.command(
    "settings",
    cls=Verb,
    examples=[
        "flamenco manager settings",
        "flamenco manager settings > manager.toml && flamenco manager --config manager.toml",
    ],
)
def settings_command() -> None:
    """Print a settings file with every key, what it means and its default, all of it commented out."""
    print_line(manager_settings_document().rstrip("\n"))
