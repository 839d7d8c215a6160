"""Batches of keys, in stock in the order in which they came."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from tokaido.hal import KeyMaterial
from tokaido.node.messages import CELL

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tokaido.node.core._writes import Batch

Route: TypeAlias = tuple[str, ...]


class StockBatch:
    """Keys of one relay. A key that is taken leaves a gap."""

    def __init__(self, batch: Batch, keys: KeyMaterial) -> None:
        self.relay: Final = batch.relay
        self.count: Final = batch.count
        self.route: Final = batch.route
        self.born_s: Final = batch.born_s
        self.insecure: Final = batch.insecure
        self.emulated: Final = batch.emulated
        self.started_here: Final = batch.started_here
        self.ready = batch.ready
        self.taken = batch.taken
        """Keys before this one are in no stock after a restart."""
        with keys.reveal() as view:
            self._cells: list[KeyMaterial | None] = [
                KeyMaterial(view[CELL * i : CELL * (i + 1)], insecure=batch.insecure) if i >= batch.taken else None
                for i in range(batch.count)
            ]
        self.free = batch.count - batch.taken

    @property
    def hops(self) -> int:
        """Links that the keys passed."""
        return len(self.route) - 1

    def has(self, first: int, count: int) -> bool:
        """Whether all of these keys are in stock."""
        return first + count <= self.count and all(cell is not None for cell in self._cells[first : first + count])

    def take(self, first: int, count: int) -> tuple[list[KeyMaterial], int]:
        """Take keys out; return them, and how many more are in stock that lie before a taken one."""
        taken = [cell for cell in self._cells[first : first + count] if cell is not None]
        self._cells[first : first + count] = [None] * count
        self.free -= len(taken)
        skipped = max(first - self.taken, 0) - max(min(first + count, self.taken) - first, 0)
        self.taken = max(self.taken, first + count)
        return taken, skipped

    @property
    def skipped(self) -> int:
        """Keys in stock that lie before a taken one."""
        return self.free - (self.count - self.taken)

    def joined(self) -> KeyMaterial:
        """Return all keys as one; a taken one is zero."""
        whole = bytearray().join(bytes(CELL) if cell is None else cell.reveal() for cell in self._cells)
        key = KeyMaterial(whole, insecure=self.insecure)
        whole[:] = bytes(len(whole))
        return key

    def wipe(self) -> None:
        """Destroy what is left."""
        for cell in self._cells:
            if cell is not None:
                cell.wipe()
        self._cells = [None] * self.count
        self.free = 0


class _Amount:
    """How many keys there are."""

    def __init__(self) -> None:
        self.keys = 0
        self._ready = 0
        self._ready_insecure = 0

    def ready(self, *, insecure: bool) -> int:
        """Return how many can be supplied."""
        return self._ready if insecure else self._ready - self._ready_insecure

    def coming(self) -> int:
        """Return how many are not ready yet."""
        return self.keys - self._ready

    def count(self, batch: StockBatch, keys: int) -> None:
        """Count keys of a batch."""
        self.keys += keys
        if batch.ready:
            self._ready += keys
            if batch.insecure:
                self._ready_insecure += keys


class Shelf:
    """Batches, oldest first. How many keys there are is counted as they come and go: it is asked at every event."""

    def __init__(self) -> None:
        self._batches: dict[bytes, StockBatch] = {}
        self.relayed = 0
        """Keys that the batches had when they came."""
        self._all = _Amount()
        self._over: dict[Route, _Amount] = {}

    def __contains__(self, relay: bytes) -> bool:
        return relay in self._batches

    def __iter__(self) -> Iterator[StockBatch]:
        return iter(self._batches.values())

    @property
    def keys(self) -> int:
        """Keys in stock, ready or not."""
        return self._all.keys

    def get(self, relay: bytes) -> StockBatch | None:
        """Return a batch, None if it is not here."""
        return self._batches.get(relay)

    def known(self, relays: Iterable[bytes]) -> list[StockBatch]:
        """Return those of these batches that are here."""
        return [batch for relay in relays if (batch := self._batches.get(relay)) is not None]

    def add(self, batch: StockBatch) -> None:
        """Put a batch in, as the newest."""
        self._batches[batch.relay] = batch
        self.relayed += batch.count
        self._count(batch, batch.free)

    def remove(self, relay: bytes) -> StockBatch | None:
        """Take a batch out and return it, None if it is not here."""
        batch = self._batches.pop(relay, None)
        if batch is not None:
            self.relayed -= batch.count
            self._count(batch, -batch.free)
        return batch

    def make_ready(self, batch: StockBatch) -> None:
        """Note that the keys of a batch may be supplied."""
        self._count(batch, -batch.free)
        batch.ready = True
        self._count(batch, batch.free)

    def take(self, batch: StockBatch, first: int, count: int) -> tuple[list[KeyMaterial], int]:
        """Take keys out of a batch, as `StockBatch.take`; one that has none left is removed."""
        self._count(batch, -batch.free)
        taken = batch.take(first, count)
        self._count(batch, batch.free)
        if not batch.free:
            self.remove(batch.relay)
        return taken

    def ready(self, *, insecure: bool) -> int:
        """Return how many keys can be supplied."""
        return self._all.ready(insecure=insecure)

    def coming(self) -> int:
        """Return how many keys are not ready yet."""
        return self._all.coming()

    def over(self, route: Route, *, insecure: bool) -> int:
        """Return how many keys went one route, and can be supplied or will be."""
        amount = self._over.get(route)
        return 0 if amount is None else amount.ready(insecure=insecure) + amount.coming()

    def ready_over(self, *, insecure: bool) -> dict[Route, int]:
        """Return how many keys can be supplied, by the route that they went."""
        return {route: amount.ready(insecure=insecure) for route, amount in self._over.items()}

    def _count(self, batch: StockBatch, keys: int) -> None:
        self._all.count(batch, keys)
        over = self._over.setdefault(batch.route, _Amount())
        over.count(batch, keys)
        if not over.keys:
            del self._over[batch.route]
