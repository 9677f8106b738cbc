from pathlib import Path

import apsw
import pytest

from flamenco_runtime import store_copies
from flamenco_runtime.store_copies import CopyFailed, DamagedStore, copy_store


def a_store(path: Path, notes: int = 20_000) -> apsw.Connection:
    connection = apsw.Connection(str(path))
    connection.execute("PRAGMA journal_mode = WAL; CREATE TABLE note (text)").fetchall()
    with connection:
        connection.executemany("INSERT INTO note VALUES (?)", (("x" * 100,) for _ in range(notes)))
    return connection


def count(path: Path) -> int:
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return int(connection.execute("SELECT count(*) FROM note").get)
    finally:
        connection.close()


def test_a_copy_is_of_one_moment_while_others_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_copies, "PAGES_AT_ONCE", 50)
    a_store(tmp_path / "store.sqlite").close()
    writer = apsw.Connection(str(tmp_path / "store.sqlite"))
    shares: list[float] = []

    def write(share: float) -> None:
        shares.append(share)
        writer.execute("INSERT INTO note VALUES ('later')")

    copy_store(tmp_path / "store.sqlite", tmp_path / "copy.sqlite", write)
    assert count(tmp_path / "copy.sqlite") == 20_000
    assert count(tmp_path / "store.sqlite") == 20_000 + len(shares)
    assert len(shares) > 5
    assert shares == sorted(shares)
    assert shares[-1] == 1
    writer.close()


def test_a_copy_needs_no_files_beside_it_and_replaces_one_of_its_name(tmp_path: Path) -> None:
    connection = a_store(tmp_path / "store.sqlite")
    (tmp_path / "new folder [1]").mkdir()
    target = tmp_path / "new folder [1]" / "copy.sqlite"
    target.write_text("an older copy")
    target.with_name("copy.sqlite.part").write_text("of one that was killed")
    copy_store(tmp_path / "store.sqlite", target)
    connection.close()
    assert [file.name for file in target.parent.iterdir()] == ["copy.sqlite"]
    assert (count(target), target.stat().st_mode & 0o777) == (20_000, 0o600)


def test_what_is_damaged_is_not_copied_and_an_older_copy_stays(tmp_path: Path) -> None:
    connection = a_store(tmp_path / "store.sqlite")
    connection.execute("CREATE INDEX texts ON note (text); PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    page = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'texts'").get
    size = connection.pragma("page_size")
    connection.close()
    with (tmp_path / "store.sqlite").open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    (tmp_path / "copy.sqlite").write_text("an older copy")
    with pytest.raises(DamagedStore, match=r"SQLite finds damage in the copy of .*store\.sqlite: "):
        copy_store(tmp_path / "store.sqlite", tmp_path / "copy.sqlite")
    assert (tmp_path / "copy.sqlite").read_text() == "an older copy"
    assert [file.name for file in tmp_path.glob("copy*")] == ["copy.sqlite"]


def test_what_cannot_be_read_or_written_is_said_in_words(tmp_path: Path) -> None:
    a_store(tmp_path / "store.sqlite").close()
    with pytest.raises(CopyFailed, match=r"Cannot read .*none\.sqlite"):
        copy_store(tmp_path / "none.sqlite", tmp_path / "copy.sqlite")
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(CopyFailed, match=r"Cannot copy .*store\.sqlite to .*file/copy\.sqlite: "):
        copy_store(tmp_path / "store.sqlite", tmp_path / "file" / "copy.sqlite")
