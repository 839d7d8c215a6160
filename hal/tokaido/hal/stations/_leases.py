"""Leases with fencing tokens, so that two programs never order the same devices at the same time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self, TypeVar

from tokaido.hal._clock import NS_PER_S, SYSTEM_CLOCK, Clock
from tokaido.hal._database import DatabaseFile
from tokaido.hal._errors import LeaseError, LeaseHeldError, LeaseLostError
from tokaido.hal._numbers import real, whole
from tokaido.hal.files import path_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from types import TracebackType

T = TypeVar("T")

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
LARGEST_FENCING_TOKEN = 2**53 - 1
"""Units take no higher one."""
BUSY_S = 5.0
"""How long to wait for another program's transaction, each of which takes milliseconds."""

_SCHEMA = """
CREATE TABLE fence (one INTEGER PRIMARY KEY CHECK (one = 1), number INTEGER NOT NULL);
INSERT INTO fence VALUES (1, 0);
CREATE TABLE lease (
    name TEXT PRIMARY KEY, holder TEXT NOT NULL, number INTEGER NOT NULL, boot TEXT NOT NULL, end_ns INTEGER NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class LeaseInfo:
    """Who holds a lease."""

    name: str
    holder: str
    fencing_token: int
    remaining_s: float
    """How long still, in s, unless it is renewed."""


class HeldLease(Protocol):
    """A lease that was acquired, wherever it is kept: see `Lease`, which is one."""

    names: tuple[str, ...]
    fencing_token: int
    seconds: float

    def renew(self) -> None:
        """Let it last `seconds` from now."""

    def keep(self) -> None:
        """Check it, and renew it if less than half of its time is left."""

    def release(self) -> None:
        """Give it back."""


class Leases(Protocol):
    """What gives leases: a `LeaseBook`, or a device server for the links that it has."""

    def acquire(self, name: str | Iterable[str], holder: str, seconds: float) -> HeldLease:
        """Take the lease of one name, or of several at once under one number: all of them or none."""
        ...


class LeaseBook:
    """Leases in one SQLite file, for all programs of one machine.

    Every lease comes with a fencing token. One count serves all names of the file and only ever goes up: over
    restarts, crashes and expiry; it is on disk before `acquire` returns. Time is the machine's monotonic clock, so that
    no step of the wall clock lengthens or shortens a lease; after a reboot all are free, and the count goes on.

    What fencing can do: a QKD unit remembers the highest number that it was ordered with and refuses a lower one, so
    that a program that was frozen beyond the end of its lease sets no unit to another link behind its successor's back.
    What it cannot do: an optical switch knows no numbers, and a unit's other orders carry none. Between the look at the
    lease and such an order remains a window; a program frozen just there for longer than its lease still sends that one
    order when it wakes up, and none after it. The successor reads the maps again and finds it out.
    """

    def __init__(self, path: str | Path, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self.path = path_of(path, "the lease book")
        self._clock = clock
        # FULL, and the directory too: else a power loss could bring the old journal, and the old number, back.
        self._file = DatabaseFile("the lease book", LeaseError, schema=_SCHEMA, settings=["synchronous = EXTRA"])

    def acquire(self, name: str | Iterable[str], holder: str, seconds: float) -> Lease:
        """Take the lease of one name, or of several at once under one number: all of them or none.

        Args:
            name: What is to be held, such as "link.field" or ["device.alice", "device.west"].
            holder: Who holds it, for others to read.
            seconds: How long, unless it is renewed.

        Raises:
            LeaseHeldError: Somebody holds one of them; names him and how long still.
            LeaseError: The file cannot be read or written.
        """
        if not isinstance(name, Iterable) or not all(isinstance(each, str) for each in name):
            raise LeaseError(f"a lease has a name or several, not {name!r}")
        seconds = real(seconds, "a lease", finite=False)
        names = (name,) if isinstance(name, str) else tuple(sorted(set(name)))
        if not names or not all(names) or not 0 < seconds <= 86_400:
            raise LeaseError(f"a lease has a name and lasts up to 86400 s, not {names!r} for {seconds!r} s")
        number = self._transact(lambda database: self._take(database, names, holder, seconds))
        return Lease(self, names, holder, number, seconds)

    def _take(self, database: sqlite3.Connection, names: tuple[str, ...], holder: str, seconds: float) -> int:
        """Return the fencing token of a lease of all these names."""
        for held in names:
            found = self._find(database, held)
            if found is not None:
                raise LeaseHeldError(
                    f"{held} is held by {found.holder} (token {found.fencing_token}) "
                    f"for {found.remaining_s:.1f} s still",
                    holder=found.holder,
                    remaining_s=found.remaining_s,
                    remedy="Wait for it to be released; if its holder has died it ends by itself",
                )
        database.execute("UPDATE fence SET number = number + 1")
        number = int(database.execute("SELECT number FROM fence").fetchone()[0])
        if number > LARGEST_FENCING_TOKEN:
            raise LeaseError(f"{self.path} has used up its fencing tokens")
        end_ns = self._clock.monotonic_ns() + round(seconds * NS_PER_S)
        database.executemany(
            "INSERT OR REPLACE INTO lease VALUES (?, ?, ?, ?, ?)",
            [(held, holder, number, _boot_id(), end_ns) for held in names],
        )
        return number

    def inspect(self, name: str) -> LeaseInfo | None:
        """Return who holds a lease now; None if nobody does.

        Raises:
            LeaseError: The file cannot be read.
        """
        if not self.path.exists():
            return None
        return self._transact(lambda database: self._find(database, name))

    def skip_to(self, number: int) -> None:
        """Let the next fencing token be above `number`: for a file that was lost while units remember higher ones.

        Raises:
            LeaseError: It is not a fencing token, or the file cannot be written.
        """
        number = whole(number, "a fencing token")
        if not 0 <= number < LARGEST_FENCING_TOKEN:
            raise LeaseError(f"a fencing token lies in 0 to {LARGEST_FENCING_TOKEN}, not {number!r}")
        self._transact(lambda database: database.execute("UPDATE fence SET number = max(number, ?)", (number,)))

    def close(self) -> None:
        """Let go of the file; leases stay as they are, and the next use opens it again."""
        self._file.close()

    def _find(self, database: sqlite3.Connection, name: str) -> LeaseInfo | None:
        row = database.execute("SELECT holder, number, boot, end_ns FROM lease WHERE name = ?", (name,)).fetchone()
        if row is None or row[2] != _boot_id():
            return None
        remaining_ns = row[3] - self._clock.monotonic_ns()
        return LeaseInfo(name, row[0], row[1], remaining_ns / NS_PER_S) if remaining_ns > 0 else None

    def _transact(self, work: Callable[[sqlite3.Connection], T], *, reading: bool = False) -> T:
        return self._file.transact(self.path, work, busy_s=BUSY_S, reading=reading)


class Lease:
    """A lease that was acquired. As a context manager it is released at the end."""

    def __init__(
        self, book: LeaseBook, names: tuple[str, ...], holder: str, fencing_token: int, seconds: float
    ) -> None:
        self._book = book
        self.names = names
        """What it holds."""
        self.holder = holder
        """Who holds it."""
        self.fencing_token = fencing_token
        """Its fencing token: higher than that of every lease of this book before."""
        self.seconds = seconds
        """How long it lasts from `acquire` or `renew`, in s."""

    def check(self) -> float:
        """Return how long the lease lasts still, in s.

        Raises:
            LeaseLostError: It ran out, or somebody else has taken it.
            LeaseError: The file cannot be read.
        """
        return self._book._transact(self._remaining, reading=True)

    def renew(self) -> None:
        """Let it last `seconds` from now.

        Raises:
            LeaseLostError: It ran out, or somebody else has taken it.
            LeaseError: The file cannot be written.
        """
        self._book._transact(self._prolong)

    def keep(self) -> None:
        """Check the lease, and renew it if less than half of its time is left: what precedes every order.

        Raises:
            LeaseLostError: It ran out, or somebody else has taken it.
            LeaseError: The file cannot be read or written.
        """
        if self.check() < self.seconds / 2:
            self.renew()

    def release(self) -> None:
        """Give it back. A lease that was lost stays with its new holder.

        Raises:
            LeaseError: The file cannot be written; the lease then ends by itself.
        """
        held = [(name, self.fencing_token) for name in self.names]
        self._book._transact(
            lambda database: database.executemany("DELETE FROM lease WHERE name = ? AND number = ?", held)
        )

    def _remaining(self, database: sqlite3.Connection) -> float:
        left: list[float] = []
        for name in self.names:
            found = self._book._find(database, name)
            if found is None or found.fencing_token != self.fencing_token:
                why = (
                    "ran out"
                    if found is None
                    else f"was taken over by {found.holder} under token {found.fencing_token}"
                )
                raise LeaseLostError(
                    f"the lease of {name}, held by {self.holder} under token {self.fencing_token}, {why}",
                    remedy="Order nothing any more; acquire it again and read every device first",
                )
            left.append(found.remaining_s)
        return min(left)

    def _prolong(self, database: sqlite3.Connection) -> None:
        self._remaining(database)
        end_ns = self._book._clock.monotonic_ns() + round(self.seconds * NS_PER_S)
        database.executemany("UPDATE lease SET end_ns = ? WHERE name = ?", [(end_ns, name) for name in self.names])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _boot_id() -> str:
    """Return what is another after every start of the machine, as its monotonic clock is."""
    return _read_once(BOOT_ID)


@cache
def _read_once(path: Path) -> str:
    return path.read_text(encoding="ascii").strip()
