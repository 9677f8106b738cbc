"""The page while things happen: it stays fresh without a reload, and nothing moves under anybody's hands."""

import json
import re
from datetime import UTC, datetime

import pytest
from page_farm import FakeFarm, a_done_frame, a_job, a_manager, a_task, a_worker, ago
from page_samples import fill, fill_running_job
from playwright.async_api import Page, expect

from flamenco_server.web import words

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def _opened(farm: FakeFarm, page: Page, path: str) -> None:
    """Open a view, and mark its document, so that a reload would be noticed."""
    async with page.expect_response(lambda answer: "/api/v1/" in answer.url and "events" not in answer.url):
        await page.goto(path)
    await page.evaluate("document.body.dataset.unloaded = 'no'")


async def _was_not_reloaded(page: Page) -> None:
    await expect(page.locator("body")).to_have_attribute("data-unloaded", "no")


async def test_a_job_moves_in_the_list(farm: FakeFarm, page: Page) -> None:
    job = farm.add(a_job())
    await _opened(farm, page, "/")
    row = page.locator("#rows tr")
    await expect(row.locator(".state")).to_have_text("Waiting")
    thumbnail = f"/api/v1/jobs/{job['id']}/frames/12/thumbnail"
    farm.change("job", job, status="active", started_at=ago(minutes=1), steps_completed=12, frames_done=12,
                task_counts={"completed": 12, "active": 2, "queued": 10},
                newest_frame={"frame": 12, "thumbnail": thumbnail})  # fmt: skip
    await expect(row.locator(".state")).to_have_text("Running")
    await expect(row.locator(".state use")).to_have_attribute("href", "/static/states.svg#running")
    await expect(row.locator(".bar")).to_have_attribute("aria-label", "50 % done")
    await expect(row.locator("[data-part=done]")).to_have_attribute("width", "5000")
    await expect(row.locator(".c-amount")).to_have_text("12 of 24 frames")
    await expect(row.locator(".c-took")).to_have_text(re.compile(r"^\d+–\d+ s left$"))
    await expect(row.locator("img")).to_have_attribute("src", thumbnail)
    farm.change("job", job, status="completed", finished_at=ago(seconds=1), steps_completed=24)
    await expect(row.locator(".state")).to_have_text("Done")
    await expect(row.get_by_role("button", name="Cancel")).to_be_hidden()
    await _was_not_reloaded(page)


async def test_a_change_of_state_is_told_to_screen_readers(farm: FakeFarm, page: Page) -> None:
    job = farm.add(a_job())
    await _opened(farm, page, "/")
    farm.change("job", job, status="failed")
    await expect(page.locator("#announcer")).to_have_text("sh001_anim: Failed")


async def test_the_first_job_takes_the_place_of_the_advice(farm: FakeFarm, page: Page) -> None:
    await _opened(farm, page, "/")
    await expect(page.get_by_role("heading", name="No jobs yet")).to_be_visible()
    farm.tell("job", farm.add(a_job()))
    await expect(page.locator("#rows tr .c-name a")).to_have_text("sh001_anim")
    await expect(page.get_by_role("heading", name="No jobs yet")).to_be_hidden()
    await page.locator("#rows tr .c-name a").click()
    await expect(page).to_have_url(re.compile(r"/jobs/00000001-"))


async def test_a_job_that_is_deleted_leaves_the_list_and_comes_back_when_it_is_undeleted(
    farm: FakeFarm, page: Page
) -> None:
    goes, stays = farm.add(a_job(2)), farm.add(a_job(1))
    await _opened(farm, page, "/")
    names = page.locator("#rows tr .c-name a")
    await expect(names).to_have_text([stays["name"], goes["name"]])
    farm.change("job", goes, deleted_at=ago(seconds=1))
    await expect(names).to_have_text([stays["name"]])
    farm.change("job", goes, deleted_at=None)
    await expect(names).to_have_text([stays["name"], goes["name"]])
    for job in (stays, goes):
        farm.tell("gone", {"gone": "job", "id": job["id"]})
    await expect(names).to_have_count(0)
    await expect(page.locator("#empty")).to_be_visible()
    await _was_not_reloaded(page)


async def test_a_worker_that_is_forgotten_leaves_the_list_and_the_sum(farm: FakeFarm, page: Page) -> None:
    stays, goes = a_worker(1), a_worker(2)
    farm.worker_list += [stays, goes]
    await _opened(farm, page, "/workers")
    await expect(page.locator("#rows tr")).to_have_count(2)
    before = await page.locator("#summary").inner_text()
    farm.tell("gone", {"gone": "job", "id": stays["id"]})
    farm.tell("gone", {"gone": "worker", "id": goes["id"]})
    await expect(page.locator("#rows tr .c-name")).to_have_text([stays["name"]])
    await expect(page.locator("#summary")).not_to_have_text(before)
    await _was_not_reloaded(page)


async def test_new_jobs_wait_while_the_pointer_is_over_the_list(farm: FakeFarm, page: Page) -> None:
    farm.add(a_job(9))
    await _opened(farm, page, "/")
    row = page.locator("#rows tr")
    await row.hover()
    place = await row.bounding_box()
    for number in (3, 2, 1):
        farm.tell("job", farm.add(a_job(number)))
    pill = page.get_by_role("button", name="3 new jobs, show")
    await expect(pill).to_be_visible()
    await expect(row).to_have_count(1)
    assert await row.bounding_box() == place
    await pill.click()
    await expect(pill).to_be_hidden()
    assert await page.locator("#rows .c-name a").all_inner_texts() == [
        "sh001_anim",
        "sh002_anim",
        "sh003_anim",
        "sh009_anim",
    ]


async def test_a_filtered_list_takes_only_what_fits(farm: FakeFarm, page: Page) -> None:
    farm.add(a_job(9, status="active", started_at=ago(minutes=1)))
    await _opened(farm, page, "/jobs?status=active")
    farm.tell("job", farm.add(a_job(2)))
    farm.tell("job", farm.add(a_job(1, status="active", started_at=ago(minutes=1))))
    await expect(page.locator("#rows tr")).to_have_count(2)
    await expect(page.locator("#rows tr").first.locator(".c-name a")).to_have_text("sh001_anim")


async def test_a_lost_connection_is_told_and_what_was_missed_is_fetched(farm: FakeFarm, page: Page) -> None:
    job = farm.add(a_job())
    await _opened(farm, page, "/")
    await page.context.set_offline(True)
    farm.hang_up()
    banner = page.locator("#connection")
    await expect(banner).to_have_text(re.compile(r"^No connection since \d\d:\d\d, trying again$"))
    await expect(page.locator("#rows").get_by_role("button")).to_be_disabled()
    await expect(page.locator("#rows .c-name a")).to_be_visible()
    job.update(status="completed", steps_completed=24)
    await page.context.set_offline(False)
    await expect(banner).to_be_hidden()
    await expect(page.locator("#rows .state")).to_have_text("Done")
    await _was_not_reloaded(page)


async def test_a_resync_fetches_the_view_again(farm: FakeFarm, page: Page) -> None:
    job = farm.add(a_job())
    await _opened(farm, page, "/")
    job.update(status="paused")
    farm.tell("resync", {})
    await expect(page.locator("#rows .state")).to_have_text("Paused")


async def test_a_session_that_ended_leads_to_the_sign_in_page(farm: FakeFarm, page: Page) -> None:
    farm.add(a_job())
    await _opened(farm, page, "/")
    farm.signed_in = False
    farm.hang_up()
    await expect(page.get_by_role("heading", name="Sign in to Flamenco")).to_be_visible()


async def test_a_frame_arrives_on_the_stage_and_in_the_grid(farm: FakeFarm, page: Page) -> None:
    job = farm.add(a_job())
    await _opened(farm, page, f"/jobs/{job['id']}")
    await expect(page.locator("#no-picture")).to_be_visible()
    for number in (1, 2):
        frame = farm.frame_lists[job["id"]][number - 1]
        farm.change("frame", frame, **a_done_frame(job, number))
        await expect(page.locator(f'.cell[data-frame="{number}"]')).to_have_attribute("data-tone", "done")
        await expect(page.locator("#screen img")).to_have_attribute("src", frame["thumbnail"])
    await expect(page.locator("#no-picture")).to_be_hidden()
    await expect(page.locator("#caption")).to_contain_text("Frame 2")
    await expect(page.locator('.cell[data-frame="2"]')).to_have_attribute("aria-label", "Frame 2, done, 42 s")
    await expect(page.locator(".cell[aria-current]")).to_have_text("2")


async def test_a_job_that_is_being_prepared_fills_up(farm: FakeFarm, page: Page) -> None:
    job = farm.add(a_job(status="under-construction", activity="Compiling", task_count=0, task_counts={}))
    farm.frame_lists[job["id"]], tasks = [], farm.task_lists[job["id"]]
    await _opened(farm, page, f"/jobs/{job['id']}")
    await expect(page.get_by_text("The frames appear here as soon as")).to_be_visible()
    farm.tell("frame", a_done_frame(job, 1))
    await expect(page.locator("#grid .cell")).to_have_count(1)
    await _opened(farm, page, f"/jobs/{job['id']}/tasks")
    assert tasks == []
    for index in (0, 1):
        farm.tell("task", a_task(job, index))
    await expect(page.locator("#rows tr")).to_have_count(2)
    await expect(page.locator("#rows .row-link").last).to_have_attribute("href", re.compile(r"/log\?task=00000002-"))


async def test_the_head_of_a_job_follows(farm: FakeFarm, page: Page) -> None:
    job = farm.add(a_job())
    await _opened(farm, page, f"/jobs/{job['id']}")
    farm.change("job", job, status="failed", activity="1 of 24 frames failed: 7", steps_completed=23,
                started_at=ago(minutes=3), finished_at=ago(minutes=1),
                task_counts={"completed": 23, "failed": 1})  # fmt: skip
    await expect(page.locator(".big-state .state")).to_have_text("Failed")
    await expect(page.locator(".why")).to_have_text("1 of 24 frames failed: 7")
    await expect(page.locator("#counts")).to_have_text(re.compile(r"Done 23\s+Failed 1"))
    await expect(page.locator(".progress [data-f=took]")).to_have_text("2 min")
    await expect(page.get_by_role("button", name="Cancel job")).to_be_hidden()


async def test_tasks_follow(farm: FakeFarm, page: Page) -> None:
    job = farm.add(a_job())
    await _opened(farm, page, f"/jobs/{job['id']}/tasks")
    task = farm.task_lists[job["id"]][4]
    farm.change("task", task, status="active", attempt=2, started_at=ago(seconds=30),
                activity="Rendering frame 5, 40 %", worker={"id": "w", "name": "node-07"})  # fmt: skip
    row = page.locator("#rows tr").nth(4)
    await expect(row).to_contain_text("node-07")
    await expect(row).to_contain_text("Rendering frame 5, 40 %")
    await expect(row.locator(".c-tries")).to_have_text("2")


async def test_workers_and_sites_follow(farm: FakeFarm, page: Page) -> None:
    farm.worker_list = [a_worker(1)]
    await _opened(farm, page, "/workers")
    task = {"id": "t", "name": "render-3", "job": "j-1", "job_name": "sh010"}
    farm.change("worker", farm.worker_list[0], current_task=task)
    await expect(page.get_by_role("link", name="sh010: render-3")).to_have_attribute("href", "/jobs/j-1")
    farm.tell("worker", a_worker(2, approved=False))
    await expect(page.locator("#rows tr")).to_have_count(2)
    await expect(page.locator("#summary")).to_have_text("1 running, 1 awaiting approval")
    farm.tell("manager", a_manager(away=True, last_seen=ago(minutes=20)))
    await expect(page.locator("#sites li")).to_have_text(re.compile(r"studio-farm\s+away since\s+\d\d:\d\d"))


DRAWN_TWICE = ("tbody .state", ".c-name", ".c-amount", ".c-activity", ".c-doing", ".c-machine", ".c-submitted")


async def test_scripts_and_server_draw_the_same(farm: FakeFarm, page: Page, scriptless: Page) -> None:
    fill(farm)
    job = fill_running_job(farm)
    for path in ("/", "/workers", f"/jobs/{job['id']}/tasks"):
        await scriptless.goto(path)
        await _opened(farm, page, path)
        # whatever the scripts paint, they paint within this new row's arrival at the latest
        for css in (
            "tbody .state",
            ".c-name",
            ".c-amount",
            ".c-activity",
            ".c-doing",
            ".c-machine",
            ".c-submitted",
            ".c-percent",
        ):
            drawn = await scriptless.locator(css).all_text_contents()
            await expect(page.locator(css)).to_have_text(drawn)
        assert await page.locator("rect").evaluate_all("all => all.map(one => one.getAttribute('width'))") == (
            await scriptless.locator("rect").evaluate_all("all => all.map(one => one.getAttribute('width'))")
        )


async def test_scripts_and_server_use_the_same_words(farm: FakeFarm, page: Page) -> None:
    await page.goto("/")
    now = datetime(2026, 3, 5, 14, 2, tzinfo=UTC)
    seconds = [-1, 0, 0.04, 0.05, 0.84, 9.94, 9.96, 10, 59.9, 60, 72, 3599, 3600, 7500, 86_400, 190_000]
    times = ["2026-03-05T13:59:01.000Z", "2026-03-04T23:59:59.000Z", "2025-12-31T10:00:00.000Z"]
    started = "2026-03-05T12:00:00.000Z"
    jobs = [
        a_job(status="active", started_at=started, steps_completed=done, steps_total=total, task_count=7,
              task_counts={"failed": done % 3, "active": done % 5, "completed": 1})
        for total in (24, 1000)
        for done in (0, 2, 3, 4, 5, 11, 17, 23, 24)
    ]  # fmt: skip
    said = await page.evaluate(
        """async ([seconds, times, jobs, now]) => {
            const words = await import("/static/js/words.js");
            const bars = jobs.map(words.bar).map((bar) => [bar.percent, bar.done, bar.running, bar.failed]);
            return [seconds.map(words.duration), times.map((text) => words.clockTime(text, now)),
                    jobs.map((job) => words.timeNote(job, now)), bars];
        }""",
        [seconds, times, jobs, now.timestamp() * 1000],
    )
    bars = [words.bar(job) for job in jobs]
    assert said == json.loads(json.dumps([
        [words.duration(length) for length in seconds],
        [words.clock_time(text, now) for text in times],
        [words.time_note(job, now) for job in jobs],
        [[bar.percent, bar.done, bar.running, bar.failed] for bar in bars],
    ]))  # fmt: skip
