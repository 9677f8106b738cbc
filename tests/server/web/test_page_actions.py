"""What a person does on the page: with the mouse, and with the keyboard alone."""

import re

import pytest
from page_farm import FakeFarm, a_done_frame, a_job, a_worker
from page_samples import LOG, fill, fill_running_job
from playwright.async_api import Page, expect

from flamenco_core.errors import Conflict

pytestmark = pytest.mark.asyncio(loop_scope="session")


def _a_running_job(farm: FakeFarm) -> dict[str, object]:
    counts = {"completed": 12, "active": 2, "queued": 10}
    return farm.add(a_job(status="active", started_at=a_job()["created_at"], frames_done=12, task_counts=counts))


async def test_cancel_asks_first_and_tells_what_it_costs(farm: FakeFarm, page: Page) -> None:
    job = _a_running_job(farm)
    await page.goto("/")
    await page.locator("#rows").get_by_role("button", name="Cancel").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("Cancel sh001_anim?")
    await expect(dialog).to_contain_text("2 running tasks will be stopped, and what they have not saved is lost.")
    await expect(dialog).to_contain_text("10 waiting tasks will not run. 12 frames already done stay.")
    await expect(dialog.get_by_role("button", name="Keep it")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(dialog).to_be_hidden()
    assert farm.calls == []
    await page.locator("#rows").get_by_role("button", name="Cancel").click()
    async with page.expect_response("**/cancel"):
        await dialog.get_by_role("button", name="Cancel job").click()
    assert farm.calls == [f"/api/v1/jobs/{job['id']}/cancel"]


async def test_a_refused_cancel_says_why_in_place(farm: FakeFarm, page: Page) -> None:
    job = _a_running_job(farm)
    farm.refusal = Conflict("sh001_anim has ended already: there is nothing to cancel.")
    await page.goto(f"/jobs/{job['id']}")
    await page.get_by_role("button", name="Cancel job").click()
    await page.get_by_role("dialog").get_by_role("button", name="Cancel job").click()
    alert = page.get_by_role("alert")
    await expect(alert).to_contain_text("sh001_anim has ended already: there is nothing to cancel.")
    await expect(alert.get_by_role("button", name="Copy details")).to_be_visible()
    farm.refusal = None
    await alert.get_by_role("button", name="Try again").click()
    async with page.expect_response("**/cancel"):
        await page.get_by_role("dialog").get_by_role("button", name="Cancel job").click()
    await expect(alert).to_be_hidden()


async def test_a_worker_is_approved(farm: FakeFarm, page: Page) -> None:
    worker = a_worker(approved=False)
    farm.worker_list = [worker]
    await page.goto("/workers")
    async with page.expect_response("**/approve"):
        await page.get_by_role("button", name="Approve").click()
    assert farm.calls == [f"/api/v1/workers/{worker['id']}/approve"]
    farm.change("worker", worker, approved=True)
    await expect(page.get_by_role("button", name="Approve")).to_be_hidden()


async def test_signing_out_leads_to_the_sign_in_page(farm: FakeFarm, page: Page) -> None:
    await page.goto("/")
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("heading", name="Sign in to Flamenco")).to_be_visible()


async def test_a_command_can_be_copied(farm: FakeFarm, page: Page) -> None:
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await page.goto("/")
    await page.get_by_role("button", name="Copy").first.click()
    await expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert (await page.evaluate("navigator.clipboard.readText()")).startswith("flamenco submit scene.blend")


async def test_the_theme_changes_and_stays(farm: FakeFarm, page: Page) -> None:
    await page.goto("/")
    background = "getComputedStyle(document.body).backgroundColor"
    assert await page.evaluate(background) == "rgb(29, 29, 29)"
    await page.get_by_role("button", name="Dark").click()
    assert await page.evaluate(background) == "rgb(242, 242, 242)"
    await page.reload()
    await expect(page.locator("html")).to_have_attribute("data-theme", "light")
    await page.get_by_role("button", name="Light").click()
    await page.emulate_media(color_scheme="dark")
    assert await page.evaluate(background) == "rgb(29, 29, 29)"
    await page.emulate_media(color_scheme="light")
    assert await page.evaluate(background) == "rgb(242, 242, 242)"


async def test_finding_narrows_the_list_and_the_address(farm: FakeFarm, page: Page) -> None:
    fill(farm)
    await page.goto("/")
    await page.keyboard.press("/")
    await page.keyboard.type("water")
    await expect(page.locator("#rows tr:visible")).to_have_count(1)
    await expect(page).to_have_url(re.compile(r"\?find=water$"))
    await page.keyboard.press("Escape")
    await page.keyboard.press("j")
    await expect(page.get_by_role("link", name="sh020_water")).to_be_focused()


async def _listens(page: Page) -> None:
    """Wait until a view that was just opened takes keys."""
    await expect(page.locator("html")).to_have_attribute("data-scripted", "")


async def test_the_keyboard_alone_goes_everywhere(farm: FakeFarm, page: Page) -> None:
    fill(farm)
    await page.goto("/")
    for key in ("j", "j", "ArrowDown", "k"):
        await page.keyboard.press(key)
    await expect(page.get_by_role("link", name="sh010_flamenco_dance")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="sh010_flamenco_dance")).to_be_visible()
    await _listens(page)
    await page.keyboard.press("t")
    await expect(page).to_have_url(re.compile("/tasks$"))
    await _listens(page)
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("heading", name="Jobs")).to_be_visible()
    await _listens(page)
    await page.keyboard.press("g")
    await page.keyboard.press("w")
    await expect(page.get_by_role("heading", name="Workers")).to_be_visible()
    await _listens(page)
    await page.keyboard.press("g")
    await page.keyboard.press("j")
    await expect(page.get_by_role("heading", name="Jobs")).to_be_visible()
    await _listens(page)
    await page.keyboard.press("j")
    await page.keyboard.press("c")
    await expect(page.get_by_role("dialog")).to_contain_text("Cancel sh070_sunrise?")


async def test_letter_keys_can_be_turned_off(farm: FakeFarm, page: Page) -> None:
    fill(farm)
    await page.goto("/")
    await page.keyboard.press("?")
    await page.get_by_label("Letter keys are on").uncheck()
    await page.get_by_role("button", name="Close").click()
    await page.keyboard.press("j")
    await expect(page.locator("#rows a:focus")).to_have_count(0)
    await page.keyboard.press("ArrowDown")
    await expect(page.get_by_role("link", name="sh070_sunrise")).to_be_focused()


async def test_the_frame_grid_is_walked_and_picked_from(farm: FakeFarm, page: Page) -> None:
    fill(farm)
    job = fill_running_job(farm)
    async with page.expect_response("**/frames"):
        await page.goto(f"/jobs/{job['id']}")
    await page.keyboard.press("j")
    await page.keyboard.press("ArrowRight")
    await page.keyboard.press("ArrowRight")
    await expect(page.get_by_label("Frame 3, done, 49 s")).to_be_focused()
    await expect(page.locator("#peek")).to_be_visible()
    await expect(page.locator("#peek p")).to_have_text("Frame 3 · 49 s · node-01 · 1920 × 1080, done")
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(re.compile(r"\?frame=3$"))
    await expect(page.locator("#screen img")).to_have_attribute("src", re.compile("/frames/3/thumbnail$"))
    farm.change("frame", farm.frame_lists[job["id"]][14], **a_done_frame(job, 15))
    await expect(page.locator('.cell[data-frame="15"]')).to_have_attribute("data-tone", "done")
    await expect(page.locator("#caption")).to_contain_text("Frame 3 ")
    await page.go_back()
    await expect(page.locator("#caption")).to_contain_text("Frame 15 ")


async def test_the_flipbook_plays_and_steps(farm: FakeFarm, page: Page) -> None:
    fill(farm)
    job = fill_running_job(farm)
    async with page.expect_response("**/frames"):
        await page.goto(f"/jobs/{job['id']}")
    await expect(page.locator("#caption")).to_contain_text("Frame 14 ")
    await page.keyboard.press(",")
    await expect(page.locator("#caption")).to_contain_text("Frame 13 ")
    await expect(page.get_by_role("button", name="Newest")).to_have_attribute("aria-pressed", "false")
    await page.keyboard.press(" ")
    await expect(page.get_by_role("button", name="Pause")).to_be_visible()
    await expect(page.locator("#caption")).not_to_contain_text("Frame 13 ")
    await page.keyboard.press(" ")
    await expect(page.get_by_role("button", name="Play")).to_be_visible()
    await page.get_by_role("button", name="Newest").click()
    await expect(page.locator("#caption")).to_contain_text("Frame 14 ")


async def test_a_log_grows_while_its_task_runs(farm: FakeFarm, page: Page) -> None:
    fill(farm)
    job = fill_running_job(farm)
    task = farm.task_lists[job["id"]][14]
    await page.goto(f"/jobs/{job['id']}/log?task={task['id']}")
    await expect(page.locator("#log")).to_have_text(LOG)
    await expect(page.locator("#log .warning")).to_have_text(re.compile("^Warning: File written"))
    farm.logs[task["id"]] += "Error: Out of memory\n"
    await expect(page.locator("#log .trouble")).to_have_text("Error: Out of memory")
    task["status"] = "failed"
    await expect(page.get_by_text("The log is complete.")).to_be_visible()


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("path", ["/", "/workers", "/jobs/J", "/jobs/J/tasks", "/jobs/J/log", "/sign-in"])
async def test_every_word_can_be_read(farm: FakeFarm, page: Page, url: str, theme: str, path: str) -> None:
    fill(farm)
    job = fill_running_job(farm)
    farm.signed_in = path != "/sign-in"
    await page.context.add_cookies([{"name": "flamenco_theme", "value": theme, "url": url}])
    await page.emulate_media(reduced_motion="reduce")
    await page.goto(path.replace("/J", f"/{job['id']}").replace("/sign-in", "/"))
    assert await page.evaluate(FAINT_TEXTS) == []


FAINT_TEXTS = """() => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const over = (colours) => {  // what is seen of colours that lie over one another
    canvas.clearRect(0, 0, 1, 1);
    for (const colour of colours) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const luminance = (rgb) => rgb.map((part) => part / 255)
    .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
    .reduce((sum, part, index) => sum + part * [0.2126, 0.7152, 0.0722][index], 0);
  const faint = [];
  for (const element of document.querySelectorAll("body *")) {
    const text = [...element.childNodes].filter((node) => node.nodeType === 3).map((node) => node.data.trim()).join("");
    if (!text || !element.checkVisibility() || element.closest("template, script, .unseen, .skip")) continue;
    const behind = [];
    for (let at = element; at; at = at.parentElement) behind.unshift(getComputedStyle(at).backgroundColor);
    const [one, other] = [over(behind), over([...behind, getComputedStyle(element).color])].map(luminance);
    const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (contrast < 4.5) faint.push(`${text.slice(0, 40)}: ${contrast.toFixed(2)}`);
  }
  return [...new Set(faint)];
}"""
