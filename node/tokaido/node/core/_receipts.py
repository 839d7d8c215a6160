"""RELAY and CONFIRM at the end of a route: keys that this node holds for their owner (TNP1, sections 5 and 6)."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final

from tokaido.node.core._alarm_codes import AlarmCode
from tokaido.node.core._pads import pad_length, unseal
from tokaido.node.core._relays import confirm_mac
from tokaido.node.core._shelf import StockBatch
from tokaido.node.core._writes import Batch, PutBatch, Range, SetBatch, SetMarks, Write
from tokaido.node.messages import CELL, TAG_KEY, Confirm, Relay, Relayed

if TYPE_CHECKING:
    from tokaido.hal import KeyMaterial
    from tokaido.node.core._blocks import Blocks
    from tokaido.node.core._context import Context
    from tokaido.node.core._state import BlockState, LinkState, Neighbour
    from tokaido.node.core._stocks import Stocks

WRONG_TAGS: Final = 16
"""After so many wrong tags of a link a neighbour has to wait."""
BACK_OFF_S: Final = 1.0, 600.0
"""How long at first, and at most."""
MAX_HELD: Final = 1 << 17
"""Most keys that are held for one neighbour."""


class Receipts:
    """Takes relays of neighbours."""

    def __init__(self, context: Context, blocks: Blocks, stocks: Stocks) -> None:
        self._context = context
        self._blocks = blocks
        self._stocks = stocks

    def relay(self, exchange: int, neighbour: Neighbour, relay: Relay) -> None:
        """Load the pad of a relay, verify its tag, hold its keys durably, and then say so."""
        context = self._context
        if relay.route != (neighbour.name, context.settings.node) or relay.hop != 0:
            context.refuse(exchange, "route", "routes over one hop are taken")
            return
        if context.draining:
            context.refuse(exchange, "draining")
            return
        link = neighbour.links.get(relay.link)
        block = self._blocks.find(relay.link, relay.session, relay.number)
        if link is None or block is None:
            context.refuse(exchange, "link" if link is None else "block")
            return
        why = self._refusal(neighbour, link, block, relay)
        if why:
            context.refuse(exchange, why)
            return

        def loaded(pads: tuple[KeyMaterial, ...]) -> None:
            changed = "" if block.alive else "block"
            changed = changed or self._refusal(neighbour, link, block, relay)
            if changed:
                pads[0].wipe()
                context.refuse(exchange, changed)
                return
            keys = unseal(pads[0], relay)
            if keys is None:
                self._wrong_tag(neighbour, link, relay)
                context.refuse(exchange, "tag")
            else:
                link.wrong_tags, link.back_off_s = 0, 0.0
                context.clear_alarm(AlarmCode.TAG_WRONG, relay.link)
                self._hold(exchange, neighbour, block, relay, keys)

        begin = relay.offset
        context.commit((), loaded, loads=(Range(block.name, 1 - block.own_half, begin, begin + relay.length),))

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
        route = neighbour.name, context.settings.node
        with batch.joined() as keys:
            expected = confirm_mac(key, "start", batch.relay, route, keys)
            answer = Confirm(relay=batch.relay, mac=confirm_mac(key, "end", batch.relay, route, keys))
        if not hmac.compare_digest(confirm.mac, expected):
            text = f"{neighbour.name} does not hold the same keys, or not the same end-to-end key"
            context.raise_alarm(AlarmCode.CONFIRM_FAILED, neighbour.name, text)
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

    def _refusal(self, neighbour: Neighbour, link: LinkState, block: BlockState, relay: Relay) -> str:
        """Return why a relay is not taken, nothing if it is."""
        stock = self._stocks.of(neighbour.name)
        if link.refuse_until_s > self._context.now_s:
            return "backoff"
        if relay.length != pad_length(relay.count) or len(relay.ciphertext) != CELL * relay.count:
            return "range"
        if not block.passed <= relay.offset <= relay.offset + relay.length <= block.granted:
            return "range"
        if relay.relay in stock.held or relay.relay in stock.own or relay.relay in neighbour.gone:
            return "relay"
        if stock.held.relayed + relay.count > MAX_HELD:
            return "full"
        return ""

    def _wrong_tag(self, neighbour: Neighbour, link: LinkState, relay: Relay) -> None:
        link.wrong_tags += 1
        if link.wrong_tags >= WRONG_TAGS:
            first, most = BACK_OFF_S
            link.back_off_s = min(max(first, 2 * link.back_off_s), most)
            link.refuse_until_s = self._context.now_s + link.back_off_s
            text = f"{link.wrong_tags} relays of {neighbour.name} with a wrong tag: none is taken for a while"
            self._context.raise_alarm(AlarmCode.TAG_WRONG, relay.link, text)

    def _hold(self, exchange: int, neighbour: Neighbour, block: BlockState, relay: Relay, keys: KeyMaterial) -> None:
        context = self._context
        gap = relay.offset - block.passed
        block.passed = relay.offset + relay.length
        confirms = neighbour.settings.confirm_key is not None
        hops = len(relay.route) - 1
        row = Batch(
            relay.relay,
            neighbour.name,
            False,
            relay.count,
            hops,
            not confirms,
            born_s=context.now_s,
            insecure=block.insecure,
        )
        held = self._stocks.of(neighbour.name).held
        held.add(StockBatch(row, keys))
        spent = {"spent_pad": 8 * CELL * relay.count, "spent_tag": 8 * TAG_KEY, "discarded:gap": 8 * gap}
        writes: list[Write] = [
            SetMarks(block.name, passed=block.passed),
            PutBatch(row, keys),
            self._blocks.count(relay.link, spent),
            self._stocks.count(neighbour, {"held": relay.count}),
        ]

        def durable(_loaded: tuple[KeyMaterial, ...]) -> None:
            if relay.relay in held:
                context.answer(exchange, Relayed(relay=relay.relay))
            else:
                context.refuse(exchange, "relay")
            self._blocks.half_used(block)

        context.commit(writes, durable, concerns=neighbour)
