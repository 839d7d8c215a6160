"""HAVE and DEAD: what a neighbour is told of blocks, relays and supplies (TNP1, section 3)."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from tokaido.node.core._writes import DropBatch, DropSupply
from tokaido.node.messages import MAX_BLOCKS, MAX_BODY, Dead, DeadBlock, Have, HaveBlock, Message, Ok

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokaido.node.core._context import Context
    from tokaido.node.core._state import BlockState, LinkState, Neighbour
    from tokaido.node.core._writes import BlockName, Write

AGAIN_S: Final = 1.0
"""Pause after a message that was not taken."""
MAX_IDS: Final = MAX_BODY // 4
"""Bytes of ids by which blocks are fetched, after which a HAVE is full."""


class News:
    """Tells each neighbour what it is to know, one message at a time."""

    def __init__(self, context: Context, blocks: Mapping[BlockName, BlockState]) -> None:
        self._context = context
        self._blocks = blocks

    def pump(self, neighbour: Neighbour) -> None:
        """Tell the next part of what is not told yet."""
        if neighbour.telling or not neighbour.up:
            return
        now_s = self._context.now_s
        dead = neighbour.dead_blocks or neighbour.dead_relays or neighbour.dead_supplies
        if dead and now_s >= neighbour.dead_at_s:
            self._tell_dead(neighbour)
            return
        for name, link in neighbour.links.items():
            if (link.tell_all or link.news) and now_s >= link.tell_at_s:
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
                drops: list[Write] = [DropBatch(relay) for relay in relays if neighbour.dead_relays.pop(relay, False)]
                drops += [DropSupply(key) for key in supplies if neighbour.dead_supplies.pop(key, False)]
                if drops:
                    self._context.commit(drops, concerns=neighbour)
            else:
                neighbour.dead_at_s = self._context.now_s + AGAIN_S

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
                ids += sum(len(key_id) + 4 for key_id in block.key_ids)

        def heard(answer: Message | None) -> None:
            neighbour.telling = False
            if not isinstance(answer, Ok):
                link.tell_all = True
                link.tell_at_s = self._context.now_s + AGAIN_S

        neighbour.telling = True
        have = Have(link=name, whole=whole, more=bool(link.news), blocks=tuple(blocks))
        self._context.send(neighbour, have, heard)
