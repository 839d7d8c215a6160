"""Keys of pairs in stock: those that this node started and owns, and those that it holds for the neighbour."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING, Final

from tokaido.hal import KeyMaterial
from tokaido.node.core import _counters
from tokaido.node.core._writes import Batch, DropBatch, SetBatch, Write
from tokaido.node.messages import CELL

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tokaido.node.core._context import Context
    from tokaido.node.core._state import Neighbour


class StockBatch:
    """Keys of one relay. A key that is taken leaves a gap."""

    def __init__(self, batch: Batch, keys: KeyMaterial) -> None:
        self.relay: Final = batch.relay
        self.count: Final = batch.count
        self.hops: Final = batch.hops
        self.born_s: Final = batch.born_s
        self.insecure: Final = batch.insecure
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


class Stock:
    """All batches between this node and one other."""

    def __init__(self) -> None:
        self.own: dict[bytes, StockBatch] = {}
        """Started here, oldest first."""
        self.held: dict[bytes, StockBatch] = {}
        """Started by the neighbour."""
        self.on_the_way = 0
        """Relays that were started here and have not ended."""

    def ready(self, *, insecure: bool) -> int:
        """Return how many own keys can be supplied."""
        return sum(batch.free for batch in self.own.values() if batch.ready and (insecure or not batch.insecure))

    def coming(self) -> int:
        """Return how many own keys are not ready yet."""
        return sum(batch.free for batch in self.own.values() if not batch.ready)


class Stocks:
    """The stocks of all pairs."""

    def __init__(self, context: Context, stored: Iterable[tuple[Batch, KeyMaterial]]) -> None:
        self._context = context
        self._of: dict[str, Stock] = {}
        for batch, keys in sorted(stored, key=lambda item: item[0].born_s):
            stock = self.of(batch.neighbour)
            (stock.own if batch.started_here else stock.held)[batch.relay] = StockBatch(batch, keys)
            keys.wipe()

    def of(self, neighbour: str) -> Stock:
        """Return the stock of a pair."""
        return self._of.setdefault(neighbour, Stock())

    def start(self, neighbour: Neighbour) -> None:
        """Burn what an earlier life left unfinished."""
        stock, pair = self.of(neighbour.name), _counters.pair(neighbour.name)
        skipped = self._context.counters.get(pair, "skipped")
        if skipped:
            self._context.commit([self.count(neighbour, {"skipped": -skipped, "dropped:restart": skipped})])
        self.burn(neighbour, [batch for batch in stock.own.values() if not batch.ready or not batch.free], "restart")
        self.drop(neighbour, [batch for batch in stock.held.values() if not batch.free], "restart")

    def count(self, neighbour: Neighbour, amounts: Mapping[str, int]) -> Write:
        """Count keys of a pair."""
        return self._context.counters.add(_counters.pair(neighbour.name), amounts)

    def burn(self, neighbour: Neighbour, batches: Iterable[StockBatch], reason: str, *, tell: bool = True) -> None:
        """Destroy own batches; their rows stay, without keys, until the neighbour knows."""
        stock = self.of(neighbour.name)
        writes: list[Write] = []
        for batch in batches:
            if stock.own.pop(batch.relay, None) is None:
                continue
            writes.append(self.count(neighbour, {f"burned:{reason}": batch.free}))
            if tell:
                neighbour.dead_relays[batch.relay] = True
                writes.append(SetBatch(batch.relay, taken=batch.count))
            else:
                writes.append(DropBatch(batch.relay))
            batch.wipe()
        if writes:
            self._context.commit(writes, concerns=neighbour)

    def drop(self, neighbour: Neighbour, batches: Iterable[StockBatch], reason: str) -> None:
        """Destroy batches that the neighbour owns."""
        stock = self.of(neighbour.name)
        writes: list[Write] = []
        for batch in batches:
            if stock.held.pop(batch.relay, None) is not None:
                amounts = {f"dropped:{reason}": batch.free, "skipped": -batch.skipped}
                writes.append(self.count(neighbour, amounts))
                writes.append(DropBatch(batch.relay))
                batch.wipe()
        if writes:
            self._context.commit(writes, concerns=neighbour)

    def burn_all(self, neighbour: Neighbour, reason: str) -> None:
        """Destroy all keys of a pair."""
        stock = self.of(neighbour.name)
        self.burn(neighbour, list(stock.own.values()), reason)
        self.drop(neighbour, list(stock.held.values()), reason)

    def expire(self, neighbour: Neighbour) -> None:
        """Destroy what is too old; what the neighbour owns, after twice the time, since it tells the end itself."""
        now_s, age_s, stock = self._context.now_s, self._context.settings.batch_age_s, self.of(neighbour.name)
        self.burn(neighbour, _older(stock.own, age_s, now_s), "age")
        self.drop(neighbour, _older(stock.held, 2 * age_s, now_s), "age")

    def wake_s(self, neighbour: Neighbour) -> float:
        """Return when the next batch is too old."""
        age_s, stock = self._context.settings.batch_age_s, self.of(neighbour.name)
        own = next((batch.born_s + age_s for batch in stock.own.values()), float("inf"))
        held = next((batch.born_s + 2 * age_s for batch in stock.held.values()), float("inf"))
        return min(own, held)

    def wipe(self) -> None:
        """Destroy all keys in memory."""
        for stock in self._of.values():
            for batch in (*stock.own.values(), *stock.held.values()):
                batch.wipe()


def _older(batches: Mapping[bytes, StockBatch], age_s: float, now_s: float) -> list[StockBatch]:
    """Return the batches, oldest first, that have that age."""
    return list(takewhile(lambda batch: batch.born_s + age_s <= now_s, batches.values()))
