"""HAVE and DEAD: what a neighbour is told of blocks, relays and supplies (TNP1, section 3)."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from tokaido.node.messages import MAX_BLOCKS, Dead, DeadBlock, Have, HaveBlock, Message, Ok

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokaido.node.core._context import Context
    from tokaido.node.core._state import BlockState, LinkState, Neighbour
    from tokaido.node.core._writes import BlockName

MAX_IDS: Final = 8000
"""Most ids by which blocks are fetched in one HAVE: 40 bytes each at most are well below the longest body."""


class News:
    """Tells each neighbour what it is to know, one message at a time."""

    def __init__(
        self, context: Context, blocks: Mapping[BlockName, BlockState], dead_known: Callable[[Neighbour, Dead], None]
    ) -> None:
        self._context = context
        self._blocks = blocks
        self._dead_known = dead_known

    def pump(self, neighbour: Neighbour) -> None:
        """Tell the next part of what is not told yet."""
        if neighbour.telling or not neighbour.up:
            return
        if neighbour.dead_blocks or neighbour.dead_relays or neighbour.dead_supplies:
            self._tell_dead(neighbour)
            return
        for name, link in neighbour.links.items():
            if link.tell_all or link.news:
                self._tell_have(neighbour, name, link)
                return

    def tell_all(self, neighbour: Neighbour) -> None:
        """Tell all blocks of all links."""
        for link in neighbour.links.values():
            link.tell_all = True

    def _tell_dead(self, neighbour: Neighbour) -> None:
        blocks = tuple(DeadBlock(*name, why) for name, why in islice(neighbour.dead_blocks.items(), MAX_BLOCKS))
        relays = tuple(islice(neighbour.dead_relays, MAX_BLOCKS))
        supplies = tuple(islice(neighbour.dead_supplies, MAX_BLOCKS))
        dead = Dead(blocks=blocks, relays=relays, supplies=supplies)

        def heard(answer: Message | None) -> None:
            neighbour.telling = False
            if isinstance(answer, Ok):
                for block in blocks:
                    neighbour.dead_blocks.pop((block.link, block.session, block.number), None)
                for relay in relays:
                    neighbour.dead_relays.pop(relay, None)
                for supply in supplies:
                    neighbour.dead_supplies.pop(supply, None)
                self._dead_known(neighbour, dead)

        neighbour.telling = True
        self._context.send(neighbour, dead, heard)

    def _tell_have(self, neighbour: Neighbour, name: str, link: LinkState) -> None:
        whole = link.tell_all
        if whole:
            link.tell_all = False
            link.news = {block.name: None for block in self._blocks.values() if block.name[0] == name}
        blocks: list[HaveBlock] = []
        ids = 0
        while link.news and len(blocks) < MAX_BLOCKS and ids < MAX_IDS:
            block_name = next(iter(link.news))
            del link.news[block_name]
            block = self._blocks.get(block_name)
            if block is not None and block.durable and block.alive:
                blocks.append(HaveBlock(*block_name[1:], block.size, block.insecure, block.key_ids))
                ids += len(block.key_ids)

        def heard(answer: Message | None) -> None:
            neighbour.telling = False
            if not isinstance(answer, Ok):
                link.tell_all = True

        neighbour.telling = True
        have = Have(link=name, whole=whole, more=bool(link.news), blocks=tuple(blocks))
        self._context.send(neighbour, have, heard)
