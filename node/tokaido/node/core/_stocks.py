"""Keys of pairs in stock: those that this node started and owns, and those that it holds for the neighbour."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING, Final

from tokaido.node.core import _counters
from tokaido.node.core._shelf import Shelf, StockBatch
from tokaido.node.core._two_routes import most_keys
from tokaido.node.core._writes import Batch, DropBatch, SetBatch, Write

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tokaido.hal import KeyMaterial
    from tokaido.node.core._context import Context
    from tokaido.node.core._shelf import Route
    from tokaido.node.core._state import Neighbour


class Lane:
    """Relays of a pair over one route, or over whichever is best."""

    def __init__(self, route: Route) -> None:
        self.route: Final = route
        """Empty: whichever is best."""
        self.on_the_way = 0
        """Relays that were started and have not ended."""
        self.asked = 0
        """Keys of relays that wait for the answer to a LEASE."""
        self.at_s = 0.0
        """No relay is started before."""
        self.pause_s = 0.0
        """How long the last pause was after a relay that came to nothing."""


class Stock:
    """All batches between this node and one other."""

    def __init__(self) -> None:
        self.own = Shelf()
        """Started here."""
        self.held = Shelf()
        """Started by the neighbour."""
        self.lanes: dict[Route, Lane] = {}
        """By which relays are started here."""

    def lane(self, route: Route = ()) -> Lane:
        """Return the lane of a route; default: that of whichever is best."""
        found = self.lanes.get(route)
        if found is None:
            found = self.lanes[route] = Lane(route)
        return found


class Stocks:
    """The stocks of all pairs."""

    def __init__(self, context: Context, stored: Iterable[tuple[Batch, KeyMaterial]]) -> None:
        self._context = context
        self._of: dict[str, Stock] = {}
        for batch, keys in sorted(stored, key=lambda item: item[0].born_s):
            stock = self.of(batch.neighbour)
            (stock.own if batch.started_here else stock.held).add(StockBatch(batch, keys))
            keys.wipe()

    def of(self, neighbour: str) -> Stock:
        """Return the stock of a pair."""
        found = self._of.get(neighbour)
        if found is None:
            found = self._of[neighbour] = Stock()
        return found

    def ready(self, neighbour: Neighbour, routes: int) -> int:
        """Return how many keys of one route, or of two, can be supplied."""
        own, insecure = self.of(neighbour.name).own, self._context.settings.emulation
        return own.ready(insecure=insecure) if routes == 1 else most_keys(own.ready_over(insecure=insecure))

    def start(self, neighbour: Neighbour) -> None:
        """Burn what an earlier life left unfinished."""
        stock, pair = self.of(neighbour.name), _counters.pair(neighbour.name)
        skipped = self._context.counters.get(pair, "skipped")
        if skipped:
            self._context.commit([self.count(neighbour, {"skipped": -skipped, "dropped:restart": skipped})])
        self.burn(neighbour, [batch for batch in stock.own if not batch.ready or not batch.free], "restart")
        self.drop(neighbour, [batch for batch in stock.held if not batch.free], "restart")

    def count(self, neighbour: Neighbour, amounts: Mapping[str, int]) -> Write:
        """Count keys of a pair."""
        return self._context.counters.add(_counters.pair(neighbour.name), amounts)

    def burn(self, neighbour: Neighbour, batches: Iterable[StockBatch], reason: str, *, tell: bool = True) -> None:
        """Destroy own batches; their rows stay, without keys, until the neighbour knows."""
        stock = self.of(neighbour.name)
        writes: list[Write] = []
        for batch in batches:
            if stock.own.remove(batch.relay) is None:
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
            if stock.held.remove(batch.relay) is not None:
                amounts = {f"dropped:{reason}": batch.free, "skipped": -batch.skipped}
                writes.append(self.count(neighbour, amounts))
                writes.append(DropBatch(batch.relay))
                batch.wipe()
        if writes:
            self._context.commit(writes, concerns=neighbour)

    def burn_all(self, neighbour: Neighbour, reason: str) -> None:
        """Destroy all keys of a pair."""
        stock = self.of(neighbour.name)
        self.burn(neighbour, tuple(stock.own), reason)
        self.drop(neighbour, tuple(stock.held), reason)

    def expire(self, neighbour: Neighbour) -> None:
        """Destroy what is too old; what the neighbour owns, after twice the time, since it tells the end itself."""
        now_s, age_s, stock = self._context.now_s, self._context.settings.batch_age_s, self.of(neighbour.name)
        self.burn(neighbour, _older(stock.own, age_s, now_s), "age")
        self.drop(neighbour, _older(stock.held, 2 * age_s, now_s), "age")

    def wake_s(self, neighbour: Neighbour) -> float:
        """Return when the next batch is too old."""
        age_s, stock = self._context.settings.batch_age_s, self.of(neighbour.name)
        own = next((batch.born_s + age_s for batch in stock.own), float("inf"))
        held = next((batch.born_s + 2 * age_s for batch in stock.held), float("inf"))
        return min(own, held)

    def wipe(self) -> None:
        """Destroy all keys in memory."""
        for stock in self._of.values():
            for batch in (*stock.own, *stock.held):
                batch.wipe()


def taken_from(batch: StockBatch) -> Write:
    """Return what is to be written after keys were taken out of a batch."""
    return SetBatch(batch.relay, taken=batch.taken) if batch.free else DropBatch(batch.relay)


def _older(batches: Shelf, age_s: float, now_s: float) -> list[StockBatch]:
    """Return the batches, oldest first, that have that age."""
    return list(takewhile(lambda batch: batch.born_s + age_s <= now_s, batches))
