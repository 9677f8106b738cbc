"""Take the documentation's pictures of the demo's terminal: ``python tools/terminal_screenshots.py FOLDER``.

The demo runs in a real terminal (tmux); rich draws what it shows, and a browser makes a picture of that.
"""

import asyncio
import platform
import subprocess
import sys
import tempfile
import time
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.text import Text

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "server" / "web"))

from page_browser import chromium, page_at

COLUMNS, LINES = 96, 16
SESSION = "flamenco-screenshots"
FLAMENCO = Path(sys.executable).with_name("flamenco")
PATIENCE_S = 180.0


def tmux(*words: str) -> str:
    """Let tmux do something; returns what it prints."""
    return subprocess.run(["tmux", "-L", SESSION, *words], capture_output=True, text=True, check=True).stdout


def shown_when(words: str) -> str:
    """Wait until the terminal shows ``words``, and return all that it shows, with its colours."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if words in tmux("capture-pane", "-p"):
            return tmux("capture-pane", "-p", "-e")
        time.sleep(0.2)
    raise TimeoutError(f"the demo did not show {words!r}")


def drawn(screen: str) -> str:
    """Draw a terminal's contents as SVG."""
    console = Console(record=True, width=COLUMNS, file=StringIO(), force_terminal=True)
    console.print(Text.from_ansi(screen.rstrip()))
    return console.export_svg(title="flamenco demo")


async def photograph(svg: str, target: Path) -> None:
    """Make a PNG of a drawing."""
    async with chromium() as browser, page_at(browser, viewport={"width": 1240, "height": 900}) as page:
        await page.set_content(svg)
        await page.locator("svg").first.screenshot(path=target)


def main(folder: Path) -> None:
    """Run the demo and take both pictures."""
    with tempfile.TemporaryDirectory() as place:
        command = f"cd {place} && {FLAMENCO} demo; sleep {PATIENCE_S:.0f}"
        tmux("new-session", "-d", "-x", str(COLUMNS), "-y", str(LINES), command)
        try:
            during, after = shown_when("12 of 24"), shown_when("flower-1-24.mp4")
        finally:
            tmux("kill-server")
    for name, screen in (("demo-during", during), ("demo-after", after)):
        asyncio.run(
            photograph(
                drawn(screen.replace(place, "~").replace(f"{platform.node()}-", "desk-")), folder / f"{name}.png"
            )
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
