"""RELAY and CONFIRM: keys of a pair under pads of the link, and the proof that both ends hold the same (TNP1, 5, 6)."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final

from tokaido.hal import KeyMaterial
from tokaido.node.core._alarm_codes import AlarmCode
from tokaido.node.core._pads import pad_length, seal
from tokaido.node.core._shelf import StockBatch
from tokaido.node.core._state import LEAST, Lease, LinkState, Neighbour
from tokaido.node.core._writes import Batch, PutBatch, SetBatch, Write
from tokaido.node.messages import (
    CELL,
    MAX_BATCH,
    TAG_KEY,
    Confirm,
    Message,
    Refused,
    Relay,
    Relayed,
    confirm_transcript,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokaido.node.core._blocks import Blocks
    from tokaido.node.core._context import Context
    from tokaido.node.core._stocks import Stocks

AGAIN_S: Final = 1.0
"""Pause after a neighbour took no relay."""
UNCONFIRMED_S: Final = 60.0
"""Pause after keys were not the same at both ends: they cost link key."""
BAD_TAGS: Final = 4
"""After so many tags of one block that the neighbour found wrong, the block is not the same at both ends."""


def confirm_mac(key: KeyMaterial, end: str, relay: bytes, route: Sequence[str], keys: KeyMaterial) -> bytes:
    """Return what one end of a route proves with which keys it holds."""
    with key.reveal() as secret, keys.reveal() as joined:
        return hmac.digest(bytes(secret), confirm_transcript(end, relay, route, bytes(joined)), "sha256")


class Relays:
    """Starts relays, so that every pair has keys in stock."""

    def __init__(self, context: Context, blocks: Blocks, stocks: Stocks) -> None:
        self._context = context
        self._blocks = blocks
        self._stocks = stocks

    def wanted(self, neighbour: Neighbour) -> int:
        """Return how many bytes of leases are to be at hand."""
        settings = neighbour.settings
        missing = self._missing(neighbour)
        return min(settings.in_flight * pad_length(settings.batch), 2 * pad_length(missing)) if missing else 0

    def pump(self, neighbour: Neighbour) -> None:
        """Start relays while the stock lacks keys and leases are at hand."""
        stock = self._stocks.of(neighbour.name)
        while (
            neighbour.up
            and not self._context.draining
            and self._context.now_s >= neighbour.relay_at_s
            and stock.on_the_way < neighbour.settings.in_flight
            and (missing := self._missing(neighbour))
        ):
            found = next(((link, link.leases[0]) for link in neighbour.links.values() if link.leases), None)
            if found is None:
                return
            self._begin(neighbour, *found, missing)

    def _missing(self, neighbour: Neighbour) -> int:
        """Return how many keys the stock lacks, 0 if too few for a relay."""
        settings, stock = neighbour.settings, self._stocks.of(neighbour.name)
        emulation = self._context.settings.emulation
        missing = settings.stock - stock.own.ready(insecure=emulation) - stock.own.coming()
        worth_it = min(settings.batch, max(settings.stock // 4, 1))
        return missing if missing >= worth_it else 0

    def _begin(self, neighbour: Neighbour, link: LinkState, lease: Lease, missing: int) -> None:
        """Take a pad, seal new keys, and send them once it is durable what was spent and what is on its way."""
        context, block = self._context, lease.block
        count = min(neighbour.settings.batch, MAX_BATCH, missing, (len(lease) - TAG_KEY) // CELL)
        relay, length = context.entropy(16), pad_length(count)
        begin, pad = lease.take(length)
        tail = 0
        block.leases += 1
        if len(lease) < LEAST:
            tail = len(lease)
            link.leases.remove(lease)
            lease.key.wipe()
            block.leases -= 1
        spent = {"spent_pad": 8 * CELL * count, "spent_tag": 8 * TAG_KEY, "discarded:tail": 8 * tail}
        writes: list[Write] = [self._blocks.count(block.name[0], {"leased": -8 * (length + tail), **spent})]
        keys = KeyMaterial(context.entropy(CELL * count), insecure=block.insecure)
        route = context.settings.node, neighbour.name

        def message(ciphertext: bytes, tag: bytes) -> Relay:
            return Relay(
                relay=relay,
                route=route,
                hop=0,
                link=block.name[0],
                session=block.name[1],
                number=block.name[2],
                offset=begin,
                length=length,
                count=count,
                ciphertext=ciphertext,
                tag=tag,
            )

        sealed = seal(pad, keys, message)
        row = Batch(relay, neighbour.name, True, count, 1, False, born_s=context.now_s, insecure=block.insecure)
        stock = self._stocks.of(neighbour.name)
        batch = StockBatch(row, keys)
        stock.own.add(batch)
        stock.on_the_way += 1
        writes += [PutBatch(row, keys), self._stocks.count(neighbour, {"born": count})]
        run = neighbour.run

        def ended(answer: Message | None) -> None:
            stock.on_the_way -= 1
            block.leases -= 1
            self._blocks.half_used(block)
            if relay not in stock.own:
                return
            if isinstance(answer, Relayed) and answer.relay == relay:
                self._confirm(neighbour, batch, route)
                return
            self._stocks.burn(neighbour, [batch], "refused" if isinstance(answer, Refused) else "lost")
            if isinstance(answer, Refused):
                self._refused(neighbour, link, lease, answer.why)

        def durable(_loaded: tuple[KeyMaterial, ...]) -> None:
            if relay in stock.own and neighbour.up and neighbour.run == run:
                context.send(neighbour, sealed, ended)
            else:
                ended(None)

        context.commit(writes, durable, concerns=neighbour)

    def _refused(self, neighbour: Neighbour, link: LinkState, lease: Lease, why: str) -> None:
        block = lease.block
        if why == "block":
            link.lose(block.name)
            self._context.commit(self._blocks.forfeit(link, block), concerns=neighbour)
            self._blocks.half_used(block)
        elif why == "tag":
            block.wrong_tags += 1
            if block.wrong_tags >= BAD_TAGS and block.alive:
                text = f"{neighbour.name} verifies no tag that was made with block {block.name[1]}/{block.name[2]}"
                self._context.raise_alarm(AlarmCode.KEYS_DIFFER, block.name[0], text)
                self._blocks.kill(block, "mismatch", tell=True)
        elif why != "range":
            neighbour.relay_at_s = self._context.now_s + AGAIN_S

    def _confirm(self, neighbour: Neighbour, batch: StockBatch, route: tuple[str, str]) -> None:
        """Have the other end prove that it holds the same keys, where the pair has a key for that."""
        key = neighbour.settings.confirm_key
        if key is None:
            self._ready(neighbour, batch)
            return
        stock = self._stocks.of(neighbour.name)
        with batch.joined() as keys:
            expected = confirm_mac(key, "end", batch.relay, route, keys)
            question = Confirm(relay=batch.relay, mac=confirm_mac(key, "start", batch.relay, route, keys))
        stock.on_the_way += 1

        def heard(answer: Message | None) -> None:
            stock.on_the_way -= 1
            if batch.relay not in stock.own:
                return
            if isinstance(answer, Confirm) and hmac.compare_digest(answer.mac, expected):
                self._ready(neighbour, batch)
                return
            self._stocks.burn(neighbour, [batch], "confirm" if answer is not None else "lost")
            neighbour.relay_at_s = self._context.now_s + AGAIN_S
            if isinstance(answer, Confirm) or (isinstance(answer, Refused) and answer.why == "tag"):
                text = f"{neighbour.name} does not hold the same keys, or not the same end-to-end key"
                self._context.raise_alarm(AlarmCode.CONFIRM_FAILED, neighbour.name, text)
                neighbour.relay_at_s = self._context.now_s + UNCONFIRMED_S

        self._context.send(neighbour, question, heard)

    def _ready(self, neighbour: Neighbour, batch: StockBatch) -> None:
        stock = self._stocks.of(neighbour.name)

        def durable(_loaded: tuple[KeyMaterial, ...]) -> None:
            if batch.relay in stock.own:
                stock.own.make_ready(batch)

        self._context.commit([SetBatch(batch.relay, ready=True)], durable, concerns=neighbour)
