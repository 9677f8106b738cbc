"""A job on which nobody works says for what it waits."""

from farm_builder import Site

from flamenco_core.wire.definitions import NeededJob
from flamenco_manager import asked_of_jobs


def test_a_job_that_nobody_can_run_says_what_is_missing_and_stops_saying_so() -> None:
    site = Site()
    site.worker()
    job = site.job(asked={"tag": "GPU"})
    site.passes(1)
    assert job.activity == "No Worker with tasks of type misc has the tag GPU."
    asked_of_jobs.set_tag(site.farm, job, None)
    site.takes(site.worker())
    assert job.activity == ""


def test_a_job_in_line_says_so_without_numbers() -> None:
    site = Site()
    worker = site.worker()
    site.job()
    site.takes(worker)
    job = site.job()
    site.passes(2, worker)
    assert job.activity == "Waits for a free Worker"


def test_a_job_that_waits_for_another_names_it() -> None:
    site = Site()
    other = site.job()
    job = site.job(asked={"needs_jobs": [NeededJob(other.id)]})
    site.passes(1)
    assert job.activity == f"Its job waits until job {other.id} is completed."


def test_many_idle_jobs_have_their_turn() -> None:
    site = Site()
    jobs = [site.job() for _ in range(50)]
    site.passes(1)
    assert sum(bool(job.activity) for job in jobs) == 20
    site.passes(2)
    assert all(job.activity == "There are no Workers yet." for job in jobs)
