"""The page before any script runs: whole, readable, and reachable by URL."""

import re

import aiohttp
import pytest
from page_farm import FakeFarm, a_job, a_worker, ago
from page_samples import LOG, fill, fill_running_job
from playwright.async_api import Page, expect

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def _texts(page: Page, css: str) -> list[str]:
    return [" ".join(text.split()) for text in await page.locator(css).all_inner_texts()]


async def test_the_list_of_jobs_needs_no_script(farm: FakeFarm, scriptless: Page) -> None:
    fill(farm)
    await scriptless.goto("/")
    rows = await _texts(scriptless, "#rows tr")
    assert len(rows) == len(farm.job_list)
    assert rows[1].startswith("Running sh010_flamenco_dance Rendering on 3 Workers 56 % 14 of 24 frames")
    assert "Failed sh050_crowd_cloth_sim_final_final 2 of 250 frames failed: 12, 55 98 %" in rows[6]
    await expect(scriptless.get_by_role("button")).to_have_count(0)


async def test_a_filter_is_a_link(farm: FakeFarm, scriptless: Page) -> None:
    fill(farm)
    await scriptless.goto("/")
    await scriptless.get_by_role("link", name="Failed", exact=True).click()
    await expect(scriptless).to_have_url(re.compile(r"/jobs\?status=failed$"))
    await expect(scriptless.locator("#rows tr")).to_have_count(1)


async def test_finding_is_a_link_too(farm: FakeFarm, scriptless: Page) -> None:
    fill(farm)
    await scriptless.goto("/jobs?find=WATER")
    assert await _texts(scriptless, "#rows .c-name") == ["sh020_water"]
    await scriptless.goto("/jobs?find=fire")
    await expect(scriptless.get_by_role("link", name="Clear filter")).to_be_visible()


async def test_older_jobs_are_a_link_away(farm: FakeFarm, scriptless: Page) -> None:
    for number in range(1, 131):
        farm.add(a_job(number))
    await scriptless.goto("/")
    await expect(scriptless.locator("#rows tr")).to_have_count(100)
    await scriptless.get_by_role("link", name="Older jobs").click()
    await expect(scriptless.locator("#rows tr")).to_have_count(30)


async def test_a_job_with_its_frames_needs_no_script(farm: FakeFarm, scriptless: Page) -> None:
    fill(farm)
    job = fill_running_job(farm)
    await scriptless.goto(f"/jobs/{job['id']}")
    await expect(scriptless.get_by_role("heading", level=1)).to_have_text("sh010_flamenco_dance")
    await expect(scriptless.locator("#grid .cell")).to_have_count(24)
    await expect(scriptless.get_by_label("Frame 15, running", exact=True)).to_be_visible()
    await expect(scriptless.locator("#screen img")).to_have_attribute("src", re.compile(r"/frames/14/thumbnail$"))
    await expect(scriptless.locator("#counts")).to_have_text(
        re.compile(r"Done 14\s+Running 3\s+Retrying 1\s+Waiting 7")
    )


async def test_a_picked_frame_has_a_url(farm: FakeFarm, scriptless: Page) -> None:
    fill(farm)
    job = fill_running_job(farm)
    await scriptless.goto(f"/jobs/{job['id']}?frame=3")
    await expect(scriptless.locator("#screen img")).to_have_attribute("src", re.compile(r"/frames/3/thumbnail$"))
    await expect(scriptless.locator("#caption")).to_have_text("Frame 3 · 49 s · node-01 · 1920 × 1080")


async def test_frames_can_be_read_as_a_table(farm: FakeFarm, scriptless: Page) -> None:
    fill(farm)
    job = fill_running_job(farm)
    await scriptless.goto(f"/jobs/{job['id']}")
    await scriptless.get_by_role("link", name="Show as table").click()
    rows = await _texts(scriptless, ".frames-table tbody tr")
    assert rows[13].startswith("14 Done node-03 48 s 1.9 MB 1920 × 1080 /render/film/")
    assert len(rows) == 24


async def test_more_frames_than_a_page_can_show_are_counted(farm: FakeFarm, scriptless: Page) -> None:
    job = farm.add(a_job(frames="1-2100", frame_count=2100))
    await scriptless.goto(f"/jobs/{job['id']}")
    await expect(scriptless.locator("#grid .cell")).to_have_count(2000)
    await expect(scriptless.get_by_text("The first 2000 frames are shown; 100 more")).to_be_visible()


@pytest.mark.parametrize(
    ("tab", "said"),
    [
        ("tasks", "render-18 18 1 Blender ended with status 11 (it crashed) while it rendered frame 18"),
        ("settings", "preview_video yes"),
        ("files", "sh010/anim.blend 48 MB 3f3f3f3f3f3f"),
    ],
)
async def test_every_tab_of_a_job_is_a_page(farm: FakeFarm, scriptless: Page, tab: str, said: str) -> None:
    fill(farm)
    job = fill_running_job(farm)
    await scriptless.goto(f"/jobs/{job['id']}/{tab}")
    assert any(said in row for row in await _texts(scriptless, ".tab tbody tr"))


async def test_the_log_is_a_link_without_script(farm: FakeFarm, scriptless: Page) -> None:
    fill(farm)
    job = fill_running_job(farm)
    await scriptless.goto(f"/jobs/{job['id']}/log?task={farm.task_lists[job['id']][14]['id']}")
    await scriptless.get_by_role("link", name="Open the log as text").click()
    await expect(scriptless.locator("body")).to_contain_text(LOG.splitlines()[1])


async def test_a_job_without_frames_begins_with_its_tasks(farm: FakeFarm, scriptless: Page) -> None:
    job = farm.add(a_job(type="echo-sleep-test", frames=None, frame_count=0, output=None, files=[]))
    await scriptless.goto(f"/jobs/{job['id']}")
    await expect(scriptless.locator(".tabs a[aria-current]")).to_have_text("Tasks")
    await expect(scriptless.get_by_role("link", name="Frames")).to_have_count(0)


async def test_the_list_of_workers_needs_no_script(farm: FakeFarm, scriptless: Page) -> None:
    farm.worker_list = [a_worker(1), a_worker(2, status="error", last_seen=ago(hours=1), programs=[])]
    await scriptless.goto("/workers")
    rows = await _texts(scriptless, "#rows tr")
    assert rows[0].startswith("Awake node-01 studio-farm waits for work 16 cores, 64 GiB, RTX 4090 4.5.3")
    assert rows[1].startswith("Not responding node-02")
    await expect(scriptless.locator("#summary")).to_have_text("1 free, 1 not responding")


async def test_an_empty_farm_says_what_to_do(farm: FakeFarm, scriptless: Page) -> None:
    await scriptless.goto("/")
    await expect(scriptless.get_by_text("flamenco submit scene.blend -f 1-24 -o /path/to/output")).to_be_visible()
    await scriptless.get_by_role("link", name="Add a Worker").click()
    await expect(scriptless.get_by_text("flamenco worker --manager")).to_be_visible()


@pytest.mark.parametrize("path", ["/", "/workers", "/jobs/00000001-0000-4000-8000-000000000001"])
async def test_a_visitor_without_a_session_is_told_how_to_sign_in(farm: FakeFarm, scriptless: Page, path: str) -> None:
    farm.add(a_job(name="secret_project"))
    farm.signed_in = False
    answer = await scriptless.goto(path)
    assert answer is not None
    assert answer.status == 401
    await expect(scriptless.get_by_text("flamenco open")).to_be_visible()
    assert "secret_project" not in await scriptless.content()


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/jobs/nothing", 404, "There is nothing with the id nothing."),
        ("/jobs/00000001-0000-4000-8000-000000000001/nonsense", 404, "The job sh001_anim has no page 'nonsense'."),
        ("/jobs?after=yesterday", 422, "No list goes on after 'yesterday'"),
        ("/jobs?status=dancing", 422, "No job can have the status 'dancing'."),
    ],
)
async def test_an_error_is_a_page_that_says_what(
    farm: FakeFarm, scriptless: Page, path: str, status: int, said: str
) -> None:
    farm.add(a_job())
    answer = await scriptless.goto(path)
    assert answer is not None
    assert answer.status == status
    await expect(scriptless.get_by_text(said)).to_be_visible()
    await expect(scriptless.get_by_role("link", name="All jobs")).to_be_visible()


@pytest.mark.parametrize(
    ("cookie", "theme"), [("light", "light"), ("system", "system"), ("'><b>", "dark"), ("", "dark")]
)
async def test_the_chosen_theme_is_there_from_the_first_byte(url: str, cookie: str, theme: str) -> None:
    async with (
        aiohttp.ClientSession(headers={"Cookie": f"flamenco_theme={cookie}"}) as session,
        session.get(f"{url}/") as answer,
    ):
        assert f'<html lang="en" data-theme="{theme}">' in await answer.text()


async def test_a_whole_page_of_jobs_is_small_on_the_wire(farm: FakeFarm, url: str) -> None:
    for number in range(1, 101):
        farm.add(a_job(number, name=f"sequence_{number * 7919:08d}_animation"))
    async with (
        aiohttp.ClientSession(auto_decompress=False) as session,
        session.get(f"{url}/", headers={"Accept-Encoding": "gzip"}) as answer,
    ):
        assert len(await answer.read()) < 60_000  # quality.md, "first page"
