"""Section 7: the calls around a Worker."""

from flamenco_cli.conformance.check import check
from flamenco_cli.conformance.visit import Visit

AUDIENCES = ("workers", "users")


@check(
    "7",
    asked="GET version without credentials",
    expected="200 with version, shortversion, name and git as texts",
    mend="Answer version: a Worker asks for it to see which of the URLs that it discovered answers.",
)
async def _version_tells_who_answers(visit: Visit) -> None:
    (await visit.peer.call("GET", "version")).must_be(200).must_have(version=str, shortversion=str, name=str, git=str)


@check(
    "7",
    asked="GET configuration",
    expected="200 with storageLocation, shamanEnabled and isFirstRun",
    mend="Answer configuration.",
)
async def _configuration_is_told(visit: Visit) -> None:
    answer = await visit.peer.call("GET", "configuration")
    answer.must_be(200).must_have(storageLocation=str, shamanEnabled=bool, isFirstRun=bool)


@check(
    "7",
    asked="GET configuration/variables for workers and users on linux, and on a platform that there is not",
    expected="200 with an object of {value, is_twoway}; {} for the unknown platform",
    mend="Answer the variables of an audience on a platform.",
)
async def _variables_are_told(visit: Visit) -> None:
    for audience in AUDIENCES:
        answer = (await visit.peer.call("GET", f"configuration/variables/{audience}/linux")).must_be(200)
        for name, variable in answer.members().items():
            if not (isinstance(variable, dict) and isinstance(variable.get("value"), str)):
                raise answer.differs(f"with {name} = {variable!r}")
            if not isinstance(variable.get("is_twoway"), bool):
                raise answer.differs(f"with {name} = {variable!r}")
    unknown = (await visit.peer.call("GET", "configuration/variables/workers/no-such-platform")).must_be(200)
    if unknown.members():
        raise unknown.differs()


@check(
    "7",
    asked="GET configuration/shared-storage/users/linux",
    expected="200 with location, audience, platform and shamanEnabled",
    mend="Answer where the shared storage is.",
)
async def _shared_storage_is_told(visit: Visit) -> None:
    answer = await visit.peer.call("GET", "configuration/shared-storage/users/linux")
    answer.must_be(200).must_have(location=str, audience="users", platform="linux", shamanEnabled=bool)


@check(
    "7",
    asked="GET status",
    expected="200 with status",
    mend="Answer the status of the farm.",
)
async def _the_farm_has_a_status(visit: Visit) -> None:
    (await visit.peer.call("GET", "status")).must_be(200).must_have(status=str)
