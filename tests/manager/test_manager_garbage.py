"""What has left memory goes at once, without the garbage collector: it passes over what was kept (runtime, garbage)."""

import gc
from collections.abc import Iterator

import pytest
from farm_builder import Site

from flamenco_manager.model import Job, Task


@pytest.fixture
def without_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def there_are() -> int:
    """Count jobs and tasks in memory, those that only the garbage collector would find included."""
    return sum(type(thing) in (Job, Task) for thing in gc.get_objects())


@pytest.mark.usefixtures("without_collector")
def test_a_job_that_is_forgotten_takes_its_tasks_with_it() -> None:
    site, before = Site(), there_are()
    job = site.job([(), (0,), (0, 1)])
    assert there_are() == before + 4
    site.completes(job)
    site.farm.take_changes()
    site.farm.forget(job)
    del job
    assert there_are() == before
