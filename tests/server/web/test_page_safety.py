"""What comes from elsewhere stays text, and the page hands out nothing but itself."""

import aiohttp
import pytest
from page_farm import FakeFarm, a_done_frame, a_job, a_manager, a_worker, ago
from playwright.async_api import Page, expect
from yarl import URL

pytestmark = pytest.mark.asyncio(loop_scope="session")

HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">{{7*7}}${7}'\""
VIEWS = (
    "/",
    "/workers",
    "/jobs/J",
    "/jobs/J?as=table",
    "/jobs/J/tasks",
    "/jobs/J/log",
    "/jobs/J/settings",
    "/jobs/J/files",
    "/jobs?find=<script>&status=queued",
)
STATIC = ("flamenco.css", "lists.css", "job.css", "js/main.js", "states.svg", "icons.svg", "mark.svg")


def _hostile_farm(farm: FakeFarm) -> str:
    """Put hostile texts everywhere that people and programs can; returns the id of the job."""
    job = a_job(
        name=HOSTILE,
        owner=HOSTILE,
        activity=HOSTILE,
        status="active",
        started_at=ago(minutes=1),
        output=HOSTILE,
        type=HOSTILE,
        frames="1-3",
        frame_count=3,
        settings={HOSTILE: HOSTILE},
        metadata={HOSTILE: [HOSTILE]},
        files=[{"path": HOSTILE, "sha256": "0" * 64, "size_bytes": 1}],
    )
    farm.add(job)
    farm.frame_lists[job["id"]][0] = a_done_frame(job, 1, worker_name=HOSTILE, path=HOSTILE)
    failure = {"worker": HOSTILE, "reason": HOSTILE}
    task = farm.task_lists[job["id"]][0]
    task.update(name=HOSTILE, activity=HOSTILE, status="failed", attempt=1, failed_by=[failure])
    farm.logs[task["id"]] = HOSTILE
    current = {"id": task["id"], "name": HOSTILE, "job": job["id"], "job_name": HOSTILE}
    programs = [{"name": "blender", "version": HOSTILE, "path": HOSTILE}]
    hardware = {"cpu_count": 1, "memory_bytes": 1, "gpus": [{"backend": "x", "name": HOSTILE, "memory_bytes": 1}]}
    farm.worker_list = [
        a_worker(name=HOSTILE, software=HOSTILE, current_task=current, programs=programs, hardware=hardware)
    ]
    farm.manager_list = [a_manager(name=HOSTILE)]
    return str(job["id"])


@pytest.mark.parametrize("view", VIEWS)
async def test_hostile_texts_stay_texts(farm: FakeFarm, page: Page, view: str) -> None:
    job_id = _hostile_farm(farm)
    async with page.expect_response(lambda answer: "/api/v1/" in answer.url):  # scripts have drawn it again
        await page.goto(view.replace("/J", f"/{job_id}"))
    for kind, thing in (("job", farm.job_list[0]), ("worker", farm.worker_list[0]), ("manager", farm.manager_list[0])):
        farm.tell(kind, thing)
    await expect(page.locator("main")).to_contain_text("document.title" if "find" not in view else "No jobs here")
    assert await page.title() != "owned"
    assert await page.locator("main img[src=x], main script").count() == 0


@pytest.mark.parametrize("path", ["/", "/workers", "/static/js/main.js", "/static/states.svg"])
async def test_every_answer_forbids_foreign_and_inline_code(url: str, path: str) -> None:
    async with aiohttp.ClientSession() as session, session.get(url + path) as answer:
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("name", STATIC)
async def test_what_the_page_is_made_of_needs_no_session(farm: FakeFarm, url: str, name: str) -> None:
    farm.signed_in = False
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{url}/static/{name}") as answer:
            assert answer.status == 200
            etag = answer.headers["ETag"]
        async with session.get(f"{url}/static/{name}", headers={"If-None-Match": etag}) as answer:
            assert answer.status == 304


@pytest.mark.parametrize(
    "name", ["../site.py", "..%2fsite.py", "%2e%2e/site.py", "/etc/passwd", "js/", "", "js/../../words.py"]
)
async def test_nothing_else_can_be_fetched(url: str, name: str) -> None:
    async with aiohttp.ClientSession() as session, session.get(URL(f"{url}/static/{name}", encoded=True)) as answer:
        assert answer.status == 404
