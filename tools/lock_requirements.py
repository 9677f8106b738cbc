"""Lock the versions of everything that is installed, with hashes and without index addresses.

``requirements/dev.txt`` comes from pyproject.toml; ``cli/flamenco_cli/locked/*.txt``, which ``flamenco demo`` installs
where there is no Blender or FFmpeg, from ``requirements/*.in``.
"""

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OPTIONS = ["--generate-hashes", "--no-emit-index-url", "--python-version", "3.11", "--quiet", "--upgrade"]


def main() -> int:
    """Write the lock files with uv, in an environment that is thrown away."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        tools = Path(folder) / "bin"
        subprocess.run([tools / "pip", "install", "--quiet", "uv"], check=True)
        for arguments in (
            ["pyproject.toml", "--extra", "dev", "--universal", "-o", "requirements/dev.txt"],
            *(
                [f"requirements/{name}.in", "-o", f"cli/flamenco_cli/locked/{name}.txt"]
                for name in ("blender", "ffmpeg")
            ),
        ):
            subprocess.run([tools / "uv", "pip", "compile", *arguments, *OPTIONS], check=True, cwd=ROOT)
    return 0


if __name__ == "__main__":
    sys.exit(main())
