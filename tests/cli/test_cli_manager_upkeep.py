"""``flamenco manager check``, ``repair``, ``backup`` and ``restore``, on a real Manager that runs or was killed."""

import json
from collections.abc import Callable
from pathlib import Path

import apsw
from cli_world import RealServer, Running, flamenco_process

from end_to_end.farm import eventually

Background = Callable[..., Running]


def start_manager(background: Background, server: RealServer, data: Path) -> Running:
    added = server.api.post("managers", {"name": f"site {data.name}"}) if not data.exists() else {}
    manager = background(
        *("manager", "--data", str(data), "--server", server.url, "--listen", "127.0.0.1:0"),
        FLAMENCO_MANAGER_TOKEN=added.get("token", "known already"),
        FLAMENCO_MANAGER_DISCOVERY="off",
    )
    manager.until("ready: ", where="out")
    return manager


def test_a_manager_is_checked_backed_up_repaired_and_restored(
    background: Background, server: RealServer, tmp_path: Path, config: Path
) -> None:
    data, store = tmp_path / "data", tmp_path / "data" / "manager.sqlite"
    manager = start_manager(background, server, data)
    job = server.submit(message="hello", sleep_duration_seconds=0)
    eventually(lambda: server.api.get(f"jobs/{job}")["status"] == "queued", "the Manager has the job")

    def run(*words: object, status: int = 0) -> tuple[str, str]:
        outcome = flamenco_process("manager", *words, "--data", data, config=config)
        assert outcome.status == status, outcome
        return outcome.out, outcome.message

    # It runs.
    assert run("check") == ("All is well with 1 job, 2 tasks and 0 Workers.\n", "")
    assert json.loads(run("check", "--json")[0])["findings"] == []
    out, said = run("backup", tmp_path)
    backup = Path(out.strip())
    assert backup.parent == tmp_path
    assert "1 job, 2 tasks and 0 Workers" in said
    assert "Not in it: files of jobs, logs, previews, and the Manager's token" in said
    older = Path(run("backup", f"{tmp_path}/new folder/")[0].strip())
    assert (older.parent.name, older.suffix) == ("new folder", ".sqlite")
    run("backup", older)
    for target in (store, data / "manager.sqlite-wal", data / "link.json"):
        before = target.stat()
        assert "choose another file" in run("backup", target, status=2)[1]
        assert target.stat().st_ino == before.st_ino
    for verb in (("repair",), ("restore", str(backup), "--yes")):
        assert f"A Manager uses {data}: stop it first." in run(*verb, status=2)[1]

    # It was killed, and something went wrong with its store.
    manager.process.kill()
    manager.process.wait()
    connection = apsw.Connection(str(store))
    connection.execute("UPDATE jobs SET steps_total = 99")
    connection.close()
    out, _ = run("check", status=1)
    assert out.startswith(f"job {job}: Its tasks are 2 queued, 0 of ")
    assert "'flamenco manager repair' would count again." in out
    assert "Say --yes if you mean it" in run("repair", status=2)[1]
    assert run("check", status=1)[0] == out
    assert f"Mended: 1. As it was before, the store is in {data}/backups/" in run("repair", "--yes")[1]
    assert run("repair") == ("", "There is nothing to mend.")

    # Back to the backup.
    assert "Say --yes if you mean it" in run("restore", backup, status=2)[1]
    said = run("restore", backup, "--yes")[1]
    assert f"{backup} holds 1 job, 2 tasks and 0 Workers." in said
    assert f"What was there before is {data}/replaced/manager-" in said
    assert run("check")[0] == "All is well with 1 job, 2 tasks and 0 Workers.\n"
    start_manager(background, server, data)
    assert run("check")[0] == "All is well with 1 job, 2 tasks and 0 Workers.\n"


def test_there_must_be_a_store(tmp_path: Path, config: Path) -> None:
    for verb in ("check", "repair", "backup"):
        outcome = flamenco_process("manager", verb, "--data", tmp_path / "none", config=config)
        assert (outcome.status, outcome.out) == (2, "")
        assert f"There is no Manager's store in {tmp_path / 'none'}." in outcome.message
    outcome = flamenco_process("manager", "check", config=config, FLAMENCO_MANAGER_DATA=str(tmp_path / "elsewhere"))
    assert f"There is no Manager's store in {tmp_path / 'elsewhere'}." in outcome.message
    outcome = flamenco_process("manager", "restore", tmp_path / "none", config=config)
    assert outcome.status == 2
    assert "No such file or directory" in outcome.message


def test_the_data_folder_may_be_that_of_a_whole_farm_and_stand_before_the_verb(
    background: Background, server: RealServer, tmp_path: Path, config: Path
) -> None:
    start_manager(background, server, tmp_path / "farm" / "manager")
    for words in (("manager", "--data", tmp_path / "farm", "check"), ("--data", tmp_path / "farm", "manager", "check")):
        outcome = flamenco_process(*words, config=config)
        assert (outcome.status, outcome.out) == (0, "All is well with 0 jobs, 0 tasks and 0 Workers.\n")
