"""What every engine promises of logs and thumbnails (``LogStore``, ``ThumbnailStore``)."""

import pytest

from contracts.server_store import NOON, Engine, ServerStore, StoreContract, compiled, linked
from flamenco_core.identifiers import new_id, task_id
from flamenco_server.reading import NoSuchJob, NoSuchTask
from flamenco_server.task_logs import Attempt, LogState


class LogStoreContract(StoreContract):
    async def test_a_log_is_of_a_task_of_the_managers_own(self, store: ServerStore) -> None:
        manager = await linked(store, "mine")
        job_id = await compiled(store)
        stranger = await linked(store, "stranger")
        await store.logs.check_task_of(manager, task_id(job_id, 1))
        for who, task in ((stranger, task_id(job_id, 1)), (manager, task_id(job_id, 9)), (manager, new_id())):
            with pytest.raises(NoSuchTask):
                await store.logs.check_task_of(who, task)

    async def test_a_log_never_shrinks(self, store: ServerStore) -> None:
        attempt = Attempt(new_id(), 2)
        assert await store.logs.log_state(attempt.task_id, 2) is None
        for stored, total, expected in ((10, None, (10, None)), (4, None, (10, None)), (30, None, (30, None))):
            await store.logs.note_log(attempt, stored, total)
            assert await store.logs.log_state(attempt.task_id, 2) == LogState(2, *expected)

    async def test_a_log_is_complete_once_all_that_was_announced_is_there(self, engine: Engine) -> None:
        attempt = Attempt(new_id(), 1)
        async with engine() as store:
            for stored, total, is_complete in ((10, 20, False), (15, None, False), (20, None, True)):
                await store.logs.note_log(attempt, stored, total)
                state = await store.logs.log_state(attempt.task_id, 1)
                assert state is not None
                assert state.is_complete is is_complete
        async with engine() as store:
            assert await store.logs.log_state(attempt.task_id, 1) == LogState(1, 20, 20)

    async def test_the_newest_attempt_is_found_unless_another_is_asked_for(self, store: ServerStore) -> None:
        task = new_id()
        for number in (3, 1, 2):
            await store.logs.note_log(Attempt(task, number), number * 10, None)
        assert await store.logs.log_state(task, None) == LogState(3, 30, None)
        assert await store.logs.log_state(task, 1) == LogState(1, 10, None)
        assert await store.logs.log_state(task, 4) is None
        assert await store.logs.log_state(new_id(), None) is None


class ThumbnailStoreContract(StoreContract):
    async def test_a_thumbnail_is_of_a_job_of_the_managers_own(self, store: ServerStore) -> None:
        manager = await linked(store, "mine")
        job_id = await compiled(store)
        stranger = await linked(store, "stranger")
        await store.thumbnails.check_job_of(manager, job_id)
        for who, job in ((stranger, job_id), (manager, new_id())):
            with pytest.raises(NoSuchJob):
                await store.thumbnails.check_job_of(who, job)

    async def test_frames_show_whether_they_have_one_and_the_job_which_came_last(self, engine: Engine) -> None:
        async with engine() as store:
            job_id = await compiled(store, frames=["1-3"])
            for frame in (3, 1, 3, 1):
                await store.thumbnails.note_thumbnail(job_id, frame, NOON)
        async with engine() as store:
            assert [frame.has_thumbnail for frame in await store.reader.frames(job_id)] == [True, False, True]
            assert (await store.reader.job(job_id)).newest_frame == 1
