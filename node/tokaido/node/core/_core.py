"""The core itself: which part hears what, and when the next thing is due."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from tokaido.hal import ConfigurationError
from tokaido.node.core import _counters
from tokaido.node.core import _events as e
from tokaido.node.core._actions import Action, LeaveDraw, Reason, Refusal
from tokaido.node.core._alarm_codes import AlarmCode
from tokaido.node.core._blocks import Blocks
from tokaido.node.core._context import Context
from tokaido.node.core._deliveries import Deliveries
from tokaido.node.core._grants import Grants
from tokaido.node.core._greetings import Greetings
from tokaido.node.core._news import News
from tokaido.node.core._receipts import Receipts
from tokaido.node.core._relays import Relays
from tokaido.node.core._spending import Spending
from tokaido.node.core._state import LinkState, Neighbour
from tokaido.node.core._status import NeighbourStatus, NodeStatus, PairStatus
from tokaido.node.core._status_of import link_status, pair_status
from tokaido.node.core._stocks import Stocks
from tokaido.node.core._supplies import Supplies
from tokaido.node.core._transit import Transit
from tokaido.node.core._ways import Ways
from tokaido.node.core._writes import NeighbourMarks
from tokaido.node.messages import Confirm, Dead, Grant, Have, Hello, Lease, Ok, Relay, Supply

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokaido.node.core._settings import CoreSettings
    from tokaido.node.core._writes import Snapshot

LOW: Final = 0.1, 0.25
"""Share of the stock below which it is low, and above which it is not any more."""
LOW_S: Final = 60.0
"""How long it has to be low for an alarm."""


class NodeCore:
    """Custody of link key, relay and supply of one node, without any I/O.

    One caller at a time: hand in an event, carry out the actions in their order. The core keeps keys in memory: leases,
    keys in stock and supplies that wait. `close` wipes them.

    Args:
        settings: The node's file.
        snapshot: What its store holds.
        run: 16 random bytes that name this run.
        entropy: Where keys and ids come from; default: the operating system.
    """

    def __init__(
        self, settings: CoreSettings, snapshot: Snapshot, run: bytes, *, entropy: Callable[[int], bytes] = os.urandom
    ) -> None:
        counters = _counters.Counters(snapshot.counters)
        self._context = context = Context(settings, run, counters, entropy, snapshot.age_s)
        self._marks = dict(snapshot.neighbours)
        self._started = self._failed = False
        self._meet(settings)
        self._blocks = Blocks(context, snapshot.blocks, snapshot.ended)
        self._stocks = Stocks(context, snapshot.batches)
        self._greetings = Greetings(context, self._met, self._burn)
        self._news = News(context, self._blocks.held)
        self._grants = Grants(context, self._blocks, self._went_back)
        spending = Spending(context, self._blocks)
        self._ways = Ways(context)
        self._transit = Transit(context, self._blocks, spending)
        self._relays = Relays(context, self._blocks, self._stocks, self._ways, spending)
        self._receipts = Receipts(context, self._blocks, self._stocks, self._transit)
        owned = [row for row, _ in snapshot.supplies if row.started_here]
        self._supplies = Supplies(context, self._stocks, self._ways, owned)
        waiting = [(row, key) for row, key in snapshot.supplies if not row.started_here and key is not None]
        self._deliveries = Deliveries(context, self._stocks, waiting)
        self._parts = self._supplies, self._deliveries, self._receipts, self._transit, self._ways
        """Those that have something to do at a time."""

    def handle(self, event: e.Event, now_s: float) -> list[Action]:
        """Return what is to be done after an event, in this order.

        Args:
            event: What happened; `Started` is the first.
            now_s: The node's own age in s, which never falls and goes on over restarts.

        Raises:
            ConfigurationError: `Reconfigured` came with the file of another node. Nothing was done.
        """
        context = self._context
        context.now_s = max(now_s, context.now_s)
        actions: list[Action] = []
        context.actions = actions
        if self._failed:
            self._refuse(event)
        else:
            self._hear(event)
            if self._started and not self._failed:
                self._pump()
        return actions

    @property
    def wake_s(self) -> float:
        """When `Tick` is next needed, as the node's age in s."""
        if self._failed or not self._started:
            return float("inf")
        times = [part.wake_s() for part in self._parts]
        now_s = self._context.now_s
        for neighbour in self._context.neighbours.values():
            times += [self._greetings.wake_s(neighbour), self._stocks.wake_s(neighbour)]
            later = [self._relays.wake_s(neighbour), neighbour.dead_at_s]
            for link in neighbour.links.values():
                later += link.ask_at_s, link.tell_at_s
            if neighbour.low_since_s is not None:
                later.append(neighbour.low_since_s + LOW_S)
            times += [time for time in later if time > now_s]
        return min(times)

    @property
    def settings(self) -> CoreSettings:
        """The node's file, as it was read last."""
        return self._context.settings

    @property
    def drained(self) -> bool:
        """Whether, after `Drain`, nothing is under way any more, and all neighbours that answer know the mark."""
        idle = self._context.idle and self._supplies.idle and self._deliveries.idle
        owes = any(map(self._greetings.owes_mark, self._context.neighbours.values()))
        return self._context.draining and idle and not owes

    @property
    def failed(self) -> bool:
        """Whether the store failed, so that another core is needed."""
        return self._failed

    def close(self) -> None:
        """Wipe all keys in memory. Keys of commits under way stay for the store."""
        self._failed = True
        for neighbour in self._context.neighbours.values():
            for link in neighbour.links.values():
                for lease in link.leases:
                    lease.key.wipe()
        self._blocks.wipe()
        self._stocks.wipe()
        self._deliveries.wipe()
        self._supplies.fail()

    def pair(self, node: str) -> PairStatus | None:
        """Return what may be known of the keys that are shared with a node, None if none can be."""
        neighbour = self._context.neighbours.get(node)
        return None if neighbour is None else self._pair(neighbour)

    def status(self) -> NodeStatus:
        """Return what may be known of the node."""
        context = self._context
        links = {
            name: link_status(context, self._blocks, neighbour, name, link)
            for neighbour in context.neighbours.values()
            for name, link in neighbour.links.items()
        }
        return NodeStatus(
            node=context.settings.node,
            draining=context.draining,
            relaying=context.relaying,
            failed=self._failed,
            links=links,
            pairs={neighbour.name: self._pair(neighbour) for neighbour in context.neighbours.values()},
            neighbours={
                neighbour.name: NeighbourStatus(
                    neighbour.name,
                    neighbour.believed,
                    neighbour.up,
                    context.now_s - neighbour.heard_s,
                    neighbour.run.hex()[:8],
                )
                for neighbour in context.neighbours.values()
            },
        )

    def _pair(self, neighbour: Neighbour) -> PairStatus:
        demand = self._supplies.demand(neighbour.name)
        return pair_status(self._context, self._stocks, self._ways, neighbour, demand)

    # --- what happens -----------------------------------------------------------------------------------------------

    def _hear(self, event: e.Event) -> None:
        context = self._context
        match event:
            case e.Started():
                self._start()
            case e.Tick():
                pass
            case e.Committed():
                context.committed(event)
            case e.CommitFailed():
                self._fail(event.why)
            case e.Received():
                self._received(event)
            case e.Answered():
                context.answered(event, event.envelope)
            case e.Unanswered():
                context.answered(event, None)
            case e.Drawn():
                self._blocks.drawn(event)
            case e.NotFetched():
                self._blocks.not_fetched(event)
            case e.EncKeys():
                self._supplies.ask(event)
            case e.DecKeys():
                self._deliveries.ask(event)
            case e.Abandoned(request):
                self._supplies.abandon(request)
                self._deliveries.abandon(request)
            case e.Undelivered(_, key_ids):
                self._supplies.undelivered(key_ids)
            case e.Reconfigured(settings):
                self._reconfigure(settings)
            case e.RelayingSet(on):
                context.relaying = on
            case e.Drain():
                context.draining = True

    def _start(self) -> None:
        self._started = True
        self._blocks.start()
        for neighbour in self._context.neighbours.values():
            self._stocks.start(neighbour)

    def _received(self, event: e.Received) -> None:
        context, envelope, exchange = self._context, event.envelope, event.exchange
        neighbour = context.neighbours.get(event.neighbour)
        context.received(event)
        body = envelope.body
        if neighbour is None:
            context.refuse(exchange, "link", f"{event.neighbour} is not a neighbour of {context.settings.node}")
        elif isinstance(body, Hello):
            self._greetings.asked(exchange, neighbour, envelope, body)
        elif envelope.to != context.run or envelope.run != neighbour.run:
            context.refuse(exchange, "hello")
        else:
            neighbour.heard_s = context.now_s
            self._asked(exchange, neighbour, event)

    def _asked(self, exchange: int, neighbour: Neighbour, event: e.Received) -> None:
        envelope = event.envelope
        match envelope.body:
            case Have() as have:
                self._blocks.have(exchange, neighbour, envelope.n, have)
            case Dead() as dead:
                self._heard_dead(exchange, neighbour, dead)
            case Grant() as grant:
                self._grants.asked(exchange, neighbour, envelope.run, grant)
            case Lease() | Relay() if not self._context.relaying:
                self._context.refuse(exchange, "draining", "this node does not relay now")
            case Lease() as lease:
                self._receipts.lease(exchange, neighbour, lease)
            case Relay() as relay:
                self._receipts.relay(exchange, neighbour, relay)
            case Confirm() as confirm:
                self._receipts.confirm(exchange, neighbour, confirm)
            case Supply() as supply:
                self._deliveries.supply(exchange, neighbour, supply)
            case _:
                self._context.refuse(exchange, "version", "that is an answer and not a question")

    def _heard_dead(self, exchange: int, neighbour: Neighbour, dead: Dead) -> None:
        for identifier in (*dead.relays, *dead.supplies):
            neighbour.remember_gone(identifier)
        stock = self._stocks.of(neighbour.name)
        self._blocks.heard_dead(neighbour, dead.blocks)
        self._stocks.drop(neighbour, stock.held.known(dead.relays), "dead")
        self._stocks.burn(neighbour, stock.own.known(dead.relays), "dead", tell=False)
        self._deliveries.heard_dead(neighbour, dead.supplies)
        self._supplies.heard_dead(neighbour, dead.supplies)
        self._context.commit((), lambda _: self._context.answer(exchange, Ok()))

    def _met(self, neighbour: Neighbour) -> None:
        self._news.tell_all(neighbour)

    def _went_back(self, neighbour: Neighbour, text: str, ours: bool) -> None:
        self._greetings.went_back(neighbour, text, ours=ours)

    def _burn(self, neighbour: Neighbour, reason: str) -> None:
        """Burn every pair key that was not delivered to all of its applications, and all leases."""
        neighbour.epoch += 1
        self._stocks.burn_all(neighbour, reason)
        self._supplies.burn_all(neighbour, reason)
        self._deliveries.burn_all(neighbour)
        for link in neighbour.links.values():
            writes = self._blocks.forfeit(link)
            if writes:
                self._context.commit(writes, concerns=neighbour)

    def _fail(self, why: str) -> None:
        self._failed = True
        self._context.raise_alarm(AlarmCode.STORE_FAILED, self._context.settings.node, why)
        self._supplies.fail()
        self._deliveries.fail()
        for exchange in list(self._context.exchanges):
            self._context.refuse(exchange, "draining")

    def _refuse(self, event: e.Event) -> None:
        """Answer without a store."""
        match event:
            case e.EncKeys(request=request) | e.DecKeys(request=request):
                what = "the store of this node failed"
                self._context.actions.append(Refusal(request, Reason.STORE, what))
            case e.Received(exchange=exchange):
                self._context.received(event)
                self._context.refuse(exchange, "draining")
            case e.Drawn(draw=draw, key=key):
                key.wipe()
                self._context.actions.append(LeaveDraw(draw, "the store of this node failed"))
            case e.Committed(loaded=loaded):
                for key in loaded:
                    key.wipe()
            case _:
                pass

    # --- what is due ------------------------------------------------------------------------------------------------

    def _pump(self) -> None:
        self._supplies.expire()
        self._deliveries.expire()
        self._receipts.expire()
        self._transit.expire()
        wanted = self._relays.wanted()
        for neighbour in self._context.neighbours.values():
            self._greetings.pump(neighbour)
            self._stocks.expire(neighbour)
            self._news.pump(neighbour)
            asked = wanted.get(neighbour.name, 0) + self._transit.wanted(neighbour)
            self._grants.pump(neighbour, asked if self._context.relaying else 0)
            if self._context.relaying:
                self._relays.pump(neighbour)
            self._watch_stock(neighbour)

    def _watch_stock(self, neighbour: Neighbour) -> None:
        context = self._context
        ready = self._stocks.ready(neighbour, neighbour.settings.routes)
        low, enough = (share * neighbour.settings.stock for share in LOW)
        if ready >= enough:
            neighbour.low_since_s = None
            context.clear_alarm(AlarmCode.STOCK_LOW, neighbour.name)
        elif ready < low:
            if neighbour.low_since_s is None:
                neighbour.low_since_s = context.now_s
            if context.now_s >= neighbour.low_since_s + LOW_S:
                two = self._ways.two(neighbour) if neighbour.settings.routes == 2 else None
                why = f": {two.why}" if two is not None and two.why else ""
                text = f"{ready} keys are ready for {neighbour.name}, {neighbour.settings.stock} are to be{why}"
                context.raise_alarm(AlarmCode.STOCK_LOW, neighbour.name, text)

    # --- settings ---------------------------------------------------------------------------------------------------

    def _meet(self, settings: CoreSettings) -> None:
        """Know the neighbours and links of the node's file, and forget those that are not in it."""
        context = self._context
        before = context.neighbours
        context.neighbours = {}
        for name, wanted in settings.neighbours.items():
            neighbour = before.get(name)
            if neighbour is None:
                neighbour = Neighbour(wanted, self._marks.get(name, NeighbourMarks()), context.now_s)
            else:
                neighbour.settings = wanted
                for gone in neighbour.links.keys() - {link.name for link in wanted.links}:
                    self._forget(neighbour, gone)
                for link in wanted.links:
                    if link.name in neighbour.links:
                        neighbour.links[link.name].settings = link
                    else:
                        neighbour.links[link.name] = LinkState(link)
                        neighbour.links[link.name].tell_all = True
            context.neighbours[name] = neighbour

    def _reconfigure(self, settings: CoreSettings) -> None:
        if settings.node != self._context.settings.node:
            raise ConfigurationError(
                f"this core is of node {self._context.settings.node}, not of {settings.node}",
                remedy="Start another one",
            )
        for neighbour in self._context.neighbours.values():
            self._marks[neighbour.name] = NeighbourMarks(neighbour.mark, neighbour.told)
            if neighbour.name not in settings.neighbours:
                neighbour.up = neighbour.believed = False
                for link in list(neighbour.links):
                    self._forget(neighbour, link)
        self._context.settings = settings
        self._ways.forget()
        self._meet(settings)

    def _forget(self, neighbour: Neighbour, link: str) -> None:
        """Let go of a link; its blocks stay in the store."""
        writes = self._blocks.forfeit(neighbour.links.pop(link))
        if writes:
            self._context.commit(writes, concerns=neighbour)
