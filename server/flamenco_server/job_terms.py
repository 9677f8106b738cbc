"""Checking what a submission asks of the farm beyond its settings: a tag, limits, other jobs."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Protocol

from flamenco_core.errors import BadInput
from flamenco_core.wire.farm_settings import FarmSettings
from flamenco_core.wire.manager_api import NeededJob
from flamenco_server.records import Job, Tag, Terms

MOST_NAMES = 20
"""How many of the names that there are a message lists."""


class BadTerms(BadInput):
    """The farm cannot do it like that; ``errors`` has one message per member of the submission."""

    type = "bad-terms"

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{key}: {message}" for key, message in errors.items()), errors)


class FarmFacts(Protocol):
    """What the farm has."""

    async def tags(self) -> Sequence[Tag]:
        """Return all tags, by name."""

    async def farm_settings(self) -> FarmSettings:
        """Return the farm's settings."""


class KnownJobs(Protocol):
    """The jobs that there are."""

    async def jobs_by_id(self, job_ids: Collection[str]) -> Sequence[Job]:
        """Return those of the jobs that exist, in any order."""


async def check_terms(facts: FarmFacts, known: KnownJobs, tag: str | None, terms: Terms) -> None:
    """Check that the farm has what a job asks for. Raises BadTerms."""
    errors: dict[str, str] = {}
    if tag is not None:
        errors.update(_tag_errors(tag, await facts.tags()))
    if terms.limits:
        errors.update(_limit_errors(terms.limits, (await facts.farm_settings()).limits))
    if terms.needs_jobs:
        jobs = await known.jobs_by_id([needed.job for needed in terms.needs_jobs])
        errors.update(_needed_errors(terms.needs_jobs, {job.id: job for job in jobs}))
    if errors:
        raise BadTerms(errors)


async def check_tags(facts: FarmFacts, names: Collection[str], member: str) -> None:
    """Check that tags exist; ``member`` names where they stand. Raises BadTerms."""
    known = await facts.tags()
    for name in names:
        for message in _tag_errors(name, known).values():
            raise BadTerms({member: message})


def _tag_errors(tag: str, known: Sequence[Tag]) -> dict[str, str]:
    names = [item.name for item in known]
    return {} if tag in names else {"tag": f"there is no tag {tag!r}; {_those_that_are(names)}"}


def _limit_errors(wanted: Mapping[str, int], capacities: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    for name, count in wanted.items():
        capacity = capacities.get(name)
        if capacity is None:
            yield f"limits.{name}", f"the farm has no such limit; {_those_that_are(sorted(capacities))}"
        elif count > capacity:
            yield f"limits.{name}", f"a task cannot hold {count}: the farm has {capacity}."


def _needed_errors(wanted: Sequence[NeededJob], jobs: Mapping[str, Job]) -> Iterator[tuple[str, str]]:
    for needed in wanted:
        job = jobs.get(needed.job)
        if job is None:
            yield "needs_jobs", f"there is no job {needed.job}."
        elif job.deleted_at is not None:
            yield "needs_jobs", f"the job {job.name!r} ({job.id}) is deleted."
        elif job.manager_id is None and job.reported_status.is_ended and not needed.ended:
            yield "needs_jobs", f"the job {job.name!r} ({job.id}) is {job.status} and will never be completed."
    managers = {job.manager_name for job in jobs.values() if job.manager_id}
    if len(managers) > 1:
        names = ", ".join(sorted(managers))
        yield "needs_jobs", f"these jobs are on different Managers ({names}); a job can only wait for jobs on its own."


def _those_that_are(names: Sequence[str]) -> str:
    if not names:
        return "there are none yet."
    return f"there are {', '.join(names[:MOST_NAMES])}{' …' if len(names) > MOST_NAMES else ''}."
