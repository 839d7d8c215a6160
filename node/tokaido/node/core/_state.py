"""What a node's core remembers of neighbours, links, blocks and leases."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from tokaido.hal import KeyMaterial
from tokaido.node.messages import CELL, TAG_KEY

if TYPE_CHECKING:
    from tokaido.node.core._settings import LinkSettings, NeighbourSettings
    from tokaido.node.core._writes import Block, BlockName, NeighbourMarks
    from tokaido.node.messages import HaveBlock

LEAST: Final = TAG_KEY + CELL
"""Bytes of the shortest range that can be of use: a tag and one key."""
REMEMBERED: Final = 4096
"""Ids that are remembered as dead, so that a late message does not bring one back."""


class BlockState:
    """A block of key that this node holds. Offsets are in bytes from the beginning of a half."""

    def __init__(self, block: Block, *, durable: bool) -> None:
        self.name: Final = block.name
        self.size: Final = block.size
        self.key_ids: Final = block.key_ids
        self.insecure: Final = block.insecure
        self.emulated: Final = block.emulated
        self.own_half: Final = block.own_half
        halves = block.size // 2, block.size - block.size // 2
        self.own_size: Final = halves[block.own_half]
        """Bytes of the half that this node may spend."""
        self.other_size: Final = halves[1 - block.own_half]
        """Bytes of the half that the neighbour may spend."""
        self.durable = durable
        self.alive = True
        self.own = self.own_durable = block.own
        self.granted = block.granted
        self.passed = block.passed
        self.told = block.told
        self.told_in: bytes | None = None
        """In which run of the neighbour `told` was told; None: before this run of ours."""
        self.waiting: list[int] = []
        """Draws that wait for the block to be durable."""
        self.leases = 0
        """Leases and relays that still use the own half."""
        self.end_known = False
        """Whether the neighbour knows that the own half is used up."""
        self.wrong_tags = 0
        """How often the neighbour found a tag wrong that was made with this block."""
        self.gaps: list[Gap] = []
        """What was passed over in the other half a short time ago, and may come yet."""

    @property
    def stored(self) -> int:
        """Bytes that were neither leased nor passed."""
        return self.own_size - self.own + self.other_size - self.passed

    def wipe_gaps(self) -> None:
        """Destroy what was passed over."""
        while self.gaps:
            self.gaps.pop().key.wipe()


class Gap:
    """A range of the neighbour's half that was passed over, and may be used until it expires."""

    def __init__(self, begin: int, key: KeyMaterial, expires_s: float) -> None:
        self.begin: Final = begin
        self.key: Final = key
        self.expires_s: Final = expires_s

    @property
    def end(self) -> int:
        """Where it ends."""
        return self.begin + len(self.key)


class Lease:
    """A range of an own half that may be spent: from memory, once."""

    def __init__(self, block: BlockState, begin: int, key: KeyMaterial) -> None:
        self.block: Final = block
        self.begin = begin
        self.key = key
        self.reserved = 0
        """Bytes that are set aside for relays."""
        self.alive = True
        """Whether it was neither forfeited nor used up."""

    def __len__(self) -> int:
        return len(self.key)

    @property
    def free(self) -> int:
        """Bytes that are not set aside."""
        return len(self) - self.reserved

    def take(self, length: int) -> tuple[int, KeyMaterial]:
        """Return where the next `length` bytes begin, and the bytes."""
        begin = self.begin
        pad, self.key = self.key.split(length)
        self.begin += length
        return begin, pad


class LinkState:
    """A link to a neighbour, as this node sees it."""

    def __init__(self, settings: LinkSettings) -> None:
        self.settings = settings
        self.leases: list[Lease] = []
        self.asking = False
        """Whether a GRANT has no answer yet, or its range is not durable yet."""
        self.ask_at_s = 0.0
        self.had: dict[BlockName, HaveBlock] = {}
        """What the neighbour holds, as far as it said."""
        self.spendable: dict[BlockName, None] = {}
        """Of those the ones that are here, too, the oldest first; some may be used up by now."""
        self.had_n = -1
        """Number of the newest HAVE."""
        self.news: dict[BlockName, None] = {}
        """Blocks that the neighbour has not been told of."""
        self.tell_all = False
        self.tell_at_s = 0.0
        self.ending: dict[BlockName, None] = {}
        """Blocks whose own half is used up, and of which the neighbour does not know it."""
        self.wrong_tags = 0
        self.back_off_s = 0.0
        self.refuse_until_s = 0.0

    def free_lease(self, length: int) -> Lease | None:
        """Return the oldest lease that has so many free bytes."""
        return next((lease for lease in self.leases if lease.free >= length), None)

    def lose(self, name: BlockName) -> None:
        """Note that the neighbour does not hold a block."""
        self.had.pop(name, None)
        self.spendable.pop(name, None)

    def lose_all(self) -> None:
        """Note that it is unknown what the neighbour holds."""
        self.had.clear()
        self.spendable.clear()


class Neighbour:
    """A node that keys are shared with, as far as it was heard. One without links is reached over others."""

    def __init__(self, settings: NeighbourSettings, marks: NeighbourMarks, now_s: float) -> None:
        self.name: Final = settings.name
        self.settings = settings
        self.links = {link.name: LinkState(link) for link in settings.links}
        self.run = b""
        """The neighbour's run; empty: unknown."""
        self.believed = False
        """Whether this run has answered HELLO, so that it is known whether its store went back."""
        self.up = False
        """Whether it is believed and answered what it was asked last."""
        self.went_back = b""
        """Run whose store is known to have gone back."""
        self.confessed = b""
        """Run that said so itself."""
        self.to_confess = False
        """Whether our own store went back, and the neighbour may not know."""
        self.greeted = False
        """Whether the neighbour has answered a HELLO of this run of ours."""
        self.start_mark: Final = marks.mark
        self.mark = self.mark_durable = marks.mark
        self.said = marks.mark
        """The highest mark that the neighbour can have been told if our store did not go back."""
        self.heard_mark = 0
        """The highest mark of this run that the neighbour has answered."""
        self.told = self.told_before = marks.told
        """The highest mark that the neighbour told, and what it had told before its present run was heard."""
        self.epoch = 0
        """How often all pair keys were burned: what began in an earlier epoch comes to nothing."""
        self.heard_s = now_s
        self.hello_at_s = now_s
        self.hello_open = False
        self.hello_pause_s = 0.0
        self.dead_at_s = 0.0
        self.telling = False
        """Whether a HAVE or DEAD has no answer yet."""
        self.dead_blocks: dict[BlockName, str] = {}
        """Blocks that the neighbour is to be told of as dead, and why they are."""
        self.dead_relays: dict[bytes, bool] = {}
        self.dead_supplies: dict[bytes, bool] = {}
        """So are these; whether a row is kept in the store until the neighbour knows."""
        self.gone: OrderedDict[bytes, None] = OrderedDict()
        """Relays and supplies that the neighbour told of as dead, the newest last."""
        self.two_routes_until_s = 0.0
        """Until when its stock is kept over two routes because an application asked for such keys."""
        self.low_since_s: float | None = None
        """Since when few keys are ready."""

    def remember_gone(self, identifier: bytes) -> None:
        """Remember that a relay or supply is dead."""
        self.gone[identifier] = None
        self.gone.move_to_end(identifier)
        if len(self.gone) > REMEMBERED:
            self.gone.popitem(last=False)
