"""The store of a node in one SQLite file."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from tokaido.hal import SYSTEM_CLOCK, KeyMaterial
from tokaido.node.core._writes import (
    Count,
    Delivered,
    DropBatch,
    DropBlock,
    DropSupply,
    Post,
    PutBatch,
    PutBlock,
    PutSupply,
    SetBatch,
    SetMarks,
    SetNeighbour,
    Snapshot,
)
from tokaido.node.store._at_rest import audit_end, stated
from tokaido.node.store._audit import AuditLog
from tokaido.node.store._blocks import Blocks
from tokaido.node.store._components import Components
from tokaido.node.store._errors import Damage, StoreBusyError, StoreError
from tokaido.node.store._file import StoreFile, destroy
from tokaido.node.store._merged import Merged
from tokaido.node.store._records import Records
from tokaido.node.store._rows import Rows
from tokaido.node.store._schema import CUSTODY
from tokaido.node.store._seals import Seals, unwrap, wrap
from tokaido.node.store._stock import Stock
from tokaido.node.store._wrapping_keys import KEY_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Self

    from tokaido.hal import Clock
    from tokaido.node.core._actions import Commit
    from tokaido.node.core._writes import BlockName, Write
    from tokaido.node.store._audit import AuditMark
    from tokaido.node.store._components import ComponentRow

T = TypeVar("T")

ID_BYTES: Final = 16
SWEEP_S: Final = 1.0
"""For how long destroyed key may stay in the file or its log, sealed, before the log is cut."""
AGE_S: Final = 10.0
"""How much age a crash may cost."""
LOG_BYTES: Final = 16 << 20
"""Size at which the log is cut, whatever is in it."""


class SqliteStore:
    """What a node must not forget, in one file (docs/reference/node-store.md). Use it from the thread that opened it.

    `open` makes one. Whatever fails, all but `close` and `erase` is refused afterwards: open it again.
    """

    def __init__(self, file: StoreFile, seals: Seals, clock: Clock) -> None:
        """Take an open file and its keys: `open` does."""
        self._file = file
        self._seals = seals
        self._clock = clock
        self._opened_ns = clock.monotonic_ns()
        self._age_at_open_s, digest = stated(file.database, seals)
        self._age_written_s = self._age_at_open_s
        self._rows = Rows(file.database, seals)
        self._rows.begin(digest)
        self._blocks = Blocks(file.database, self._rows, seals)
        self._blocks.check()
        self._stock = Stock(self._rows, seals)
        self._components = Components(self._rows, seals)
        self._destroyed_ns: int | None = None
        """When key was first destroyed that the log may still hold, sealed."""
        audit = AuditLog(lambda: file.database, self._audit_end, self._keep_audit_end)
        audit.begin()
        self.records: Final = Records(file, lambda: self.age_s, audit)
        """Alarms, audit log, outbox, devices, attempts and moves."""

    @classmethod
    def open(cls, path: Path | str, key: KeyMaterial, *, create: bool = False, clock: Clock = SYSTEM_CLOCK) -> Self:
        """Open a store and lock it for as long as it is open.

        Args:
            path: The file, on a local disk.
            key: The wrapping key, of 32 bytes; it is not kept.
            create: Whether to make a new one where there is none, or where it was erased.
            clock: What the node's age is counted on.

        Raises:
            StoreError: It cannot be used: what it says tells why.
        """
        if len(key) != KEY_BYTES:
            raise StoreError(f"a wrapping key has {KEY_BYTES} bytes, not {len(key)}", remedy="Name another key")
        file = StoreFile(path, create=create)
        try:
            found = file.transact(lambda: _data_key(file, key, create=create))
            store = file.transact(lambda: cls(file, found, clock))
            file.checkpoint()
        except BaseException:
            file.close()
            raise
        return store

    @property
    def path(self) -> Path:
        """The file."""
        return self._file.path

    @property
    def age_s(self) -> float:
        """The node's own age in s: how long this store was open, in all."""
        return self._age_at_open_s + (self._clock.monotonic_ns() - self._opened_ns) / 1e9

    def snapshot(self) -> Snapshot:
        """Return all that a core starts from.

        Raises:
            StoreError: Something in the file was altered.
        """

        def work() -> Snapshot:
            return Snapshot(
                blocks=tuple(block for _, block in self._blocks.all()),
                batches=tuple(self._stock.batches()),
                supplies=tuple(self._stock.supplies()),
                counters=self._stock.counters(),
                neighbours=self._stock.neighbours(),
                ended=self._blocks.ended(),
                age_s=self.age_s,
            )

        return self._file.transact(work)

    def commit(self, commits: Sequence[Commit]) -> list[tuple[KeyMaterial, ...]]:
        """Make all writes of all commits durable in one transaction, then return what each asked to be loaded.

        Raises:
            StoreError: Nothing was written, or nobody can know: close it.
        """
        loaded: list[tuple[KeyMaterial, ...]] = []
        try:
            destroyed = self._file.transact(lambda: self._write(commits, loaded))
        except BaseException:
            for keys in loaded:
                for key in keys:
                    key.wipe()
            raise
        if destroyed and self._destroyed_ns is None:
            self._destroyed_ns = self._clock.monotonic_ns()
        if self._file.log_bytes > LOG_BYTES:
            self._sweep()
        return loaded

    def keep_component(self, row: ComponentRow, component: KeyMaterial) -> None:
        """Keep a component of a pre-shared key, sealed. All four calls about components raise StoreError."""
        self._change(lambda: self._components.put(row, component))

    def components(self) -> tuple[ComponentRow, ...]:
        """Return what is said of the components that wait, by link and path."""
        return self._file.transact(self._components.all)

    def component(self, link: str, path: str) -> KeyMaterial | None:
        """Return the component that waits for a link and path; None: none does."""
        return self._file.transact(lambda: self._components.open(link, path))

    def drop_component(self, link: str, path: str) -> bool:
        """Destroy a component, and return whether one waited."""
        waited = self._change(lambda: self._components.drop(link, path))
        if self._destroyed_ns is None:
            self._destroyed_ns = self._clock.monotonic_ns()
        return waited

    def tend(self) -> float:
        """Do what is due: cut the log after key was destroyed, write down the age. Return in how many s to ask again.

        Raises:
            StoreError: The file cannot be written.
        """
        _ = self._file.database  # refused if it failed, or is closed
        if self._destroyed_ns is not None:
            left_s = SWEEP_S - (self._clock.monotonic_ns() - self._destroyed_ns) / 1e9
            if left_s > 0:
                return left_s
            self._sweep()
        if self.age_s - self._age_written_s >= AGE_S:
            self._file.transact(self._write_state)
        return AGE_S

    def rewrap(self, key: KeyMaterial) -> None:
        """Wrap the data key under another wrapping key; the old one opens the store no more.

        Raises:
            StoreError: The old one still does, or nobody can know.
        """
        if len(key) != KEY_BYTES:
            raise StoreError(f"a wrapping key has {KEY_BYTES} bytes, not {len(key)}", remedy="Name another key")
        database = self._file.database
        wrapped = self._seals.wrapped(key)
        self._file.transact(lambda: database.execute("UPDATE store SET data_key = ?", (wrapped,)))
        self._sweep()

    def erase(self) -> None:
        """Destroy the data key, and so all key in the store, then the rows; and close it.

        Alarms, audit log, outbox and devices stay, unless the file can be written no more: then all of it goes.

        Raises:
            StoreError: The file could not even be overwritten.
        """
        if not self._file.failure:
            _ = self._file.database  # a store that is closed, or that a fork has a copy of, is refused
        self._seals.wipe()
        try:
            if self._file.failure:
                self._file.close()
                _erase(StoreFile(self.path))
            else:
                _erase(self._file)
        except StoreBusyError:  # another process took it in between
            raise
        except StoreError:
            destroy(self.path)

    def close(self) -> None:
        """Let go of it. May be called again."""
        if not self._file.failure:
            try:
                self._file.transact(self._write_state)
                self._file.checkpoint()
            except StoreError:
                pass  # closed, erased or failed: all commits are durable all the same
        self._seals.wipe()
        self._file.close()

    # --- within a transaction -----------------------------------------------------------------------------------------

    def _write(self, commits: Sequence[Commit], loaded: list[tuple[KeyMaterial, ...]]) -> bool:
        """Write, load, destroy what is passed; return whether anything was destroyed."""
        destroyed = False
        passed: set[BlockName] = set()
        merged = Merged()
        for commit in commits:
            names = {wanted.name for wanted in commit.loads}
            before = {name: found[1] for name in names if (found := self._blocks.find(name)) is not None}
            for write in commit.writes:
                if merged.take(write):
                    continue
                for one in (*merged.before(write), write):
                    destroyed |= self._apply(one, passed)
            keys: list[KeyMaterial] = []
            try:
                for wanted in commit.loads:
                    keys.append(self._blocks.load(wanted, before.get(wanted.name)))  # noqa: PERF401 - wiped on failure
            finally:
                loaded.append(tuple(keys))
        for write in merged.rest():
            destroyed |= self._apply(write, passed)
        for name in passed:
            destroyed |= self._blocks.sweep(name)
        self._write_state()
        return destroyed

    def _apply(self, write: Write, passed: set[BlockName]) -> bool:
        """Carry out one write; return whether key was destroyed by it."""
        match write:
            case PutBlock():
                self._blocks.put(write)
            case SetMarks():
                if self._blocks.set_marks(write):
                    passed.add(write.name)
            case DropBlock():
                return self._blocks.drop(write.name)
            case PutBatch():
                self._stock.put_batch(write)
            case SetBatch():
                return self._stock.set_batch(write)
            case DropBatch():
                return self._stock.drop_batch(write.relay)
            case PutSupply():
                self._stock.put_supply(write)
            case Delivered():
                return self._stock.deliver(write)
            case DropSupply():
                return self._stock.drop_supply(write.key_id)
            case Count():
                self._stock.count(write)
            case SetNeighbour():
                self._stock.set_neighbour(write)
            case Post(subject, payload, state):
                self.records.post_within(subject, payload, state)
        return False

    def _change(self, work: Callable[[], T]) -> T:
        """Change rows of custody in a transaction, outside of a commit."""

        def whole() -> T:
            result = work()
            self._write_state()
            return result

        return self._file.transact(whole)

    def _write_state(self) -> None:
        age_s, digest = self.age_s, self._rows.digest
        _put_state(self._file, self._seals, age_s, digest)
        self._age_written_s = age_s

    def _audit_end(self) -> AuditMark | None:
        return audit_end(self._rows)

    def _keep_audit_end(self, mark: AuditMark) -> None:
        self._rows.put("audit_end", (1,), (mark.number, mark.digest))
        self._write_state()

    def _sweep(self) -> None:
        self._file.checkpoint()
        self._destroyed_ns = None

    def __repr__(self) -> str:
        return f"<SqliteStore {self._file.path}>"


def erase_store(path: Path | str) -> None:
    """Erase a store that nobody has open; its wrapping key is not needed. Alarms, audit log, outbox and devices stay.

    Raises:
        StoreError: There is none, it cannot be written, or a process has it open. Destroy its wrapping key instead.
    """
    _erase(StoreFile(path))


def _erase(file: StoreFile) -> None:
    """Destroy the data key first, for it is one row; then all that it sealed."""
    try:
        database = file.database
        file.transact(lambda: database.execute("UPDATE store SET data_key = NULL"))
        file.checkpoint()
        for table in CUSTODY:
            statement = f"DELETE FROM {table}"  # noqa: S608 - our names
            file.transact(partial(database.execute, statement))
        file.checkpoint()
    finally:
        file.close()


def _data_key(file: StoreFile, key: KeyMaterial, *, create: bool) -> Seals:
    """Return what is derived from the data key; a new store gets one."""
    row = file.database.execute("SELECT id, data_key FROM store").fetchone()
    if row is not None and row[1] is not None:
        identity, wrapped = row
        if not isinstance(identity, bytes) or not isinstance(wrapped, bytes):
            raise Damage("its data key was altered")
        try:
            return Seals(unwrap(wrapped, key, identity), identity)
        except Damage as error:
            raise StoreError(
                f"the wrapping key does not fit the store {file.path}, or its data key was altered",
                remedy="Name the key under which it was made, or wrapped last",
            ) from error
    if not create:
        what = "was erased" if row is not None else "is empty"
        raise StoreError(f"the store {file.path} {what}", remedy="Create a new one in its place")
    return _begin_anew(file, key)


def _begin_anew(file: StoreFile, key: KeyMaterial) -> Seals:
    database = file.database
    for table in ("store", "attempt", *CUSTODY):  # attempts are counted by the age, which begins again
        database.execute(f"DELETE FROM {table}")  # noqa: S608 - our names
    identity, data_key = os.urandom(ID_BYTES), KeyMaterial(os.urandom(KEY_BYTES))
    database.execute("INSERT INTO store VALUES (1, ?, ?)", (identity, wrap(data_key, key, identity)))
    seals = Seals(data_key, identity)
    _put_state(file, seals, 0.0, bytes(32))
    return seals


def _put_state(file: StoreFile, seals: Seals, age_s: float, digest: bytes) -> None:
    mac = seals.mac("state", (age_s, digest))
    file.database.execute("INSERT OR REPLACE INTO state VALUES (1, ?, ?, ?)", (age_s, digest, mac))
