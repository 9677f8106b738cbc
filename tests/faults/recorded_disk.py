"""A disk that remembers what was asked of it, in order, and what was synced: what a power cut would leave can be made.

SQLite's files are recorded through a VFS of apsw. Its VFS has no shared memory, so a store has one connection here,
which locks it for itself (``OneConnectionJournal``). Other files are looked at whenever something is synced: what is
written between two syncs may reach the disk in any order anyway.

A file's contents are durable once it was synced, its name once its folder was (SQLite syncs the folder together with
a new journal). Until then a cut may leave any part of what was written, also of a single write.
"""

import contextlib
import os
import random
import stat
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw

from flamenco_manager import log_file
from flamenco_runtime.journal import Journal, Work

Node = int | str
"""A file or folder, whatever its name is: its inode, or the name of one of SQLite's."""
Name = tuple[Node, str]
"""A folder, and what something is called in it."""
_SQLITE = (".sqlite", "-wal", "-journal")
_UNWATCHED = ("lock", "link.json", "control.sock")


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes were written into a file."""

    node: Node
    at: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Truncate:
    """A file was cut, or grew by zeros, to a size."""

    node: Node
    size: int


@dataclass(frozen=True, slots=True)
class Sync:
    """All that was written into a file is on the disk."""

    node: Node


@dataclass(frozen=True, slots=True)
class Rename:
    """A file or folder has a name (``new``), another one than before (``old``), or none any more."""

    node: Node
    old: Name | None
    new: Name | None


@dataclass(frozen=True, slots=True)
class SyncFolder:
    """The names in a folder are on the disk."""

    folder: Node


@dataclass(frozen=True, slots=True)
class Mark:
    """Somebody was told something: from here on it counts."""


Step = Write | Truncate | Sync | Rename | SyncFolder | Mark


class RecordedDisk:
    """Everything below ``folder``, which is on the disk itself. ``steps`` grows from several threads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder.stat().st_ino
        self.steps: list[Step] = []
        self.before: Callable[[Step], None] = lambda _: None
        """Called before SQLite does something; what it raises happens to SQLite."""
        self._guard = threading.RLock()
        self._names: dict[Name, int] = {}
        self._contents: dict[int, bytes] = {}
        """Of the files that are not SQLite's."""
        self._held: dict[int, int] = {}
        """A descriptor for each inode that was seen, so that none is used for something else."""

    def mark(self) -> int:
        """Note that somebody is told something; returns the number of steps with it."""
        with self._guard:
            self.steps.append(Mark())
            return len(self.steps)

    def note(self, step: Step) -> None:
        """Record what SQLite is about to do."""
        with self._guard:
            self.before(step)
            self.steps.append(step)

    def holds(self, path: str) -> bool:
        """Tell whether a file is ours."""
        return Path(path).is_relative_to(self.folder)

    def look(self) -> None:
        """Note what has become of the files that are not SQLite's."""
        with self._guard:
            names, contents = self._found()
            for node, now in contents.items():
                self._note_contents(node, self._contents.get(node, b""), now)
            before = {node: name for name, node in self._names.items()}
            after = {node: name for name, node in names.items()}
            for node, name in after.items():
                if before.get(node) != name:
                    self.steps.append(Rename(node, before.get(node), name))
            for node, name in before.items():
                if node not in after and name not in names:
                    self.steps.append(Rename(node, name, None))
            self._names, self._contents = names, contents

    def synced(self, descriptor: int, sync: Callable[[int], None]) -> None:
        """Sync a file or folder."""
        if not self.holds(str(Path(f"/proc/self/fd/{descriptor}").readlink())):
            sync(descriptor)
            return
        self.look()
        sync(descriptor)
        status = os.fstat(descriptor)
        with self._guard:
            self.steps.append(SyncFolder(status.st_ino) if stat.S_ISDIR(status.st_mode) else Sync(status.st_ino))

    def close(self) -> None:
        """Let go of everything."""
        for descriptor in self._held.values():
            os.close(descriptor)

    def _note_contents(self, node: Node, old: bytes, new: bytes) -> None:
        if old == new:
            return
        if len(new) < len(old):
            self.steps.append(Truncate(node, len(new)))
        same = next((at for at, (was, now) in enumerate(zip(old, new, strict=False)) if was != now), len(old))
        if new[same:]:
            self.steps.append(Write(node, same, new[same:]))

    def _found(self) -> tuple[dict[Name, int], dict[int, bytes]]:
        names: dict[Name, int] = {}
        contents: dict[int, bytes] = {}
        for parent, folders, files in os.walk(self.folder):
            try:
                parent_node = os.stat(parent).st_ino  # noqa: PTH116
                for name in folders + files:
                    if name in _UNWATCHED or name.endswith(_SQLITE):
                        continue
                    node = self._node_at(os.path.join(parent, name))  # noqa: PTH118
                    names[parent_node, name] = node
                    if name in files:
                        descriptor = self._held[node]
                        contents[node] = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
            except FileNotFoundError:
                continue  # it went while we looked
        return names, contents

    def _node_at(self, path: str) -> int:
        node = os.stat(path).st_ino  # noqa: PTH116
        if node not in self._held:
            self._held[node] = os.open(path, os.O_RDONLY)
        return node


@dataclass
class _File:
    durable: bytearray = field(default_factory=bytearray)
    pending: list[Write | Truncate] = field(default_factory=list)

    def settle(self) -> None:
        for step in self.pending:
            _apply(self.durable, step)
        self.pending.clear()


class Replay:
    """The disk after some of its steps."""

    def __init__(self, root: Node) -> None:
        self._root = root
        self._files: dict[Node, _File] = {}
        self._names: dict[Name, Node] = {}
        self._pending: list[Rename] = []

    def take(self, step: Step) -> None:
        """Let the next step happen."""
        match step:
            case Write(node) | Truncate(node):
                self._file(node).pending.append(step)
            case Sync(node):
                self._file(node).settle()
            case Rename():
                self._pending.append(step)
            case SyncFolder(folder):
                later = []
                for one in self._pending:
                    if any(name is not None and name[0] == folder for name in (one.old, one.new)):
                        _rename(self._names, one)
                    else:
                        later.append(one)
                self._pending = later

    def killed(self) -> dict[str, bytes]:
        """Return all files as they are while the system runs on: the process was killed."""
        return self._image(self._pending, lambda pending: pending)

    def cut(self, rng: random.Random) -> dict[str, bytes]:
        """Return files as a power cut may leave them: whatever was not synced is there, or not, or in part."""
        kept = self._pending[: rng.choice([0, len(self._pending), rng.randint(0, len(self._pending))])]
        choose = rng.choice([_nothing, _torn_end, _any_part])
        return self._image(kept, lambda pending: choose(pending, rng))

    def _image(
        self, renames: list[Rename], choose: Callable[[list[Write | Truncate]], list[Write | Truncate]]
    ) -> dict[str, bytes]:
        names = dict(self._names)
        for one in renames:
            _rename(names, one)
        places = {node: name for name, node in names.items()}
        image = {}
        for node in self._files.keys() & places.keys():
            path = self._path(node, places)
            if path is not None:
                contents = bytearray(self._file(node).durable)
                for step in choose(self._file(node).pending):
                    _apply(contents, step)
                image[path] = bytes(contents)
        return image

    def _path(self, node: Node, places: Mapping[Node, Name]) -> str | None:
        """Return the path of a file, or None if it is in a folder that is not there."""
        parts: list[str] = []
        while node != self._root:
            if node not in places:
                return None
            node, name = places[node]
            parts.insert(0, name)
        return "/".join(parts)

    def _file(self, node: Node) -> _File:
        return self._files.setdefault(node, _File())


def put(image: Mapping[str, bytes], folder: Path) -> None:
    """Write an image below a folder."""
    for name, contents in image.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(contents)


def _nothing(_pending: list[Write | Truncate], _rng: random.Random) -> list[Write | Truncate]:
    return []


def _torn_end(pending: list[Write | Truncate], rng: random.Random) -> list[Write | Truncate]:
    """Return what was written first; the last of it may be there in part."""
    if not pending:
        return []
    last = rng.randrange(len(pending))
    return [*pending[:last], *_torn(pending[last], rng)]


def _any_part(pending: list[Write | Truncate], rng: random.Random) -> list[Write | Truncate]:
    """Return some of it, and of that some in part."""
    kept = [step for step in pending if rng.random() < 0.6]
    return [part for step in kept for part in (_torn(step, rng) if rng.random() < 0.3 else [step])]


def _torn(step: Write | Truncate, rng: random.Random) -> list[Write | Truncate]:
    if isinstance(step, Truncate):
        return [step] if rng.random() < 0.5 else []
    return [Write(step.node, step.at, step.data[: rng.randint(0, len(step.data))])]


def _apply(contents: bytearray, step: Write | Truncate) -> None:
    size = step.at if isinstance(step, Write) else step.size
    if len(contents) < size:
        contents.extend(bytes(size - len(contents)))
    if isinstance(step, Write):
        contents[step.at : step.at + len(step.data)] = step.data
    else:
        del contents[step.size :]


def _rename(names: dict[Name, Node], step: Rename) -> None:
    if step.old is not None and names.get(step.old) == step.node:
        del names[step.old]
    if step.new is not None:
        names[step.new] = step.node


class _Files(apsw.VFS):
    def __init__(self, disk: RecordedDisk) -> None:
        self.name = f"recorded-{id(disk)}"
        self._disk = disk
        self.beneath: str = apsw.vfs_names()[0]
        super().__init__(self.name, self.beneath, makedefault=True)

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 (SQLite's name)
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        if path is None or not self._disk.holds(path):
            return apsw.VFSFile(self.beneath, name, flags)
        return _RecordedFile(self._disk, self.beneath, path, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        if self._disk.holds(filename):
            name = Path(filename).name
            self._disk.note(Rename(name, (self._disk.root, name), None))
            if syncdir:
                self._disk.note(SyncFolder(self._disk.root))
        super().xDelete(filename, syncdir)


class _RecordedFile(apsw.VFSFile):
    def __init__(self, disk: RecordedDisk, beneath: str, path: str, name: Any, flags: list[int]) -> None:
        self._disk, self._name = disk, Path(path).name
        self._is_name_due = not Path(path).exists() and self._name.endswith(("-wal", "-journal"))
        """SQLite brings the names in the folder to the disk together with a new journal, once."""
        if not Path(path).exists():
            disk.note(Truncate(self._name, 0))
            disk.note(Rename(self._name, None, (disk.root, self._name)))
        super().__init__(beneath, name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        self._disk.note(Write(self._name, offset, bytes(data)))
        super().xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        self._disk.note(Truncate(self._name, newsize))
        super().xTruncate(newsize)

    def xSync(self, flags: int) -> None:  # noqa: N802
        self._disk.note(Sync(self._name))
        super().xSync(flags)
        if self._is_name_due:
            self._is_name_due = False
            self._disk.note(SyncFolder(self._disk.root))


class OneConnectionJournal(Journal):
    """Reads through the writer's queue: nobody else can open a store that has no shared memory."""

    async def read(self, work: Work[Any], *, is_long: bool = False) -> Any:
        return await self.write(work)


@contextlib.contextmanager
def recording(folder: Path) -> Iterator[RecordedDisk]:
    """Record what happens below a folder while the context lasts; its stores are opened by ``OneConnectionJournal``."""
    folder.mkdir(parents=True, exist_ok=True)
    disk = RecordedDisk(folder)
    vfs = _Files(disk)

    def lock_for_itself(connection: apsw.Connection) -> None:
        if disk.holds(connection.filename):
            connection.execute("PRAGMA locking_mode = EXCLUSIVE").fetchall()

    fsync, fdatasync, log_sync = os.fsync, os.fdatasync, log_file._sync_data
    os.fsync = lambda descriptor: disk.synced(descriptor, fsync)
    os.fdatasync = lambda descriptor: disk.synced(descriptor, fdatasync)
    log_file._sync_data = os.fdatasync
    apsw.connection_hooks.append(lock_for_itself)
    try:
        yield disk
    finally:
        apsw.connection_hooks.remove(lock_for_itself)
        os.fsync, os.fdatasync, log_file._sync_data = fsync, fdatasync, log_sync
        vfs.unregister()
        disk.close()
