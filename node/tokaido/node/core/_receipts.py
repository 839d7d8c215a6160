"""RELAY and CONFIRM at the end of a route: keys that this node holds for their owner (TNP1, sections 5 and 6)."""

from __future__ import annotations

import hmac
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

from tokaido.hal import KeyMaterial
from tokaido.node.core._alarm_codes import AlarmCode
from tokaido.node.core._pads import pad_length, unseal
from tokaido.node.core._relays import confirm_mac, differs
from tokaido.node.core._shelf import StockBatch
from tokaido.node.core._state import Gap
from tokaido.node.core._writes import Batch, PutBatch, Range, SetBatch, SetMarks, Write
from tokaido.node.messages import CELL, TAG_KEY, Confirm, Leased, Relay, Relayed

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokaido.node.core._blocks import Blocks
    from tokaido.node.core._context import Context
    from tokaido.node.core._state import BlockState, LinkState, Neighbour
    from tokaido.node.core._stocks import Stocks
    from tokaido.node.core._transit import Transit
    from tokaido.node.messages import Lease

WRONG_TAGS: Final = 16
"""After so many wrong tags of a link a neighbour has to wait."""
BACK_OFF_S: Final = 1.0, 600.0
"""How long at first, and at most."""
MAX_HELD: Final = 1 << 17
"""Most keys that are held for one node."""
GAP_S: Final = 10.0
"""How long what was passed over can be used by a relay that was overtaken."""
MAX_GAP: Final = 1 << 16
"""Most bytes that are kept of what one relay passed over."""


class _Arrived(NamedTuple):
    """A relay, and what it is about."""

    exchange: int
    before: Neighbour
    link: LinkState
    block: BlockState
    relay: Relay


class Receipts:
    """Takes relays of neighbours: holds their keys at the end of a route, and has them sent on in its middle."""

    def __init__(self, context: Context, blocks: Blocks, stocks: Stocks, transit: Transit) -> None:
        self._context = context
        self._blocks = blocks
        self._stocks = stocks
        self._transit = transit
        self._gaps: deque[tuple[float, BlockState]] = deque()

    def lease(self, exchange: int, before: Neighbour, question: Lease) -> None:
        """Say whether a relay of so many keys would be taken, here and on the way that is left."""
        why = self._route_refusal(before, question.route, question.hop)
        if question.count and not why:
            why = self._end_refusal(question)
        if why:
            self._context.refuse(exchange, why)
        elif not question.count:
            self._transit.give_back(before, question)
            self._context.answer(exchange, Leased(relay=question.relay))
        elif question.hop + 2 < len(question.route):
            self._transit.lease(exchange, before, question)
        else:
            self._context.answer(exchange, Leased(relay=question.relay))

    def relay(self, exchange: int, before: Neighbour, relay: Relay) -> None:
        """Load the pad of a relay, verify its tag, and hold its keys durably or send them on."""
        context = self._context
        link = before.links.get(relay.link)
        block = self._blocks.find(relay.link, relay.session, relay.number)
        why = self._route_refusal(before, relay.route, relay.hop)
        if why or link is None or block is None:
            context.refuse(exchange, why or ("link" if link is None else "block"))
            return
        why = self._refusal(link, block, relay) or self._end_refusal(relay)
        if why:
            context.refuse(exchange, why)
            return
        arrived = _Arrived(exchange, before, link, block, relay)
        end = relay.offset + relay.length
        if relay.offset < block.passed:
            self._opened(arrived, ())
            return
        begin = block.passed if relay.offset - block.passed <= MAX_GAP else relay.offset

        def loaded(parts: tuple[KeyMaterial, ...]) -> None:
            self._opened(arrived, parts)

        half = 1 - block.own_half
        ranges = [Range(block.name, half, relay.offset, end)]
        if begin < relay.offset:
            ranges.append(Range(block.name, half, begin, relay.offset))
        context.commit((), loaded, loads=tuple(ranges))

    def expire(self) -> None:
        """Destroy what was passed over, and did not come in time."""
        now_s = self._context.now_s
        while self._gaps and self._gaps[0][0] <= now_s:
            _, block = self._gaps.popleft()
            for gap in [gap for gap in block.gaps if gap.expires_s <= now_s]:
                block.gaps.remove(gap)
                gap.key.wipe()
            self._blocks.half_used(block)

    def wake_s(self) -> float:
        """Return when `expire` is next needed."""
        return self._gaps[0][0] if self._gaps else float("inf")

    def confirm(self, exchange: int, neighbour: Neighbour, confirm: Confirm) -> None:
        """Prove which keys are held here, if the start holds the same."""
        context = self._context
        batch = self._stocks.of(neighbour.name).held.get(confirm.relay)
        key = neighbour.settings.confirm_key
        if batch is None or (batch.ready and key is not None):
            context.refuse(exchange, "relay")
            return
        if key is None:
            self._stocks.drop(neighbour, [batch], "confirm")
            context.refuse(exchange, "tag", "no end-to-end key is set here")
            return
        route = batch.route
        with batch.joined() as keys:
            expected = confirm_mac(key, "start", batch.relay, route, keys)
            answer = Confirm(relay=batch.relay, mac=confirm_mac(key, "end", batch.relay, route, keys))
        if not hmac.compare_digest(confirm.mac, expected):
            context.raise_alarm(AlarmCode.CONFIRM_FAILED, neighbour.name, differs(neighbour.name, route))
            self._stocks.drop(neighbour, [batch], "confirm")
            context.refuse(exchange, "tag", "the mac is wrong")
            return
        held = self._stocks.of(neighbour.name).held
        held.make_ready(batch)

        def durable(_loaded: tuple[KeyMaterial, ...]) -> None:
            if batch.relay in held:
                context.answer(exchange, answer)
            else:
                context.refuse(exchange, "relay")

        context.commit([SetBatch(batch.relay, ready=True)], durable, concerns=neighbour)

    def _route_refusal(self, before: Neighbour, route: tuple[str, ...], hop: int) -> str:
        """Return why a route is not gone, nothing if it is."""
        if self._context.draining:
            return "draining"
        why = self._transit.refusal(before, route, hop)
        if why or hop + 2 < len(route):
            return why
        start = self._context.neighbours.get(route[0])
        return "peer" if start is None or not start.believed else ""

    def _end_refusal(self, asked: Lease | Relay) -> str:
        """Return why the end of a route takes no such relay, nothing if it does, or if this is not the end."""
        if asked.hop + 2 < len(asked.route):
            return ""
        start = self._context.neighbours[asked.route[0]]
        stock = self._stocks.of(start.name)
        if asked.relay in stock.held or asked.relay in stock.own or asked.relay in start.gone:
            return "relay"
        return "full" if stock.held.relayed + asked.count > MAX_HELD else ""

    def _refusal(self, link: LinkState, block: BlockState, relay: Relay) -> str:
        """Return why the pad of a relay is not taken, nothing if it is."""
        if link.refuse_until_s > self._context.now_s:
            return "backoff"
        if relay.length != pad_length(relay.count) or len(relay.ciphertext) != CELL * relay.count:
            return "range"
        if relay.offset + relay.length > block.granted:
            return "range"
        if relay.offset < block.passed and _gap_of(block, relay) is None:
            return "range"
        return "insecure" if block.insecure and not relay.insecure else ""

    def _opened(self, arrived: _Arrived, parts: tuple[KeyMaterial, ...]) -> None:
        """Verify the tag under what was loaded: the pad, and what would be passed over; or under a gap."""
        context, (exchange, before, link, block, relay) = self._context, arrived
        why = self._route_refusal(before, relay.route, relay.hop) or ("" if block.alive else "block")
        why = why or self._refusal(link, block, relay) or self._end_refusal(relay)
        if why:
            for part in parts:
                part.wipe()
            context.refuse(exchange, why)
            return
        keys = unseal(_copied(parts[0] if parts else None, block, relay), relay)
        if keys is None:
            for part in parts:
                part.wipe()
            self._wrong_tag(before, link, relay)
            context.refuse(exchange, "tag")
            return
        link.wrong_tags, link.back_off_s = 0, 0.0
        context.clear_alarm(AlarmCode.TAG_WRONG, relay.link)
        writes = self._moved(block, relay, parts)
        if relay.hop + 2 < len(relay.route):
            more, then = self._transit.forward(exchange, before, relay, keys)
        else:
            more, then = self._hold(exchange, context.neighbours[relay.route[0]], block, relay, keys)

        def durable(_loaded: tuple[KeyMaterial, ...]) -> None:
            then()
            self._blocks.half_used(block)

        context.commit([*writes, *more], durable, concerns=before)

    def _moved(self, block: BlockState, relay: Relay, parts: tuple[KeyMaterial, ...]) -> list[Write]:
        """Move forward in the half, or use a part of what was passed over; return what is to be durable."""
        spent = {"spent_pad": 8 * CELL * relay.count, "spent_tag": 8 * TAG_KEY}
        expires_s = self._context.now_s + GAP_S
        begin, end = relay.offset, relay.offset + relay.length
        if begin < block.passed:
            found = _gap_of(block, relay)
            assert found is not None, "it was looked for before it was used"
            block.gaps.remove(found)
            before, rest = found.key.split(begin - found.begin)
            used, after = rest.split(relay.length)
            used.wipe()
            for place, key in ((found.begin, before), (end, after)):
                if len(key):
                    block.gaps.append(Gap(place, key, found.expires_s))
            for part in parts:
                part.wipe()
            return [self._blocks.count(relay.link, {**spent, "discarded:gap": -8 * relay.length})]
        gap = begin - block.passed
        if len(parts) > 1 and gap:
            over, kept = parts[1].split(len(parts[1]) - gap)
            over.wipe()
            block.gaps.append(Gap(block.passed, kept, expires_s))
            self._gaps.append((expires_s, block))
        for part in parts:
            part.wipe()
        block.passed = end
        return [
            SetMarks(block.name, passed=end),
            self._blocks.count(relay.link, {**spent, "discarded:gap": 8 * gap}),
        ]

    def _wrong_tag(self, neighbour: Neighbour, link: LinkState, relay: Relay) -> None:
        link.wrong_tags += 1
        if link.wrong_tags >= WRONG_TAGS:
            first, most = BACK_OFF_S
            link.back_off_s = min(max(first, 2 * link.back_off_s), most)
            link.refuse_until_s = self._context.now_s + link.back_off_s
            text = f"{link.wrong_tags} relays of {neighbour.name} with a wrong tag: none is taken for a while"
            self._context.raise_alarm(AlarmCode.TAG_WRONG, relay.link, text)

    def _hold(
        self, exchange: int, start: Neighbour, block: BlockState, relay: Relay, keys: KeyMaterial
    ) -> tuple[list[Write], Callable[[], None]]:
        """Hold the keys of a relay that ends here; return what is to be durable, and what is to be done then."""
        context = self._context
        ready, insecure = start.settings.confirm_key is None, relay.insecure or block.insecure
        row = Batch(
            *(relay.relay, start.name, False, relay.count, relay.route, ready),
            born_s=context.now_s,
            insecure=insecure,
            emulated=relay.emulated or block.emulated,
        )
        held = self._stocks.of(start.name).held
        held.add(StockBatch(row, keys))

        def durable() -> None:
            if relay.relay in held:
                context.answer(exchange, Relayed(relay=relay.relay))
            else:
                context.refuse(exchange, "relay")

        return [PutBatch(row, keys), self._stocks.count(start, {"held": relay.count})], durable


def _gap_of(block: BlockState, relay: Relay) -> Gap | None:
    """Return what was passed over and holds the whole pad of a relay."""
    end = relay.offset + relay.length
    return next((gap for gap in block.gaps if gap.begin <= relay.offset and end <= gap.end), None)


def _copied(pad: KeyMaterial | None, block: BlockState, relay: Relay) -> KeyMaterial:
    """Return the pad of a relay, which is wiped when it was used: as it was loaded, or out of a gap."""
    if pad is not None:
        return KeyMaterial(pad.reveal(), insecure=block.insecure)
    gap = _gap_of(block, relay)
    assert gap is not None, "it was looked for before it was used"
    begin = relay.offset - gap.begin
    with gap.key.reveal() as view:
        return KeyMaterial(view[begin : begin + relay.length], insecure=block.insecure)
