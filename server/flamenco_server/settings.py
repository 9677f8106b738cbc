"""Settings of the Server."""

from dataclasses import dataclass
from pathlib import Path

import platformdirs

from flamenco_runtime.settings import Address, setting


@dataclass(frozen=True)
class Settings:
    """What can be set: by a TOML file, ``FLAMENCO_SERVER_…``, or the command line."""

    data: Path = setting(
        Path(platformdirs.user_data_dir("flamenco")) / "server", "Folder of everything that the Server stores."
    )
    listen: Address = setting(Address("127.0.0.1", 8000), "Where to listen, HOST:PORT; port 0 takes a free one.")
    job_types: Path | None = setting(None, "Folder of a studio's own job types (*.py), beside the built-in ones.")
    least_free_mib: int = setting(
        1024,
        "MiB that stay free on the disk of data: with less, no new jobs and files are taken; 0: no such floor.",
        least=0,
    )
