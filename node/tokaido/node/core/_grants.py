"""GRANT: which range of an own half may be spent, witnessed by the neighbour (TNP1, section 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tokaido.node.core._state import LEAST, BlockState, Lease, LinkState, Neighbour
from tokaido.node.core._writes import Range, SetMarks, Write
from tokaido.node.messages import Grant, Granted, Message, Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokaido.hal import KeyMaterial
    from tokaido.node.core._blocks import Blocks
    from tokaido.node.core._context import Context

AGAIN_S: Final = 1.0
"""Pause after a refusal."""


def first_free(mark: int, granted: int) -> int:
    """Return where a range begins, at either end: what was used, or was ever allowed to be used, lies below."""
    return max(mark, granted)


class Grants:
    """Asks for leases of own halves, and witnesses those of the neighbours."""

    def __init__(self, context: Context, blocks: Blocks, went_back: Callable[[Neighbour, str, bool], None]) -> None:
        self._context = context
        self._blocks = blocks
        self._went_back = went_back

    # --- the owner --------------------------------------------------------------------------------------------------

    def pump(self, neighbour: Neighbour, wanted: int) -> None:
        """Ask for more where less than `wanted` bytes are at hand, and tell which halves are used up."""
        if not neighbour.up or self._context.draining:
            return
        for link in neighbour.links.values():
            if link.asking or self._context.now_s < link.ask_at_s:
                continue
            if link.ending:
                block = self._blocks.held[next(iter(link.ending))]
                self._ask(neighbour, link, block, 0)
            elif sum(lease.free for lease in link.leases) < wanted and (next_block := self._next(link)):
                self._ask(neighbour, link, next_block, self._context.settings.lease)

    def _next(self, link: LinkState) -> BlockState | None:
        """Return the oldest block that both ends hold and of which the own half is not used up."""
        while link.spendable:
            name = next(iter(link.spendable))
            block = self._blocks.find(*name)
            if block is not None and block.own < block.own_size:
                return block
            del link.spendable[name]
        return None

    def _ask(self, neighbour: Neighbour, link: LinkState, block: BlockState, wanted: int) -> None:
        link.asking = True
        question = Grant(
            link=block.name[0], session=block.name[1], number=block.name[2], mark=block.own_durable, wanted=wanted
        )

        def heard(answer: Message | None) -> None:
            link.asking = False
            if isinstance(answer, Refused):
                self._refused(neighbour, link, block, answer.why)
            elif isinstance(answer, Granted) and (answer.link, answer.session, answer.number) == block.name:
                if wanted and block.alive:
                    self._use(neighbour, link, block, answer)
                elif not wanted:
                    self._end_known(link, block)

        self._context.send(neighbour, question, heard)

    def _refused(self, neighbour: Neighbour, link: LinkState, block: BlockState, why: str) -> None:
        if why == "block":
            link.lose(block.name)
            if block.name in link.ending:
                self._end_known(link, block)
        elif why == "rollback":
            link.ask_at_s = self._context.now_s + AGAIN_S
            self._went_back(neighbour, f"{neighbour.name} saw a mark of block {block.name[1]} that fell", True)
        else:
            link.ask_at_s = self._context.now_s + AGAIN_S

    def _end_known(self, link: LinkState, block: BlockState) -> None:
        link.ending.pop(block.name, None)
        block.end_known = True
        self._blocks.half_used(block)

    def _use(self, neighbour: Neighbour, link: LinkState, block: BlockState, granted: Granted) -> None:
        """Make the own mark durable, and only then have the range."""
        begin = first_free(block.own, granted.begin)
        end = min(granted.end, block.own_size)
        if end <= begin:
            if granted.begin < block.own_size:
                link.ask_at_s = self._context.now_s + AGAIN_S
                return
            begin = end = block.own_size
        tail = block.own_size - end if block.own_size - end < LEAST else 0
        gap = begin - block.own
        if end - begin < LEAST:
            tail, end = tail + end - begin, begin
        link.asking = True
        block.leases += 1
        block.own = end + tail
        mark = block.own
        counted = {"leased": 8 * (end - begin), "discarded:gap": 8 * gap, "discarded:tail": 8 * tail}
        writes = [SetMarks(block.name, own=mark), self._blocks.count(block.name[0], counted)]

        def durable(loaded: tuple[KeyMaterial, ...]) -> None:
            link.asking = False
            block.own_durable = max(block.own_durable, mark)
            leases = [Lease(block, begin, key) for key in loaded]
            link.leases += leases
            block.leases += len(leases) - 1
            found = self._blocks.link_of(block.name[0])
            if not block.alive or found is None or found[1] is not link:
                self._context.commit(self._blocks.forfeit(link, block, "lease" if block.alive else "dead"))
            self._blocks.half_used(block)

        loads = (Range(block.name, block.own_half, begin, end),) if end > begin else ()
        self._context.commit(writes, durable, loads=loads, concerns=neighbour)

    # --- the witness ------------------------------------------------------------------------------------------------

    def asked(self, exchange: int, neighbour: Neighbour, run: bytes, question: Grant) -> None:
        """Raise the granted mark durably, and only then answer."""
        context = self._context
        block = self._blocks.find(question.link, question.session, question.number)
        if question.link not in neighbour.links:
            context.refuse(exchange, "link")
        elif block is None:
            context.refuse(exchange, "block")
        elif question.mark > block.other_size:
            context.refuse(exchange, "range", "the mark lies outside of the half")
        elif question.mark < block.told and run not in {block.told_in, neighbour.confessed}:
            if neighbour.went_back != run:
                self._went_back(neighbour, f"a mark of {neighbour.name} in block {block.name[1]} fell", False)
            context.refuse(exchange, "rollback")
        elif context.draining or (question.wanted and not context.relaying):  # it would be burned, relay by relay
            context.refuse(exchange, "draining")
        else:
            self._grant(exchange, neighbour, run, block, question)

    def _grant(self, exchange: int, neighbour: Neighbour, run: bytes, block: BlockState, question: Grant) -> None:
        begin = min(first_free(question.mark, block.granted), block.other_size)
        end = min(begin + question.wanted, block.other_size)
        block.granted = max(block.granted, end)
        if question.mark >= block.told:
            block.told, block.told_in = question.mark, run
        writes: list[Write] = []
        if question.wanted == 0 and question.mark > block.passed:
            rest = question.mark - block.passed
            reason = "tail" if rest < LEAST else "gap"
            writes.append(self._blocks.count(block.name[0], {f"discarded:{reason}": 8 * rest}))
            block.passed = question.mark
        marks = SetMarks(block.name, granted=block.granted, passed=block.passed, told=block.told)
        answer = Granted(link=block.name[0], session=block.name[1], number=block.name[2], begin=begin, end=end)

        def durable(_loaded: tuple[KeyMaterial, ...]) -> None:
            self._context.answer(exchange, answer)
            self._blocks.half_used(block)

        self._context.commit([marks, *writes], durable, concerns=neighbour)
