"""What a power cut leaves of a program's files: its writes and syncs are recorded, and the disk is made at any cut.

A child runs under strace. A disk keeps what was synced; of what was not, it may keep nothing, all, or any part, in any
order, and of one write some sectors of 512 bytes. Names (files and folders made, deleted and renamed) are kept when
their folder was synced. That is less than file systems promise, and what a cut may leave of any of them.

A child tells what it has finished by `say`, which is recorded between its writes.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SECTOR = 512
CALLS = (
    "pwrite64,pwritev,write,writev,ftruncate,truncate,fallocate,fsync,fdatasync,sync_file_range,msync,mknod,mknodat,"
    "unlink,unlinkat,rename,renameat,renameat2,link,linkat,openat,open,creat,mkdir,mkdirat"
)
_SAID = b"said: "
_LINE = re.compile(r"^(?P<pid>\d+) +(?P<call>\w+)\((?P<arguments>.*)\) += (?P<result>-?\d+)")
_RESUMED = re.compile(r"^(?P<pid>\d+) +<\.\.\. \w+ resumed>(?P<rest>.*)$")
_HEX = re.compile(r"(?:\\x[0-9a-f]{2})+")


def say(text: str) -> None:
    """Tell, in a recorded child, that something is finished."""
    with Path(os.devnull).open("wb", buffering=0) as nobody:
        nobody.write(_SAID + text.encode())


@pytest.fixture
def strace() -> None:
    """Skip where programs cannot be recorded; in CI that is an error, since nobody would notice."""
    if why := _obstacle():
        if os.environ.get("CI") == "true":
            pytest.fail(f"power cuts cannot be tested: {why}")
        pytest.skip(why)


def _obstacle() -> str:
    if shutil.which("strace") is None:
        return "the Debian package strace is missing"
    tried = subprocess.run(["strace", "-o", os.devnull, "true"], capture_output=True, check=False)
    return f"strace may not look at programs here: {tried.stderr.decode().strip()}" if tried.returncode else ""


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that a child did to its files."""

    kind: Literal["make", "folder", "write", "truncate", "sync", "delete", "rename", "say"]
    path: str = ""
    """Relative to the recorded folder; "" is the folder itself. What was said, for `say`."""
    offset: int = 0
    """Of a write; the length of a truncated file."""
    data: bytes = b""
    to: str = ""


@dataclass(frozen=True, slots=True)
class Cut:
    """What a disk holds after a cut."""

    at: int
    """So many operations were begun."""
    kept: str
    """What became of those that were not synced."""
    said: tuple[str, ...]
    """What the child had said by then."""
    files: dict[str, bytes] = field(repr=False)

    def place(self, folder: Path) -> None:
        """Write the files into a new folder."""
        folder.mkdir(mode=0o700)
        for name, content in self.files.items():
            (folder / name).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
            (folder / name).chmod(0o600)


def record(folder: Path, command: Sequence[str], trace: Path, *, timeout_s: float = 60.0) -> Recording:
    """Run a command that works in `folder`, and return what it did there.

    Args:
        folder: An empty folder.
        command: Of the child.
        trace: Where the trace is written, outside the folder.
        timeout_s: How long the child may take, in s.
    """
    traced = ["strace", "-f", "--seccomp-bpf", "-qq", "-y", "-xx", "-s", str(1 << 24), "-o", str(trace), "-e", CALLS]
    paths = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run([*traced, *command], capture_output=True, check=False, timeout=timeout_s, env=paths)
    assert done.returncode == 0, done.stderr.decode()[-4000:]
    return Recording(list(_read(trace, str(folder.resolve()))))


@dataclass(frozen=True, slots=True)
class Recording:
    """All that a child did to its files, in order."""

    operations: list[Operation]

    def when(self, said: str) -> int:
        """Return after how many operations the child first said something."""
        return self.operations.index(Operation("say", said)) + 1

    def cut(self, at: int, *, honest: int | None = None) -> Cut:
        """Return what a cut after so many operations leaves of what was synced, and nothing else; `cuts` says more."""
        disk = _Disk()
        for number, operation in enumerate(self.operations[:at], 1):
            if operation.kind != "say" and (honest is None or number <= honest or operation.kind != "sync"):
                disk.do(operation)
        said = tuple(one.path for one in self.operations[:at] if one.kind == "say")
        return Cut(at, "nothing", said, disk.left(random.Random(0), 0.0))

    def cuts(self, *, honest: int | None = None, parts: int = 2, seed: int = 0) -> Iterator[Cut]:
        """Yield what a cut leaves, before the first operation and after each one; the same files come once.

        Args:
            honest: For so many operations the disk does what a sync asks, and then only says so; None: always.
            parts: How often, at each cut, some of what was not synced is kept, and some of it torn.
            seed: Of what is kept.
        """
        draw = random.Random(seed)
        disk = _Disk()
        said: list[str] = []
        seen: set[tuple[object, ...]] = set()
        for at, operation in enumerate([None, *self.operations]):
            if operation is not None and operation.kind == "say":
                said.append(operation.path)
            elif operation is not None and (honest is None or at <= honest or operation.kind != "sync"):
                disk.do(operation)
            choices = [("nothing", 0.0), ("all", 1.0), *[("parts", draw.choice([0.2, 0.5, 0.8]))] * parts]
            for kept, chance in choices:
                files = disk.left(draw, chance)
                key = (len(said), *sorted(files.items()))
                if key not in seen:
                    seen.add(key)
                    yield Cut(at, kept, tuple(said), files)


class _Disk:
    """What is synced, and what is not yet."""

    def __init__(self) -> None:
        self._next = 0
        self._now: dict[str, int] = {}
        """Names as the program sees them, and numbers of files."""
        self._names: dict[str, int] = {}
        """Names on the disk."""
        self._contents: dict[int, bytes] = {}
        """Contents on the disk."""
        self._folders: set[int] = set()
        """Which of the numbers are folders."""
        self._waiting: list[tuple[str, int, Operation]] = []
        """What is not synced: the folder or file that it waits for, the number of the file, and what was done."""

    def do(self, operation: Operation) -> None:
        path = operation.path
        folder = path.rpartition("/")[0]
        match operation.kind:
            case "make" | "folder":
                self._now[path] = self._next
                if operation.kind == "folder":
                    self._folders.add(self._next)
                self._contents[self._next] = b""
                self._waiting.append((f"folder {folder}", self._next, operation))
                self._next += 1
            case "delete":
                self._waiting.append((f"folder {folder}", self._now.pop(path), operation))
            case "rename":
                number = self._now[operation.to] = self._now.pop(path)
                self._waiting.append((f"folder {folder}", number, operation))
            case "write" | "truncate":
                number = self._now[path]
                self._waiting.append((f"file {number}", number, operation))
            case _:
                number = self._now.get(path, -1)
                name = f"folder {path}" if not path or number in self._folders else f"file {number}"
                for waited, number, done in self._waiting:
                    if waited == name:
                        self._keep(self._names, self._contents, number, done)
                self._waiting = [each for each in self._waiting if each[0] != name]

    def left(self, draw: random.Random, chance: float) -> dict[str, bytes]:
        """Return what is on the disk if each operation that waits was carried out by this chance."""
        names, contents = dict(self._names), dict(self._contents)
        for _, number, done in self._waiting:
            if chance == 1 or (chance and draw.random() < chance):
                torn = done.kind == "write" and len(done.data) > SECTOR and 0 < chance < 1 and draw.random() < 0.3
                sectors = [draw.random() < 0.5 for _ in range(-(-len(done.data) // SECTOR))] if torn else None
                self._keep(names, contents, number, done, sectors)
        return {
            name: contents[number]
            for name, number in names.items()
            if number not in self._folders and all(f"{place}" in names for place in Path(name).parents[:-1])
        }

    @staticmethod
    def _keep(
        names: dict[str, int],
        contents: dict[int, bytes],
        number: int,
        done: Operation,
        sectors: list[bool] | None = None,
    ) -> None:
        before = contents[number]
        match done.kind:
            case "make" | "folder":
                names[done.path] = number
            case "delete":
                names.pop(done.path, None)
            case "rename":
                names.pop(done.path, None)
                names[done.to] = number
            case "truncate":
                contents[number] = before[: done.offset].ljust(done.offset, b"\0")
            case _:
                data, end = done.data, done.offset + len(done.data)
                content = bytearray(before.ljust(end, b"\0"))
                if sectors is None:
                    content[done.offset : end] = data
                for at, kept in enumerate(sectors or []):
                    if kept:
                        piece = data[at * SECTOR : (at + 1) * SECTOR]
                        content[done.offset + at * SECTOR : done.offset + at * SECTOR + len(piece)] = piece
                contents[number] = bytes(content)


def _read(trace: Path, folder: str) -> Iterator[Operation]:
    unfinished: dict[str, str] = {}
    there: set[str] = set()
    with trace.open(encoding="ascii") as lines:
        for whole in lines:
            line = whole.rstrip("\n")
            if line.endswith("<unfinished ...>"):
                unfinished[line.split()[0]] = line.removesuffix("<unfinished ...>").rstrip()
                continue
            if resumed := _RESUMED.match(line):
                line = unfinished.pop(resumed["pid"]) + resumed["rest"]
            found = _LINE.match(line)
            if found is None or int(found["result"]) < 0:
                continue
            for operation in _operations(found["call"], found["arguments"], int(found["result"]), folder, there):
                if operation.kind in {"make", "folder"}:
                    there.add(operation.path)
                elif operation.kind in {"delete", "rename"}:
                    there.discard(operation.path)
                    there |= {operation.to} - {""}
                yield operation


def _operations(call: str, arguments: str, result: int, folder: str, there: set[str]) -> Iterator[Operation]:
    texts = [bytes.fromhex(text.replace("\\x", "")) for text in _HEX.findall(arguments)]
    # The folder of a call `...at` comes first, then the path; of a call on a descriptor, its path.
    at = call in {"openat", "mknodat", "unlinkat", "mkdirat"} and len(texts) > 1
    where = os.fsdecode(texts[1 if at else 0]) if texts else ""
    if call == "write" and texts[-1].startswith(_SAID) and where == os.devnull:
        yield Operation("say", texts[-1].removeprefix(_SAID).decode())
        return
    if (where != folder and not where.startswith(f"{folder}/")) or "(deleted)" in arguments:
        return
    path = where[len(folder) + 1 :]
    numbers = [int(number) for number in re.findall(r", (\d+)", arguments)]
    match call:
        case "openat" | "open" | "creat":
            if path and path not in there and ("O_CREAT" in arguments or call == "creat"):
                yield Operation("make", path)
            elif "O_TRUNC" in arguments or call == "creat":
                yield Operation("truncate", path)
        case "mknod" | "mknodat":
            yield Operation("make", path)
        case "pwrite64":
            yield Operation("write", path, numbers[-1], texts[-1][:result])
        case "ftruncate" | "truncate":
            yield Operation("truncate", path, numbers[-1])
        case "fsync" | "fdatasync":
            yield Operation("sync", path)
        case "unlink" | "unlinkat":
            yield Operation("delete", path)
        case "rename":
            yield Operation("rename", path, to=os.fsdecode(texts[1])[len(folder) + 1 :])
        case "mkdir" | "mkdirat":
            yield Operation("folder", path)
        case _:
            raise AssertionError(f"{call} of {path} cannot be played back")
