"""The check of a stopped Manager's store finds what does not fit together, says so in words, and mends what it can."""

from pathlib import Path

import apsw
import pytest
from stored_site import StoredSite, stored_site

from flamenco_manager.checking import REPAIR, Finding
from flamenco_manager.stores.mending import check_stopped, mend


@pytest.fixture
async def store(tmp_path: Path) -> Path:
    """The store of a farm with a job at work, one that has ended, and one that waits."""
    async with stored_site(tmp_path) as site:
        await a_busy_farm(site)
    return tmp_path / "manager.sqlite"


async def a_busy_farm(site: StoredSite) -> None:
    ended = await site.stored_job([[], []])
    worker, other = site.worker(), site.worker()
    for _ in ended.tasks:
        site.says(worker, site.takes(worker), "completed")
    await site.keep()
    await site.stored_job([[], [0], [1], []])
    site.says(worker, site.takes(worker), "completed")
    site.takes(worker)
    site.says(other, site.takes(other), "active", steps_completed=1)
    await site.keep()


def change(store: Path, *statements: str) -> None:
    connection = apsw.Connection(str(store))
    for statement in statements:
        connection.execute(statement)
        assert connection.changes(), statement
    connection.close()


def whats(findings: list[Finding]) -> list[str]:
    return [str(finding) for finding in findings]


def test_a_sound_store_is_said_to_be_sound(store: Path) -> None:
    assert check_stopped(store) == []
    assert mend(store) == []


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (
            """UPDATE jobs SET counts = '{"completed":1}' WHERE key = 4""",
            f"1 completed, 1 queued, 2 of 4 steps; counted are 1 completed, 2 of 4 steps. {REPAIR}count again.",
        ),
        ("UPDATE jobs SET steps_completed = 99 WHERE key = 1", "counted are 2 completed, 99 of 2 steps."),
        ("UPDATE jobs SET status = 'failed' WHERE key = 1", "It is failed, and by its tasks it must be completed."),
        (
            "UPDATE tasks SET status = 'queued' WHERE key = 1 << 20",
            "It is completed, and by its tasks it has not ended.",
        ),
        ("UPDATE tasks SET is_held = 0 WHERE is_held", "It is active, and no attempt holds it."),
        ("UPDATE tasks SET worker = zeroblob(16) WHERE is_held", "It is held by a Worker that is gone."),
        (
            "UPDATE tasks SET is_held = 1, worker = (SELECT max(worker) FROM attempts) WHERE key = (4 << 20) + 2",
            "which it was handed later",
        ),
        ("UPDATE tasks SET is_held = 1 WHERE key = 1 << 20", "A Worker has it, though its job is completed."),
        ("UPDATE workers SET current_task = NULL", "It is said to run no task, and holds task 4.1."),
        (
            "UPDATE attempts SET attempt = 7 WHERE task = 1 << 20",
            "Attempt 7 of it was made, and 1 is said to be its last.",
        ),
        ("DELETE FROM jobs WHERE key = 1", "It has 2 tasks of jobs that are not here."),
        ("INSERT INTO log_uploads VALUES (99 << 20, 1)", "It has 1 logs to be sent of tasks that are not here."),
        ("INSERT INTO attempts VALUES (99 << 20, 1, zeroblob(16), 0)", "It has 1 attempts of tasks that are not here."),
        ("INSERT INTO command_slices VALUES (99, 0, x'')", "It has 1 lots of commands of jobs that are not here."),
        ("INSERT INTO preview_uploads VALUES (zeroblob(16), 1)", "It has 1 thumbnails to be sent of jobs"),
        ("UPDATE link SET changes = 1", "Change 6 is in it, and 1 is said to be the last."),
        (
            """INSERT INTO orders (number, id, kind, job, applied_at, unreported, change)
            VALUES (1, zeroblob(16), 'job.submit', zeroblob(16), 0, 0, 0)""",
            "1 orders brought jobs that are not here.",
        ),
    ],
)
def test_what_does_not_fit_together_is_said_and_mended(store: Path, damage: str, said: str) -> None:
    change(store, damage)
    found = check_stopped(store)
    assert any(said in line for line in whats(found)), whats(found)
    assert any(finding.is_repairable for finding in found)
    mended = mend(store)
    assert any(said in line for line in whats(mended)), whats(mended)
    assert check_stopped(store) == []


async def test_what_was_mended_is_reported_and_the_farm_goes_on(store: Path) -> None:
    change(store, "UPDATE link SET changes = changes + 1", "UPDATE jobs SET unreported = 0")
    change(store, "UPDATE tasks SET worker = zeroblob(16), unreported = 0 WHERE key = (4 << 20) + 1")
    mend(store)
    connection = apsw.Connection(str(store))
    query = "SELECT status, unreported, rev = (SELECT changes FROM link) FROM tasks WHERE key = (4 << 20) + 1"
    assert connection.execute(query).fetchall() == [("queued", 1, 1)]
    assert connection.execute("SELECT unreported FROM jobs WHERE key = 4").get == 1
    connection.close()
    async with stored_site(store.parent) as site:
        await site.restart()
        assert site.takes(site.worker()).index == 1


def test_hole_4_a_job_whose_tasks_are_all_completed_ends(store: Path) -> None:
    """As if the process had died between storing the last task and its job; that is one transaction here."""
    change(
        store,
        "UPDATE tasks SET status = 'completed', is_held = 0, steps_completed = 1 WHERE key >> 20 = 4",
        "UPDATE workers SET current_task = NULL",
        """UPDATE jobs SET counts = '{"completed":4}', steps_completed = 4 WHERE key = 4""",
    )
    said = [finding.about + ": " + finding.what for finding in check_stopped(store)]
    assert said == ["job 00000000-0000-4000-8000-000000000004: It is active, and by its tasks it must be completed."]
    assert [finding.what for finding in mend(store)] == ["It was active; by its tasks it is completed."]
    assert check_stopped(store) == []


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("DELETE FROM tasks WHERE key = (4 << 20) + 3", "3 of its 4 tasks are here."),
        ("DELETE FROM command_slices WHERE job = 4", "Commands of some of its tasks are missing."),
        ("UPDATE tasks SET depends_on = x'63000000' WHERE key = (4 << 20) + 3", "A Manager could not read it"),
        ("UPDATE tasks SET status = 'lost' WHERE key = (4 << 20) + 3", "is lost, and there is no such status."),
        ("DELETE FROM link", "It must know one Server, and has 0 rows"),
        ("INSERT INTO reports VALUES (7, x'', '')", "Reports to the Server are missing"),
    ],
)
def test_what_cannot_be_mended_is_said_with_what_to_do_and_left_alone(store: Path, damage: str, said: str) -> None:
    change(store, damage)
    assert any(said in line for line in whats(check_stopped(store)))


def test_a_damaged_page_is_found(store: Path) -> None:
    connection = apsw.Connection(str(store))
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode = DELETE").fetchall()
    page = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'orders_unreported'").get
    size = connection.pragma("page_size")
    connection.close()
    with store.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    first, *_ = check_stopped(store)
    assert first.what.startswith("SQLite finds damage")
    assert first.advice.startswith("Put a backup back")
