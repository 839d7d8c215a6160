"""SUPPLY at its owner: keys for applications that share them with applications of a neighbour (TNP1, section 7)."""

from __future__ import annotations

import uuid
from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tokaido.hal import KeyMaterial
from tokaido.node.core._actions import Keys, Reason, Refusal, SuppliedKey
from tokaido.node.core._demand import Demand
from tokaido.node.core._quotas import Allowance, reserved
from tokaido.node.core._stocks import taken_from
from tokaido.node.core._two_routes import added, enough, two_sides
from tokaido.node.core._writes import DropSupply, PutSupply, SupplyRow, Write
from tokaido.node.messages import CELL, Cells, Message, Refused, Supplied, Supply, SupplyItem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokaido.node.core._context import Context
    from tokaido.node.core._events import EncKeys
    from tokaido.node.core._shelf import Shelf, StockBatch
    from tokaido.node.core._state import Neighbour
    from tokaido.node.core._stocks import Stocks
    from tokaido.node.core._ways import Ways

MAX_SLAVES: Final = 64
"""Most slaves of one key."""
IN_FLIGHT: Final = 2
"""Most SUPPLY of one neighbour that wait for an answer."""
MAX_TOGETHER: Final = 512
"""Most keys in one SUPPLY, but for a single request."""
TWO_ROUTES_S: Final = 3600.0
"""For how long a stock is kept over two routes after an application asked for such keys."""
AGAIN_S: Final = 1.0
"""When an application is told to try again."""


class _RefusedError(Exception):
    """Why an application gets no key."""

    def __init__(
        self, reason: Reason, what: str, retry_after_s: float | None = None, cut_nodes: tuple[str, ...] = ()
    ) -> None:
        super().__init__(what)
        self.refusal = reason, what, retry_after_s, cut_nodes


@dataclass(slots=True)
class _Request:
    """What an application waits for."""

    neighbour: Neighbour
    keys: dict[bytes, SuppliedKey]
    rows: tuple[SupplyRow, ...]
    epoch: int
    abandoned: bool = False


class Supplies:
    """Supplies that this node owns."""

    def __init__(self, context: Context, stocks: Stocks, ways: Ways, stored: Iterable[SupplyRow]) -> None:
        self._context = context
        self._stocks = stocks
        self._ways = ways
        self.rows = {row.key_id: row for row in sorted(stored, key=lambda row: row.born_s)}
        self._open: dict[int, _Request] = {}
        self._queues: dict[str, deque[int]] = {}
        self._telling: Counter[str] = Counter()
        self._allowances: dict[tuple[str, str], Allowance] = {}
        self._demands: dict[str, Demand] = {}

    @property
    def idle(self) -> bool:
        """Whether no application waits."""
        return not self._open

    def demand(self, neighbour: str) -> float:
        """Return how many keys of 256 bit a second applications asked for lately."""
        demand = self._demands.get(neighbour)
        return 0.0 if demand is None else demand.rate(self._context.now_s)

    def ask(self, event: EncKeys) -> None:
        """Take keys out of the stock, have them supplied at the other end, and only then give them."""
        try:
            neighbour = self._neighbour(event)
            taken, writes = self._take(event, neighbour)
        except _RefusedError as refused:
            self._context.actions.append(Refusal(event.request, *refused.refusal))
            return
        request = _Request(neighbour, {}, tuple(row for row, _ in taken), neighbour.epoch)
        for row, key in taken:
            request.keys[row.key_id] = SuppliedKey(row.key_id, key, row.hops, row.emulated, row.routes)
            self.rows[row.key_id] = row
            writes.append(PutSupply(row, None))
        self._open[event.request] = request
        self._context.commit(writes, lambda _: self._queue(event.request), concerns=neighbour)

    def abandon(self, number: int) -> None:
        """Note that nobody waits for a request any more."""
        if number in self._open:
            self._open[number].abandoned = True

    def undelivered(self, key_ids: Iterable[bytes]) -> None:
        """Count keys of which it is unknown whether their application has them; they end by their age."""
        for key_id in key_ids:
            row = self.rows.get(key_id)
            neighbour = None if row is None else self._context.neighbours.get(row.neighbour)
            if neighbour is not None:
                self._context.commit([self._stocks.count(neighbour, {"undelivered": 1})])

    def burn(self, neighbour: Neighbour, key_ids: Iterable[bytes], reason: str, *, tell: bool = True) -> None:
        """Give supplies up; their rows stay until the peer knows."""
        writes: list[Write] = []
        for key_id in key_ids:
            if self.rows.pop(key_id, None) is not None:
                writes.append(self._stocks.count(neighbour, {f"supply:{reason}": 1}))
                if tell:
                    neighbour.dead_supplies[key_id] = True
                else:
                    writes.append(DropSupply(key_id))
        if writes:
            self._context.commit(writes, concerns=neighbour)

    def burn_all(self, neighbour: Neighbour, reason: str) -> None:
        """Give up all supplies of a pair."""
        self.burn(neighbour, [key_id for key_id, row in self.rows.items() if row.neighbour == neighbour.name], reason)

    def heard_dead(self, neighbour: Neighbour, key_ids: Iterable[bytes]) -> None:
        """Hear that the peer no longer holds supplies, because it delivered them or cannot."""
        known = [key_id for key_id in key_ids if self._is_of(key_id, neighbour)]
        self.burn(neighbour, known, "ended", tell=False)

    def expire(self) -> None:
        """End supplies that are too old."""
        while self.rows:
            row = next(iter(self.rows.values()))
            if self._context.now_s < row.born_s + row.max_age_s:
                return
            neighbour = self._context.neighbours.get(row.neighbour)
            if neighbour is None:
                del self.rows[row.key_id]
                self._context.commit([DropSupply(row.key_id)])
            else:
                self.burn(neighbour, [row.key_id], "orphan")

    def wake_s(self) -> float:
        """Return when the next supply is too old."""
        return next((row.born_s + row.max_age_s for row in self.rows.values()), float("inf"))

    def fail(self) -> None:
        """Refuse all who wait: the store is gone."""
        for number, request in self._open.items():
            self._wipe(request)
            self._context.actions.append(Refusal(number, Reason.STORE, "the store of this node failed"))
        self._open.clear()

    def _is_of(self, key_id: bytes, neighbour: Neighbour) -> bool:
        row = self.rows.get(key_id)
        return row is not None and row.neighbour == neighbour.name

    def _neighbour(self, event: EncKeys) -> Neighbour:
        """Return the neighbour whose applications the slaves are, if it may be asked now."""
        settings = self._context.settings
        master = settings.applications.get(event.master)
        if master is None or master.node != settings.node:
            raise _RefusedError(Reason.UNKNOWN_APPLICATION, "the asking application is none of this node's")
        nodes = {settings.applications[name].node if name in settings.applications else "" for name in event.slaves}
        neighbour = self._context.neighbours.get(nodes.pop()) if len(nodes) == 1 else None
        if neighbour is None:
            raise _RefusedError(Reason.UNKNOWN_APPLICATION, "no single neighbour serves all of the named applications")
        if not 1 <= event.number <= settings.max_keys:
            raise _RefusedError(Reason.SIZE, f"1 to {settings.max_keys} keys are given at once")
        if len(event.slaves) > MAX_SLAVES:
            raise _RefusedError(Reason.SIZE, f"a key is shared with {MAX_SLAVES} applications at most")
        if not settings.min_key_size <= event.size <= settings.max_key_size or event.size % 8:
            size = f"{settings.min_key_size} to {settings.max_key_size} bits, in whole bytes"
            raise _RefusedError(Reason.SIZE, f"a key has {size}")
        if self._context.draining:
            raise _RefusedError(Reason.DRAINING, "this node is ending")
        return neighbour

    def _take(self, event: EncKeys, neighbour: Neighbour) -> tuple[list[tuple[SupplyRow, KeyMaterial]], list[Write]]:
        """Take the keys, if the application may have so many and there are so many."""
        settings, now_s = self._context.settings, self._context.now_s
        each = -(-event.size // (8 * CELL))
        wanted = each * event.number
        self._demands.setdefault(neighbour.name, Demand()).add(wanted, now_s)
        if not neighbour.believed:
            raise _RefusedError(
                Reason.STARTING, f"{neighbour.name} has not been heard since this node started", AGAIN_S
            )
        if not neighbour.up:
            raise _RefusedError(Reason.PEER_SILENT, f"{neighbour.name} does not answer", AGAIN_S)
        quota = settings.applications[event.master].quota
        allowance = self._allowances.setdefault((event.master, neighbour.name), Allowance(quota, now_s))
        wait_s = allowance.wait_s(quota, wanted, now_s)
        if wait_s != 0:
            raise _RefusedError(Reason.QUOTA, "more keys than the quota of the application allows", wait_s)
        routes = max(event.routes, neighbour.settings.routes)
        there = self._stocks.ready(neighbour, routes)
        if routes == 2:
            self._want_two(neighbour, lacking=there < wanted)
        if there < wanted:
            over = " over two routes" if routes == 2 else ""
            what = f"there are {there} keys of 256 bit in stock{over}, not {wanted}"
            raise _RefusedError(Reason.NO_KEY, what, AGAIN_S)
        if there - wanted < reserved(quota, neighbour.settings.stock):
            raise _RefusedError(Reason.QUOTA, "the application may not use so much of the stock", AGAIN_S)
        own = self._stocks.of(neighbour.name).own
        if not self._sides(own, wanted, routes, None, event.hops):
            fewest, most = event.hops
            what = f"not enough keys in stock went {fewest} to {most} hops"
            raise _RefusedError(Reason.ROUTE, what, AGAIN_S)
        sides = self._sides(own, wanted, routes, event.max_age_s, event.hops)
        if not sides:
            raise _RefusedError(Reason.TOO_OLD, "not enough keys in stock are as fresh as was asked", AGAIN_S)
        allowance.take(wanted)
        taken = [self._cut(event, neighbour, sides, each) for _ in range(event.number)]
        writes: list[Write] = [self._stocks.count(neighbour, {"taken": wanted * routes})]
        return taken, [*writes, *(taken_from(batch) for side in sides for batch in side)]

    def _want_two(self, neighbour: Neighbour, *, lacking: bool) -> None:
        """Have keys of two routes kept in stock for a while, if there are such routes."""
        pair = self._ways.two(neighbour)
        if pair is not None and pair.routes:
            neighbour.two_routes_until_s = self._context.now_s + TWO_ROUTES_S
        elif lacking:
            own = self._context.settings.node
            none = f"there are no two node-disjoint routes from {own} to {neighbour.name}: {own} has no topology"
            why, cut_nodes = (none, ()) if pair is None else (pair.why, pair.cut_nodes)
            raise _RefusedError(Reason.ROUTE, why, cut_nodes=cut_nodes)

    def _sides(
        self, shelf: Shelf, wanted: int, routes: int, max_age_s: float | None, hops: tuple[int, int]
    ) -> tuple[list[StockBatch], ...]:
        """Return the oldest batches that may be supplied, for each route with so many keys; none if there are not."""
        settings, now_s = self._context.settings, self._context.now_s
        fitting = (
            batch
            for batch in shelf
            if batch.ready
            and hops[0] <= batch.hops <= hops[1]
            and (max_age_s is None or now_s - batch.born_s <= max_age_s)
            and (settings.emulation or not batch.insecure)
        )
        if routes == 2:
            return two_sides(fitting, wanted)
        found = enough(fitting, wanted)
        return (found,) if found else ()

    def _cut(
        self, event: EncKeys, neighbour: Neighbour, sides: tuple[list[StockBatch], ...], cells: int
    ) -> tuple[SupplyRow, KeyMaterial]:
        """Return one key of an application: out of the oldest batches of one route, or the sum of two over two."""
        places: list[tuple[tuple[bytes, int, int], ...]] = []
        keys: list[KeyMaterial] = []
        used: list[StockBatch] = []
        own = self._stocks.of(neighbour.name).own
        for batches in sides:
            there: list[tuple[bytes, int, int]] = []
            parts: list[KeyMaterial] = []
            for batch in batches:
                count = min(batch.free, cells - len(parts))
                if count:
                    there.append((batch.relay, batch.taken, count))
                    parts += own.take(batch, batch.taken, count)[0]
                    used.append(batch)
            places.append(tuple(there))
            keys.append(joined(parts, event.size, insecure=any(batch.insecure for batch in used)))
        row = SupplyRow(
            uuid.UUID(bytes=self._context.entropy(16), version=4).bytes,
            neighbour.name,
            True,
            event.master,
            event.slaves,
            event.size,
            places[0],
            self._context.settings.supply_age_s,
            self._context.now_s,
            max(batch.hops for batch in used),
            any(batch.insecure for batch in used),
            any(batch.emulated for batch in used),
            places[1] if len(places) > 1 else (),
        )
        return row, added(*keys) if len(keys) > 1 else keys[0]

    def _queue(self, number: int) -> None:
        """Have SUPPLY sent: the cells are out of the stock, durably."""
        request = self._open.get(number)
        if request is not None:
            self._queues.setdefault(request.neighbour.name, deque()).append(number)
            self._tell(request.neighbour)

    def _tell(self, neighbour: Neighbour) -> None:
        """Send SUPPLY while few wait for an answer: who asks meanwhile shares the next one."""
        queue = self._queues.get(neighbour.name)
        while queue and self._telling[neighbour.name] < IN_FLIGHT:
            together: list[int] = []
            keys = 0
            while queue and (not together or keys + self._keys(queue[0]) <= MAX_TOGETHER):
                number = queue.popleft()
                request = self._open.get(number)
                if request is None:
                    continue
                if request.abandoned or not neighbour.up or neighbour.epoch != request.epoch:
                    self._give_up(number, request, "not told")
                    continue
                together.append(number)
                keys += len(request.rows)
            if together:
                self._send(neighbour, together)

    def _keys(self, number: int) -> int:
        request = self._open.get(number)
        return 0 if request is None else len(request.rows)

    def _send(self, neighbour: Neighbour, numbers: list[int]) -> None:
        rows = [row for number in numbers for row in self._open[number].rows]
        items = tuple(
            SupplyItem(
                *(row.key_id, row.master, row.slaves, row.size, tuple(Cells(*cells) for cells in row.cells)),
                *(row.max_age_s, tuple(Cells(*cells) for cells in row.others)),
            )
            for row in rows
        )
        ids = tuple(row.key_id for row in rows)

        def heard(answer: Message | None) -> None:
            self._telling[neighbour.name] -= 1
            if isinstance(answer, Refused) and len(numbers) > 1:  # nothing was done: whose fault is it?
                for number in numbers:
                    if number in self._open:
                        self._send(neighbour, [number])
            else:
                supplied = isinstance(answer, Supplied) and answer.key_ids == ids
                for number in numbers:
                    self._told(number, answer, supplied=supplied)
            self._tell(neighbour)

        self._telling[neighbour.name] += 1
        self._context.send(neighbour, Supply(supplies=items), heard)

    def _told(self, number: int, answer: Message | None, *, supplied: bool) -> None:
        request = self._open.get(number)
        if request is None:
            return
        alive = all(row.key_id in self.rows for row in request.rows) and request.neighbour.epoch == request.epoch
        if request.abandoned or not alive or not supplied:
            self._give_up(number, request, f"refused: {answer.why}" if isinstance(answer, Refused) else "no answer")
            if isinstance(answer, Refused) and answer.why == "cells":
                self._burn_batches(request)
            return
        del self._open[number]
        self._context.actions.append(Keys(number, tuple(request.keys.values())))

    def _give_up(self, number: int, request: _Request, why: str) -> None:
        """Refuse the application and burn what it would have had."""
        del self._open[number]
        self._wipe(request)
        self.burn(request.neighbour, request.keys, "abandoned" if request.abandoned else "unconfirmed")
        if request.abandoned:
            refusal = Refusal(number, Reason.NOT_FOUND, "the application left; the keys were burned")
        else:
            what = f"{request.neighbour.name} did not confirm ({why}); the keys were burned"
            refusal = Refusal(number, Reason.PEER_SILENT, what, AGAIN_S)
        self._context.actions.append(refusal)

    def _burn_batches(self, request: _Request) -> None:
        """Burn what is left of batches of which the peer does not hold all: the next request would fail, too."""
        own = self._stocks.of(request.neighbour.name).own
        relays = dict.fromkeys(relay for row in request.rows for relay, _, _ in (*row.cells, *row.others))
        self._stocks.burn(request.neighbour, own.known(relays), "not held")

    def _wipe(self, request: _Request) -> None:
        for key in request.keys.values():
            key.key.wipe()


def joined(parts: list[KeyMaterial], size: int, *, insecure: bool) -> KeyMaterial:
    """Return the first `size` bits of keys, joined; the parts are wiped."""
    whole = bytearray().join(part.reveal() for part in parts)
    key = KeyMaterial(memoryview(whole)[: size // 8], insecure=insecure)
    whole[:] = bytes(len(whole))
    for part in parts:
        part.wipe()
    return key
