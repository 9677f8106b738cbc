import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flamenco_core.identifiers import is_sha256, is_uuid, new_id, task_id, task_ids

JOB = "6f1c2b1e-9a2d-4a53-8f5b-0d6c4d1b7a10"


def test_new_ids_are_uuids_and_differ() -> None:
    ids = {new_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(map(is_uuid, ids))


@given(st.uuids(), st.integers(0, 100_000), st.integers(0, 100_000))
def test_a_tasks_id_follows_from_job_and_index(job: uuid.UUID, index: int, other: int) -> None:
    made = task_id(str(job), index)
    assert is_uuid(made)
    assert uuid.UUID(made).version == 5
    assert (made == task_id(str(job), other)) == (index == other)


@given(st.uuids(), st.integers(0, 1_000_000))
def test_a_tasks_id_is_the_name_based_uuid_of_the_standard(job: uuid.UUID, index: int) -> None:
    assert task_ids(str(job))(index) == task_id(str(job).upper(), index) == str(uuid.uuid5(job, str(index)))


def test_a_tasks_id_never_changes() -> None:
    assert task_id(JOB, 0) == "069d293e-9ab5-5f0c-bf8d-8d6a4bc04abd"
    assert task_id(JOB, 7) != task_id(new_id(), 7)


@pytest.mark.parametrize(
    "text",
    ["", "x", JOB.replace("-", ""), "{" + JOB + "}", "urn:uuid:" + JOB, JOB + "\n", " " + JOB, JOB[:-1], JOB[:-1] + "g",
     JOB[:-1] + "٣", JOB[:-1] + "ａ"],
)  # fmt: skip
def test_only_the_hyphenated_form_is_a_uuid(text: str) -> None:
    assert not is_uuid(text)


def test_a_uuid_may_be_written_in_capitals() -> None:
    assert is_uuid(JOB.upper())


@pytest.mark.parametrize("text", ["a" * 64, "0123456789abcdef" * 4])
def test_a_sha256_is_64_lower_case_digits(text: str) -> None:
    assert is_sha256(text)


@pytest.mark.parametrize(
    "text", ["", "a" * 63, "a" * 65, "A" * 64, "g" * 64, "a" * 64 + "\n", "../" + "a" * 61, "٣" * 64]
)
def test_anything_else_is_no_sha256(text: str) -> None:
    assert not is_sha256(text)
