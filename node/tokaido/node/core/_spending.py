"""What LEASE and RELAY share at the start of a route and in its middle: parts of leases, how long an answer takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tokaido.node.core._alarm_codes import AlarmCode
from tokaido.node.core._pads import pad_length
from tokaido.node.core._state import LEAST, BlockState, Lease, LinkState, Neighbour
from tokaido.node.messages import CELL, TAG_KEY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokaido.hal import KeyMaterial
    from tokaido.node.core._blocks import Blocks
    from tokaido.node.core._context import Context
    from tokaido.node.core._writes import Write

BAD_TAGS: Final = 4
"""After so many tags of one block that the neighbour found wrong, the block is not the same at both ends."""
HOP_S: Final = 0.25
"""How much longer an answer may take for each hop after the next one."""


def answer_within_s(answer_s: float, route: Sequence[str], hop: int) -> float:
    """Return how long the node that a hop leads to may take to answer LEASE or RELAY."""
    return answer_s + HOP_S * (len(route) - 2 - hop)


class Spending:
    """Sets parts of leases aside for relays, and takes them."""

    def __init__(self, context: Context, blocks: Blocks) -> None:
        self._context = context
        self._blocks = blocks

    def reserve(self, lease: Lease, length: int) -> None:
        """Set bytes of a lease aside."""
        lease.reserved += length
        lease.block.leases += 1

    def release(self, lease: Lease, length: int) -> None:
        """Give back what was set aside and not taken."""
        lease.reserved -= length
        lease.block.leases -= 1
        self._blocks.half_used(lease.block)

    def take(self, link: LinkState, lease: Lease, count: int) -> tuple[int, KeyMaterial, list[Write]]:
        """Take what was set aside for a relay: where it begins, the pad, and what counts it.

        The block counts as in use until `done`.
        """
        length = pad_length(count)
        lease.reserved -= length
        begin, pad = lease.take(length)
        spent = {"leased": -8 * length, "spent_pad": 8 * CELL * count, "spent_tag": 8 * TAG_KEY}
        return begin, pad, [self._blocks.count(lease.block.name[0], spent), *self._rest(link, lease)]

    def done(self, block: BlockState) -> None:
        """Note that the relay is through."""
        block.leases -= 1
        self._blocks.half_used(block)

    def refused(self, neighbour: Neighbour, link: LinkState, block: BlockState, why: str) -> None:
        """See what the refusal of a neighbour says of the block that a relay was sealed with."""
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

    def _rest(self, link: LinkState, lease: Lease) -> list[Write]:
        """Discard what is left of a lease if it is too short for anything."""
        if not lease.alive or len(lease) >= LEAST:  # whatever is set aside is longer
            return []
        tail = 8 * len(lease)
        link.leases.remove(lease)
        lease.alive = False
        lease.key.wipe()
        lease.block.leases -= 1
        return [self._blocks.count(lease.block.name[0], {"leased": -tail, "discarded:tail": tail})]
