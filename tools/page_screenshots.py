"""Take the screenshots of the web page that the documentation shows: ``python tools/page_screenshots.py FOLDER``.

They show a farm in memory (``tests/server/web/page_samples.py``), drawn by the real page in a real browser.
"""

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "server" / "web"))

from page_browser import chromium, page_at
from page_farm import FakeFarm, served
from page_samples import fill, fill_running_job

DESK = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}
SETTLE_MS = 1500
"""Until pictures are drawn and nothing moves any more."""


async def main(folder: Path) -> None:
    """Take them all."""
    farm, empty = fill(FakeFarm()), FakeFarm(manager_list=[])
    job = fill_running_job(farm)
    log = f"/jobs/{job['id']}/log?task={farm.task_lists[job['id']][14]['id']}"
    shots = [
        ("jobs-dark", farm, "/", "dark", DESK),
        ("jobs-light", farm, "/", "light", DESK),
        ("jobs-phone", farm, "/", "dark", PHONE),
        ("job-dark", farm, f"/jobs/{job['id']}", "dark", DESK),
        ("job-light", farm, f"/jobs/{job['id']}", "light", DESK),
        ("job-phone", farm, f"/jobs/{job['id']}", "dark", PHONE),
        ("tasks-dark", farm, f"/jobs/{job['id']}/tasks", "dark", DESK),
        ("log-dark", farm, log, "dark", DESK),
        ("workers-dark", farm, "/workers", "dark", DESK),
        ("workers-phone", farm, "/workers", "light", PHONE),
        ("empty-dark", empty, "/", "dark", DESK),
        ("sign-in-dark", FakeFarm(signed_in=False), "/", "dark", DESK),
    ]
    async with chromium() as browser:
        for name, shown, path, theme, viewport in shots:
            async with served(shown) as address, page_at(browser, viewport=viewport) as page:
                await page.context.add_cookies([{"name": "flamenco_theme", "value": theme, "url": address.url}])
                await page.goto(address.url + path)
                await page.wait_for_timeout(SETTLE_MS)
                await page.screenshot(path=folder / f"page-{name}.png")


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    asyncio.run(main(target))
