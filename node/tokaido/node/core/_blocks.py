"""Blocks of key: from the source into the store, what both ends hold, and how a block ends (TNP1, section 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokaido.node.core import _counters
from tokaido.node.core._actions import CommitDraw, Fetch, LeaveDraw
from tokaido.node.core._alarm_codes import AlarmCode
from tokaido.node.core._ranges import Ranges, added, within
from tokaido.node.core._state import LEAST, BlockState, LinkState, Neighbour
from tokaido.node.core._writes import Block, BlockName, DropBlock, PutBlock, SetMarks, Write
from tokaido.node.messages import Ok

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokaido.hal import KeyMaterial
    from tokaido.node.core._context import Context
    from tokaido.node.core._events import Drawn, NotFetched
    from tokaido.node.messages import DeadBlock, Have, HaveBlock


class Blocks:
    """All blocks that this node holds."""

    def __init__(
        self,
        context: Context,
        stored: tuple[Block, ...],
        ended: Mapping[tuple[str, str], Ranges],
    ) -> None:
        self.held = {block.name: BlockState(block, durable=True) for block in stored}
        self._context = context
        self._ended = dict(ended)
        self._fetching: set[BlockName] = set()

    def find(self, link: str, session: str, number: int) -> BlockState | None:
        """Return a block that is durable and not dead."""
        block = self.held.get((link, session, number))
        return block if block is not None and block.durable and block.alive else None

    def has_ended(self, name: BlockName) -> bool:
        """Whether a block was here and is not any more."""
        return within(self._ended.get(name[:2], ()), name[2])

    def link_of(self, name: str) -> tuple[Neighbour, LinkState] | None:
        """Return the neighbour and the state of a link."""
        for neighbour in self._context.neighbours.values():
            if name in neighbour.links:
                return neighbour, neighbour.links[name]
        return None

    def start(self) -> None:
        """Forfeit the leases of an earlier life, and see which blocks end."""
        for name, leased in self._context.counters.leased():
            self._context.commit([self.count(name, {"leased": -leased, "discarded:lease": leased})])
        for block in list(self.held.values()):
            self.half_used(block)

    def count(self, link: str, amounts: Mapping[str, int]) -> Write:
        """Count bits of a link."""
        return self._context.counters.add(_counters.link(link), amounts)

    def drawn(self, event: Drawn) -> None:
        """Take a block from its source, or leave it there."""
        context, info = self._context, event.info
        found = self.link_of(event.link)
        name = (event.link, info.session, info.number)
        if name in self._fetching:
            self._fetching.remove(name)
            context.clear_alarm(AlarmCode.FETCH_FAILED, event.link)
        insecure = info.insecure or event.key.insecure
        if found is None:
            self._leave(event, f"{event.link} is not a link of this node")
        elif insecure and not context.settings.emulation:
            context.raise_alarm(AlarmCode.KEY_INSECURE, event.link, "a source gives keys made with seeded secrets")
            self._leave(event, "keys made with seeded secrets are taken in emulation alone")
        elif name in self.held:
            event.key.wipe()
            block = self.held[name]
            if block.durable:
                context.actions.append(CommitDraw(event.draw))
            else:
                block.waiting.append(event.draw)
        elif self.has_ended(name):
            event.key.wipe()
            context.actions.append(CommitDraw(event.draw))
        elif context.draining:
            self._leave(event, "the node is ending")
        else:
            context.clear_alarm(AlarmCode.KEY_INSECURE, event.link)
            self._put(event, found[0], insecure=insecure)

    def not_fetched(self, event: NotFetched) -> None:
        """Tell the neighbour that a block never becomes common."""
        name = event.link, event.session, event.number
        self._fetching.discard(name)
        found = self.link_of(event.link)
        if found is not None:
            self._context.raise_alarm(AlarmCode.FETCH_FAILED, event.link, event.why)
            found[0].dead_blocks[name] = "not fetched"

    def have(self, exchange: int, neighbour: Neighbour, n: int, have: Have) -> None:
        """Hear what the neighbour holds."""
        link = neighbour.links.get(have.link)
        if link is None:
            self._context.refuse(exchange, "link", f"{have.link} is not a link between us")
            return
        if n > link.had_n:
            link.had_n = n
            if have.whole:
                link.lose_all()
            for block in have.blocks:
                self._hear_of(neighbour, link, (have.link, block.session, block.number), block)
        self._context.answer(exchange, Ok())

    def heard_dead(self, neighbour: Neighbour, blocks: tuple[DeadBlock, ...]) -> None:
        """Destroy blocks that the neighbour does not hold or want."""
        for dead in blocks:
            name = dead.link, dead.session, dead.number
            if dead.link in neighbour.links and name in self.held:
                self.kill(self.held[name], "dead", tell=False)

    def _check_common(self, block: BlockState) -> None:
        """Note that a block may be spent if the neighbour holds the same; one that is not the same is killed."""
        found = self.link_of(block.name[0])
        had = None if found is None else found[1].had.get(block.name)
        if found is None or had is None or not block.durable or not block.alive:
            return
        if (had.size, had.insecure) == (block.size, block.insecure):
            found[1].spendable[block.name] = None
            return
        text = f"block {block.name[1]}/{block.name[2]} has {block.size} bytes here and {had.size} at the other end"
        if had.size == block.size:
            text = f"block {block.name[1]}/{block.name[2]} was made with seeded secrets at one end alone"
        self._context.raise_alarm(AlarmCode.KEYS_DIFFER, block.name[0], text)
        self.kill(block, "mismatch", tell=True)

    def forfeit(self, link: LinkState, block: BlockState | None = None, reason: str = "lease") -> list[Write]:
        """Give up leases, of one block or of all; return what counts it."""
        writes: list[Write] = []
        for lease in [lease for lease in link.leases if block is None or lease.block is block]:
            link.leases.remove(lease)
            lease.block.leases -= 1
            bits = 8 * len(lease)
            writes.append(self.count(lease.block.name[0], {"leased": -bits, f"discarded:{reason}": bits}))
            lease.alive = False
            lease.key.wipe()
            if lease.block is not block:
                self.half_used(lease.block)
        return writes

    def kill(self, block: BlockState, reason: str, *, tell: bool) -> None:
        """Destroy a block before it is used up."""
        if not block.alive:
            return
        found = self.link_of(block.name[0])
        writes: list[Write] = [self.count(block.name[0], {f"discarded:{reason}": 8 * block.stored})]
        if found is not None:
            writes += self.forfeit(found[1], block, reason)
            found[1].lose(block.name)
            if tell:
                found[0].dead_blocks[block.name] = reason
        self._drop(block, writes, found[0] if found is not None else None)

    def half_used(self, block: BlockState) -> None:
        """Look whether the own half is used up, so that the neighbour is to know it, and whether both are."""
        if block.alive and block.durable and block.own >= block.own_size and not block.leases:
            found = self.link_of(block.name[0])
            if not block.end_known and found is not None:
                found[1].ending[block.name] = None
            elif block.end_known and block.passed >= block.other_size and not block.gaps:
                self._drop(block, [], found[0] if found is not None else None)

    def wipe(self) -> None:
        """Destroy all keys in memory."""
        for block in self.held.values():
            block.wipe_gaps()

    def _leave(self, event: Drawn, why: str) -> None:
        event.key.wipe()
        self._context.actions.append(LeaveDraw(event.draw, why))

    def _put(self, event: Drawn, neighbour: Neighbour, *, insecure: bool) -> None:
        context, info, key = self._context, event.info, event.key
        name = (event.link, info.session, info.number)
        half = 0 if context.settings.node < neighbour.name else 1
        stored = Block(
            *name,
            len(key),
            key_ids=event.info.key_ids,
            insecure=insecure,
            emulated=info.emulated,
            own_half=half,
        )
        block = self.held[name] = BlockState(stored, durable=False)
        block.waiting.append(event.draw)
        writes = [PutBlock(stored, key), self.count(event.link, {"drawn": 8 * block.size})]

        def durable(_loaded: tuple[KeyMaterial, ...]) -> None:
            block.durable = True
            context.actions.extend(CommitDraw(draw) for draw in block.waiting)
            block.waiting.clear()
            found = self.link_of(event.link)
            if found is not None and block.alive:
                found[1].news[name] = None
                if not self._too_short(block):
                    self._check_common(block)

        context.commit(writes, durable, concerns=neighbour)

    def _too_short(self, block: BlockState) -> bool:
        """Pass halves that are too short to be of use."""
        own, other = block.own_size < LEAST, block.other_size < LEAST
        if own or other:
            bits = 8 * ((block.own_size - block.own) * own + (block.other_size - block.passed) * other)
            if own:
                block.own = block.own_size
            if other:
                block.passed = block.other_size
            marks = SetMarks(block.name, own=block.own, passed=block.passed)

            def durable(_loaded: tuple[KeyMaterial, ...]) -> None:
                block.own_durable = max(block.own_durable, marks.own or 0)
                self.half_used(block)

            self._context.commit([marks, self.count(block.name[0], {"discarded:tail": bits})], durable)
        return own and other

    def _hear_of(self, neighbour: Neighbour, link: LinkState, name: BlockName, block: HaveBlock) -> None:
        if self.has_ended(name):
            neighbour.dead_blocks[name] = "used up"
            return
        link.had[name] = block
        if name in self.held:
            self._check_common(self.held[name])
        elif link.settings.fetches and block.key_ids and name not in self._fetching and not self._context.draining:
            self._fetching.add(name)
            self._context.actions.append(Fetch(*name, block.key_ids))

    def _drop(self, block: BlockState, writes: list[Write], neighbour: Neighbour | None) -> None:
        block.alive = False
        block.wipe_gaps()
        del self.held[block.name]
        session = block.name[:2]
        self._ended[session] = added(self._ended.get(session, ()), block.name[2])
        link = None if neighbour is None else neighbour.links.get(block.name[0])
        if link is not None:
            link.ending.pop(block.name, None)
            link.news.pop(block.name, None)
            link.lose(block.name)
        self._context.commit([*writes, DropBlock(block.name)], concerns=neighbour)
