"""LEASE, RELAY and CONFIRM at the start of a route: new keys of a pair, and the proof of both ends (TNP1, 5, 6)."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tokaido.hal import KeyMaterial
from tokaido.node.core._alarm_codes import AlarmCode
from tokaido.node.core._pads import pad_length, seal
from tokaido.node.core._shelf import StockBatch
from tokaido.node.core._spending import Spending, answer_within_s
from tokaido.node.core._state import LEAST, Lease, LinkState, Neighbour
from tokaido.node.core._two_routes import most_keys
from tokaido.node.core._ways import free_lease
from tokaido.node.core._writes import Batch, PutBatch, SetBatch
from tokaido.node.messages import (
    CELL,
    MAX_BATCH,
    TAG_KEY,
    Confirm,
    Leased,
    Message,
    Refused,
    Relay,
    Relayed,
    confirm_transcript,
)
from tokaido.node.messages import Lease as LeaseQuestion

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokaido.node.core._blocks import Blocks
    from tokaido.node.core._context import Context
    from tokaido.node.core._stocks import Lane, Stocks
    from tokaido.node.core._ways import Found, Ways

AGAIN_S: Final = 1.0
"""Pause after a neighbour took no relay."""
NO_LEASE_S: Final = 0.5
"""Pause after a way was not free: that costs no key."""
PAUSES_S: Final = 0.1, 10.0
"""Pause after a relay over several hops came to nothing, at first and at most: each costs key on its way."""
UNCONFIRMED_S: Final = 60.0
"""Pause after keys were not the same at both ends: they cost link key."""


def confirm_mac(key: KeyMaterial, end: str, relay: bytes, route: Sequence[str], keys: KeyMaterial) -> bytes:
    """Return what one end of a route proves with which keys it holds."""
    with key.reveal() as secret, keys.reveal() as joined:
        return hmac.digest(bytes(secret), confirm_transcript(end, relay, route, bytes(joined)), "sha256")


@dataclass(slots=True)
class _Started:
    """A relay that starts here."""

    peer: Neighbour
    lane: Lane
    route: tuple[str, ...]
    first: Neighbour
    link: LinkState
    lease: Lease
    relay: bytes
    count: int
    insecure: bool
    emulated: bool

    @property
    def length(self) -> int:
        return pad_length(self.count)


class Relays:
    """Starts relays, so that every pair has keys in stock."""

    def __init__(self, context: Context, blocks: Blocks, stocks: Stocks, ways: Ways, spending: Spending) -> None:
        self._context = context
        self._blocks = blocks
        self._stocks = stocks
        self._ways = ways
        self._spending = spending

    def wanted(self) -> dict[str, int]:
        """Return how many bytes of leases are to be at hand, by the neighbour at the other end of the link."""
        wanted: dict[str, int] = {}
        for peer in self._context.neighbours.values():
            for lane in self._lanes(peer):
                missing = self._missing(peer, lane)
                found = self._way(peer, lane) if missing else None
                if found is not None:
                    settings = peer.settings
                    length = min(settings.in_flight * pad_length(settings.batch), 2 * pad_length(missing))
                    wanted[found.first.name] = wanted.get(found.first.name, 0) + length
        return wanted

    def pump(self, peer: Neighbour) -> None:
        """Start relays while the stock lacks keys and leases are at hand."""
        if peer.up and not self._context.draining:
            for lane in self._lanes(peer):
                self._fill(peer, lane)

    def wake_s(self, peer: Neighbour) -> float:
        """Return when the next pause of a peer's relays ends."""
        now_s, lanes = self._context.now_s, self._stocks.of(peer.name).lanes.values()
        return min((lane.at_s for lane in lanes if lane.at_s > now_s), default=float("inf"))

    def _lanes(self, peer: Neighbour) -> list[Lane]:
        """Return by which lanes a pair gets its keys: two where it wants two routes, none if there are no two."""
        stock, wants_two = self._stocks.of(peer.name), peer.settings.routes == 2
        if wants_two or self._context.now_s < peer.two_routes_until_s:
            pair = self._ways.two(peer)
            if wants_two or (pair is not None and pair.routes):
                return [] if pair is None else [stock.lane(route) for route in pair.routes]
        return [stock.lane()]

    def _way(self, peer: Neighbour, lane: Lane) -> Found | None:
        return self._ways.over(lane.route) if lane.route else self._ways.to(peer)

    def _fill(self, peer: Neighbour, lane: Lane) -> None:
        """Start relays of a lane."""
        while (
            self._context.now_s >= lane.at_s
            and lane.on_the_way < peer.settings.in_flight
            and (missing := self._missing(peer, lane))
        ):
            found = self._way(peer, lane)
            place = None if found is None else free_lease(found.first, LEAST)
            if found is None or place is None:
                return
            link, lease = place
            count = min(peer.settings.batch, MAX_BATCH, missing, (lease.free - TAG_KEY) // CELL)
            relay, block = self._context.entropy(16), lease.block
            marks = block.insecure, block.emulated
            started = _Started(peer, lane, found.route, found.first, link, lease, relay, count, *marks)
            lane.on_the_way += 1
            self._spending.reserve(lease, started.length)
            if len(found.route) > 2:
                self._ask(started)
            else:
                self._begin(started)

    def _missing(self, peer: Neighbour, lane: Lane) -> int:
        """Return how many keys the stock of a lane lacks, 0 if too few for a relay."""
        settings, own = peer.settings, self._stocks.of(peer.name).own
        emulation = self._context.settings.emulation
        if not lane.route:
            there = own.ready(insecure=emulation) + own.coming()
        elif most_keys(own.ready_over(insecure=emulation)) >= settings.stock:
            return 0
        else:
            there = own.over(lane.route, insecure=emulation)
        missing = settings.stock - there - lane.asked
        worth_it = min(settings.batch, max(settings.stock // 4, 1))
        return missing if missing >= worth_it else 0

    def _ask(self, started: _Started) -> None:
        """Ask whether the way is free, and begin if it is."""
        lane, first, route = started.lane, started.first, started.route
        lane.asked += started.count
        run = first.run
        question = LeaseQuestion(relay=started.relay, route=route, hop=0, count=started.count)

        def heard(answer: Message | None) -> None:
            lane.asked -= started.count
            free = isinstance(answer, Leased) and answer.relay == started.relay
            if isinstance(answer, Leased):
                started.insecure |= answer.insecure
                started.emulated |= answer.emulated
                free = free and (self._context.settings.emulation or not started.insecure)
            if free and started.lease.alive and first.up and first.run == run and not self._context.draining:
                self._begin(started)
                return
            lane.on_the_way -= 1
            self._spending.release(started.lease, started.length)
            if not isinstance(answer, Refused):
                self._give_back(started)
            if not free:
                self._failed(started, answer)
                lane.at_s = max(lane.at_s, self._context.now_s + NO_LEASE_S)

        self._context.send(first, question, heard, answer_within_s(self._context.settings.answer_s, route, 0))

    def _begin(self, started: _Started) -> None:
        """Take the pad, seal new keys, and send them once it is durable what was spent and what is on its way."""
        context, peer, lane, first, route = self._context, started.peer, started.lane, started.first, started.route
        block, relay, count, insecure = started.lease.block, started.relay, started.count, started.insecure
        begin, pad, writes = self._spending.take(started.link, started.lease, count)
        keys = KeyMaterial(context.entropy(CELL * count), insecure=insecure)
        link, session, number = block.name
        blank = Relay(
            relay=relay,
            route=route,
            hop=0,
            link=link,
            session=session,
            number=number,
            offset=begin,
            length=started.length,
            count=count,
            insecure=insecure,
            emulated=started.emulated,
            ciphertext=b"",
            tag=bytes(16),
        )
        sealed = seal(pad, keys, blank)
        row = Batch(
            *(relay, peer.name, True, count, route, False),
            born_s=context.now_s,
            insecure=insecure,
            emulated=started.emulated,
        )
        stock = self._stocks.of(peer.name)
        batch = StockBatch(row, keys)
        stock.own.add(batch)
        writes += [PutBatch(row, keys), self._stocks.count(peer, {"born": count})]
        run = first.run

        def ended(answer: Message | None) -> None:
            lane.on_the_way -= 1
            self._spending.done(block)
            if relay not in stock.own:
                return
            if isinstance(answer, Relayed) and answer.relay == relay:
                lane.pause_s = 0.0
                self._ways.succeeded(peer, lane.route, route)
                self._confirm(peer, lane, batch)
                return
            self._stocks.burn(peer, [batch], "refused" if isinstance(answer, Refused) else "lost")
            self._failed(started, answer)
            if len(route) > 2:
                self._give_back(started)
            if len(route) > 2 and context.now_s >= lane.at_s:
                first_s, most_s = PAUSES_S
                lane.pause_s = min(max(first_s, 2 * lane.pause_s), most_s)
                lane.at_s = context.now_s + lane.pause_s

        def durable(_loaded: tuple[KeyMaterial, ...]) -> None:
            if relay in stock.own and first.up and first.run == run:
                context.send(first, sealed, ended, answer_within_s(context.settings.answer_s, route, 0))
            else:
                ended(None)

        context.commit(writes, durable, concerns=peer)

    def _give_back(self, started: _Started) -> None:
        """Tell the nodes on the way that they need set nothing aside."""
        if started.first.up:
            question = LeaseQuestion(relay=started.relay, route=started.route, hop=0, count=0)
            self._context.send(started.first, question, lambda _: None)

    def _failed(self, started: _Started, answer: Message | None) -> None:
        """See what a refusal says of the first hop, and of those after it."""
        peer, first = started.peer, started.first
        why = answer.why if isinstance(answer, Refused) else "insecure" if isinstance(answer, Leased) else "lost"
        node = (answer.node if isinstance(answer, Refused) else "") or first.name
        if len(started.route) > 2:
            by = started.route[0] if answer is None else node
            self._ways.failed(peer, started.lane.route, started.route, by, why)
        if isinstance(answer, Refused) and node == first.name:
            self._spending.refused(first, started.link, started.lease.block, why)
        if len(started.route) == 2 and why not in {"block", "tag", "range", "lost"}:
            started.lane.at_s = self._context.now_s + AGAIN_S

    def _confirm(self, peer: Neighbour, lane: Lane, batch: StockBatch) -> None:
        """Have the other end prove that it holds the same keys, where the pair has a key for that."""
        key = peer.settings.confirm_key
        if key is None:
            self._ready(peer, batch)
            return
        stock, route = self._stocks.of(peer.name), batch.route
        with batch.joined() as keys:
            expected = confirm_mac(key, "end", batch.relay, route, keys)
            question = Confirm(relay=batch.relay, mac=confirm_mac(key, "start", batch.relay, route, keys))
        lane.on_the_way += 1

        def heard(answer: Message | None) -> None:
            lane.on_the_way -= 1
            if batch.relay not in stock.own:
                return
            if isinstance(answer, Confirm) and hmac.compare_digest(answer.mac, expected):
                self._ready(peer, batch)
                return
            self._stocks.burn(peer, [batch], "confirm" if answer is not None else "lost")
            lane.at_s = self._context.now_s + AGAIN_S
            if isinstance(answer, Confirm) or (isinstance(answer, Refused) and answer.why == "tag"):
                self._context.raise_alarm(AlarmCode.CONFIRM_FAILED, peer.name, differs(peer.name, route))
                lane.at_s = self._context.now_s + UNCONFIRMED_S

        self._context.send(peer, question, heard)

    def _ready(self, peer: Neighbour, batch: StockBatch) -> None:
        stock = self._stocks.of(peer.name)

        def durable(_loaded: tuple[KeyMaterial, ...]) -> None:
            if batch.relay in stock.own:
                stock.own.make_ready(batch)

        self._context.commit([SetBatch(batch.relay, ready=True)], durable, concerns=peer)


def differs(peer: str, route: Sequence[str]) -> str:
    """Return what is said of keys that are not the same at both ends."""
    over = f"; the relay went over {', '.join(route[1:-1])}" if len(route) > 2 else ""
    return f"{peer} does not hold the same keys, or not the same end-to-end key{over}"
