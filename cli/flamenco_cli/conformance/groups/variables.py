"""Section 8: variables in commands."""

from flamenco_cli.conformance.check import Needs, check
from flamenco_cli.conformance.peer import Differs
from flamenco_cli.conformance.visit import NotJudged, Visit


@check(
    "8",
    asked="POST task; the command says '{jobs} {no-such-variable}'",
    expected="{jobs} replaced, the unknown one as it is",
    mend="Replace variables in the texts at the top of a command's parameters; leave unknown names alone.",
    needs=Needs.FARM,
)
async def _variables_are_replaced(visit: Visit) -> None:
    visitor = await visit.awake()
    await visit.source.cancel_job()  # a new one: of the old one, the task that speaks is long done
    task = await visit.task(visitor)
    messages = [command["parameters"].get("message") for command in task.document["commands"]]
    if messages == [None]:
        raise NotJudged("Another Worker was faster, and took the task that says it.")
    said = str(messages[0])
    if "{jobs}" in said or not said.endswith(" {no-such-variable}"):
        raise Differs(f"the message is {said!r}")
