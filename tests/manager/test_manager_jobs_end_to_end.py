"""Jobs from the Server's order to their end, over HTTP."""

from pathlib import Path

from fake_server import FakeServer
from manager_world import a_frame, a_frame_task, a_task, manager_world


async def test_a_job_runs_from_submission_to_completion(server: FakeServer, tmp_path: Path) -> None:
    async with manager_world(tmp_path, server) as world:
        worker = await world.worker()
        job = await server.submit([a_task(), a_task(depends_on=[0])], files={"tex/wood.png": b"wood"})
        for _ in range(2):
            task = await worker.task()
            assert (await worker.update(task, taskStatus="active", seq=1)).status == 204
            assert (await worker.update(task, log="line\n", log_at=0, seq=2)).status == 204
            assert (await worker.update(task, taskStatus="completed", seq=3)).status == 204
        report = await server.until_job(job, "completed")
        assert report["counts"] == {"completed": 2}
        assert report["steps_completed"] == report["steps_total"] == 2
        await server.until(lambda: len(server.whole_logs) == 2)
        assert set(map(bytes, server.logs.values())) == {b"line\n"}
        assert (tmp_path / "jobs" / job / "tex" / "wood.png").read_bytes() == b"wood"
        await server.until(lambda: server.results.get(1, {}).get("result") == "done")
        assert (await worker.ask()).status == 204


async def test_frames_that_were_saved_come_back_with_the_next_attempt(server: FakeServer, tmp_path: Path) -> None:
    async with manager_world(tmp_path, server) as world:
        worker = await world.worker()
        job = await server.submit([a_frame_task("1-3")])
        task = await worker.task()
        assert task["commands"][0]["parameters"]["args"] == ["--render-frame", "1-3", "{unknown}", 7]
        assert task["commands"][0]["parameters"]["exe"] == "blender"
        await worker.update(task, taskStatus="active", seq=1)
        await worker.update(task, frames=[a_frame(1)], seq=2)
        await worker.sign_on()
        await worker.say_status("awake")
        again = await worker.task()
        assert again["attempt"] == 2
        assert [frame["frame"] for frame in again["frames_done"]] == [1]
        await server.until(lambda: (job, 1) in server.frames)
