"""SUPPLY at the peer of its owner: keys that wait for their slaves, each delivered once (TNP1, section 7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tokaido.hal import KeyMaterial
from tokaido.node.core._actions import Keys, Reason, Refusal, SuppliedKey
from tokaido.node.core._alarm_codes import AlarmCode
from tokaido.node.core._stocks import taken_from
from tokaido.node.core._supplies import joined
from tokaido.node.core._two_routes import added, apart
from tokaido.node.core._writes import Delivered, DropSupply, PutSupply, SupplyRow, Write
from tokaido.node.messages import CELL, Supplied, Supply, SupplyItem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokaido.node.core._context import Context
    from tokaido.node.core._events import DecKeys
    from tokaido.node.core._shelf import Route, StockBatch
    from tokaido.node.core._state import Neighbour
    from tokaido.node.core._stocks import Stocks

MAX_WAITING: Final = 1 << 16
"""Most keys of one neighbour that wait for their slaves."""


class _Waiting:
    """One key that waits for its slaves."""

    def __init__(self, row: SupplyRow, key: KeyMaterial) -> None:
        self.row = row
        self.left = set(row.slaves)
        self.key = key

    def copy(self) -> KeyMaterial:
        """Return the key for one slave."""
        with self.key.reveal() as view:
            return KeyMaterial(view, insecure=self.key.insecure)


class Deliveries:
    """Supplies that neighbours own and that slaves of this node fetch."""

    def __init__(self, context: Context, stocks: Stocks, stored: Iterable[tuple[SupplyRow, KeyMaterial]]) -> None:
        self._context = context
        self._stocks = stocks
        self._waiting = {row.key_id: _Waiting(row, key) for row, key in sorted(stored, key=lambda item: item[0].born_s)}
        self._open: dict[int, tuple[Neighbour, int, tuple[SuppliedKey, ...]]] = {}
        self._abandoned: set[int] = set()

    @property
    def idle(self) -> bool:
        """Whether no application waits."""
        return not self._open

    # --- the neighbour ----------------------------------------------------------------------------------------------

    def supply(self, exchange: int, neighbour: Neighbour, supply: Supply) -> None:
        """Make supplies durable, all or none, and only then say so."""
        context = self._context
        why = self._refusal(neighbour, supply)
        if why:
            context.refuse(exchange, why)
            return
        writes: list[Write] = []
        touched: dict[bytes, StockBatch] = {}
        for item in supply.supplies:
            waiting, skipped = self._take(neighbour, item, touched)
            self._waiting[item.key_id] = waiting
            cells = sum(cells.count for cells in (*item.cells, *item.others))
            writes.append(PutSupply(waiting.row, waiting.copy()))
            writes.append(self._stocks.count(neighbour, {"supplied": cells, "skipped": skipped}))
        writes += [taken_from(batch) for batch in touched.values()]
        ids = tuple(item.key_id for item in supply.supplies)

        def durable(_loaded: tuple[KeyMaterial, ...]) -> None:
            if all(key_id in self._waiting for key_id in ids):
                context.answer(exchange, Supplied(key_ids=ids))
            else:
                context.refuse(exchange, "cells")

        context.commit(writes, durable, concerns=neighbour)

    def heard_dead(self, neighbour: Neighbour, key_ids: Iterable[bytes]) -> None:
        """Destroy supplies that their owner gave up."""
        known = [key_id for key_id in key_ids if key_id in self._waiting]
        self._drop(neighbour, [key_id for key_id in known if self._waiting[key_id].row.neighbour == neighbour.name])

    def burn_all(self, neighbour: Neighbour) -> None:
        """Destroy all supplies of a pair."""
        self._drop(
            neighbour,
            [key_id for key_id, waiting in self._waiting.items() if waiting.row.neighbour == neighbour.name],
        )

    def expire(self) -> None:
        """Destroy what its owner has forgotten, after twice its age."""
        while self._waiting:
            row = next(iter(self._waiting.values())).row
            if self._context.now_s < row.born_s + 2 * row.max_age_s:
                return
            self._drop(self._context.neighbours.get(row.neighbour), [row.key_id])

    def wake_s(self) -> float:
        """Return when the next supply is forgotten."""
        rows = (waiting.row for waiting in self._waiting.values())
        return next((row.born_s + 2 * row.max_age_s for row in rows), float("inf"))

    # --- the application --------------------------------------------------------------------------------------------

    def ask(self, event: DecKeys) -> None:
        """Note durably that the slave gets the keys, and only then give them."""
        context = self._context
        refusal = self._application_refusal(event)
        if refusal is not None:
            context.actions.append(refusal)
            return
        keys: list[SuppliedKey] = []
        writes: list[Write] = []
        neighbour = self._neighbour_of(event.key_ids[0])
        ended: list[bytes] = []
        for key_id in event.key_ids:
            waiting = self._waiting[key_id]
            row = waiting.row
            keys.append(SuppliedKey(key_id, waiting.copy(), row.hops, row.emulated, row.routes))
            writes.append(Delivered(key_id, event.slave))
            waiting.left.remove(event.slave)
            if not waiting.left:
                waiting.key.wipe()
                del self._waiting[key_id]
                ended.append(key_id)
        self._open[event.request] = neighbour, neighbour.epoch, tuple(keys)

        def durable(_loaded: tuple[KeyMaterial, ...]) -> None:
            neighbour.dead_supplies.update(dict.fromkeys(ended, False))
            self._deliver(event.request)

        context.commit(writes, durable, concerns=neighbour)

    def abandon(self, request: int) -> None:
        """Note that nobody waits for a request any more."""
        if request in self._open:
            self._abandoned.add(request)

    def fail(self) -> None:
        """Refuse all who wait: the store is gone."""
        for request, (_, _, keys) in self._open.items():
            _wipe(keys)
            self._context.actions.append(Refusal(request, Reason.STORE, "the store of this node failed"))
        self._open.clear()

    def wipe(self) -> None:
        """Destroy all keys in memory."""
        for waiting in self._waiting.values():
            waiting.key.wipe()

    def _deliver(self, request: int) -> None:
        if request not in self._open:
            return
        neighbour, epoch, keys = self._open.pop(request)
        abandoned = request in self._abandoned
        self._abandoned.discard(request)
        if not abandoned and neighbour.epoch == epoch:
            self._context.actions.append(Keys(request, keys))
            return
        _wipe(keys)
        what = "the application left" if abandoned else "the keys were burned"
        self._context.actions.append(Refusal(request, Reason.NOT_FOUND, what))

    def _application_refusal(self, event: DecKeys) -> Refusal | None:
        settings = self._context.settings
        slave = settings.applications.get(event.slave)
        if slave is None or slave.node != settings.node:
            what = "the asking application is none of this node's"
            return Refusal(event.request, Reason.UNKNOWN_APPLICATION, what)
        if not 1 <= len(event.key_ids) <= settings.max_keys:
            return Refusal(event.request, Reason.SIZE, f"1 to {settings.max_keys} keys are given at once")
        found = [self._waiting.get(key_id) for key_id in event.key_ids]
        missing = sum(waiting is None or waiting.row.master != event.master for waiting in found)
        if missing or len(set(event.key_ids)) < len(event.key_ids):
            return Refusal(event.request, Reason.NOT_FOUND, "one or more keys are not here, or not any more")
        for waiting in found:
            if waiting is not None and event.slave not in waiting.row.slaves:
                return Refusal(event.request, Reason.NOT_NAMED, "the application was not named for one or more keys")
            if waiting is not None and event.slave not in waiting.left:
                return Refusal(event.request, Reason.NOT_FOUND, "the application has one or more of the keys already")
        owners = {self._waiting[key_id].row.neighbour for key_id in event.key_ids}
        if len(owners) > 1:
            return Refusal(event.request, Reason.NOT_FOUND, "the keys have different owners: ask for them one by one")
        owner = owners.pop()
        if not self._is_believed(owner):
            what = f"{owner} has not been heard since this node or that one started"
            return Refusal(event.request, Reason.STARTING, what, 1.0)
        return None

    def _is_believed(self, owner: str) -> bool:
        """Whether it is known that neither the owner's store nor ours went back."""
        neighbour = self._context.neighbours.get(owner)
        return neighbour is not None and neighbour.believed

    def _neighbour_of(self, key_id: bytes) -> Neighbour:
        return self._context.neighbours[self._waiting[key_id].row.neighbour]

    def _refusal(self, neighbour: Neighbour, supply: Supply) -> str:
        """Return why supplies are not taken, nothing if they are."""
        settings = self._context.settings
        if self._context.draining:
            return "draining"
        if len(self._waiting) + len(supply.supplies) > MAX_WAITING:
            return "full"
        asked: set[tuple[bytes, int]] = set()
        total = 0
        serves = {name: application.node for name, application in settings.applications.items()}
        for item in supply.supplies:
            if serves.get(item.master) != neighbour.name:
                return "application"
            if any(serves.get(slave) != settings.node for slave in item.slaves):
                return "application"
            if item.key_id in self._waiting or item.key_id in neighbour.gone or item.size % 8:
                return "cells"
            if neighbour.settings.routes == 2 and not item.others:
                return "route"
            why = self._cells_refusal(neighbour, item)
            if why:
                return why
            places = [
                (part.relay, place)
                for part in (*item.cells, *item.others)
                for place in range(part.first, part.first + part.count)
            ]
            asked.update(places)
            total += len(places)
        same_id = len({item.key_id for item in supply.supplies}) < len(supply.supplies)
        return "cells" if same_id or len(asked) != total else ""

    def _cells_refusal(self, neighbour: Neighbour, item: SupplyItem) -> str:
        """Return why the cells of a supply are not taken, nothing if they are."""
        held = self._stocks.of(neighbour.name).held
        wanted = -(-item.size // (8 * CELL))
        routes: list[set[Route]] = []
        for side in (item.cells, item.others) if item.others else (item.cells,):
            if sum(part.count for part in side) != wanted:
                return "cells"
            for part in side:
                batch = held.get(part.relay)
                if batch is None or not batch.has(part.first, part.count):
                    return "cells"
                if not batch.ready:
                    text = f"{neighbour.name} supplies keys that it did not confirm: it lacks the end-to-end key"
                    self._context.raise_alarm(AlarmCode.CONFIRM_FAILED, neighbour.name, text)
                    return "cells"
            routes.append({batch.route for batch in held.known(part.relay for part in side)})
        return "" if len(routes) == 1 or apart(*routes) else "cells"

    def _take(self, neighbour: Neighbour, item: SupplyItem, touched: dict[bytes, StockBatch]) -> tuple[_Waiting, int]:
        held = self._stocks.of(neighbour.name).held
        used: list[StockBatch] = []
        keys: list[KeyMaterial] = []
        skipped = 0
        for side in (item.cells, item.others) if item.others else (item.cells,):
            parts: list[KeyMaterial] = []
            batches = [held.get(cells.relay) for cells in side]
            for cells, batch in zip(side, batches, strict=True):
                assert batch is not None, "it was looked for before it was taken"
                touched[cells.relay] = batch
                used.append(batch)
                taken, more = held.take(batch, cells.first, cells.count)
                parts += taken
                skipped += more
            keys.append(joined(parts, item.size, insecure=any(batch.insecure for batch in used)))
        row = SupplyRow(
            item.key_id,
            neighbour.name,
            False,
            item.master,
            tuple(dict.fromkeys(item.slaves)),
            item.size,
            tuple((cells.relay, cells.first, cells.count) for cells in item.cells),
            item.max_age_s,
            self._context.now_s,
            max(batch.hops for batch in used),
            any(batch.insecure for batch in used),
            any(batch.emulated for batch in used),
            tuple((cells.relay, cells.first, cells.count) for cells in item.others),
        )
        return _Waiting(row, added(*keys) if len(keys) > 1 else keys[0]), skipped

    def _drop(self, neighbour: Neighbour | None, key_ids: Iterable[bytes]) -> None:
        writes: list[Write] = []
        for key_id in key_ids:
            waiting = self._waiting.pop(key_id, None)
            if waiting is not None:
                waiting.key.wipe()
                writes.append(DropSupply(key_id))
        if writes:
            self._context.commit(writes, concerns=neighbour)


def _wipe(keys: Iterable[SuppliedKey]) -> None:
    for key in keys:
        key.key.wipe()
