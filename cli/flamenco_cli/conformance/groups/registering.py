"""Section 6.1: POST register-worker."""

from flamenco_cli.conformance.check import check
from flamenco_cli.conformance.visit import Visit


@check(
    "6.1",
    asked="POST register-worker twice with the same name and secret",
    expected="200 with two different uuids",
    mend="Make a new Worker at each registration; names need not be unique.",
)
async def _registration_makes_a_new_worker_each_time(visit: Visit) -> None:
    document = visit.registration("twin")
    ids = [(await visit.register(**document)).must_be(200).must_have(uuid=str)["uuid"] for _ in range(2)]
    if ids[0] == ids[1]:
        raise (await visit.register(**document)).differs("with a uuid that there was before")


@check(
    "6.1",
    asked="POST register-worker with an empty name, an empty platform and no task types",
    expected="200",
    mend="Do not judge the contents of a registration.",
)
async def _empty_strings_are_accepted(visit: Visit) -> None:
    (await visit.register(name="", platform="", supported_task_types=[])).must_be(200).must_have(uuid=str)
