"""The moves of a link whose transmitter is here: this end leads."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Final

from tokaido.hal import ProtocolError, RefusedError
from tokaido.node.daemon._link_moves import LOG, LONGEST, LinkMoves
from tokaido.node.moving import Ask, Done, Half, Leader, MoveAnswer, MoveOrder, MoveRecord, Stage, answer_of, encoded
from tokaido.node.peers import UnansweredError, UnheardError

if TYPE_CHECKING:
    from tokaido.node.daemon._link_moves import MoveSurroundings
    from tokaido.node.moving import Action, Site

ASK_S: Final = 20.0
"""How long the follower may take for one order."""


class Leading(LinkMoves):
    """Leads the moves of one link.

    Args:
        site: This end of it.
        surroundings: The node.
        record: What is noted of its last move.
    """

    def __init__(self, site: Site, surroundings: MoveSurroundings, record: MoveRecord | None) -> None:
        super().__init__(site, surroundings)
        self._leader = None if record is None else Leader(record, fenced=False)
        self._beginning = False
        self._starting: asyncio.Task[None] | None = None

    @property
    def record(self) -> MoveRecord | None:
        """What is noted of the last move."""
        return None if self._leader is None else self._leader.record

    @property
    def trouble(self) -> str:
        """What the move waits for."""
        return "" if self._leader is None else self._leader.trouble

    @property
    def _holds(self) -> bool:
        return self._leader is not None and self._leader.holds

    def _go_on(self) -> None:
        """Lead on."""
        assert self._leader is not None
        LOG.warning("link %s: goes on with the move to %s", self.link, self._leader.record.path)
        self._let_go(self._leader)

    async def begin(self, path: str, *, by: str) -> None:
        """Begin to move the link, if it can be moved; return when that is noted."""
        if self._beginning or self.open:
            raise RefusedError(
                f"link {self.link} is being moved", remedy="Wait for its end: `tokaido node status` tells how it goes"
            )
        self._site.check_entry(path)
        self._beginning = True
        # A person who leaves meanwhile must not leave a note of a move that nobody leads.
        self._starting = asyncio.get_running_loop().create_task(self._begin(path, by))
        await asyncio.shield(self._starting)

    async def _begin(self, path: str, by: str) -> None:
        try:
            self._hold(f"is to be moved to {path}")
            before = await self._in_thread(lambda: self._site.look(path))
            record = MoveRecord(
                link=self.link,
                move=os.urandom(16),
                token=await self._in_thread(self._site.lease),
                path=path,
                leads=True,
                stage=Stage.BEGUN,
                peer=self._site.entry.peer,
                before=before,
                by=by,
            )
            await self._node.note(record)
        except BaseException:
            await self._in_thread(self._site.release)
            self._hold("")
            raise
        finally:
            self._beginning = False
        leader = self._leader = Leader(record, fenced=True)
        self._let_go(leader)

    async def hear(self, order: MoveOrder) -> MoveAnswer:
        """Refuse: nobody leads this end."""
        return MoveAnswer(half=Half.FREE, why=f"link {order.link} has its transmitter here, so this end leads")

    def _let_go(self, leader: Leader) -> None:
        self._show()
        self._task = asyncio.get_running_loop().create_task(self._lead(leader))

    async def _lead(self, leader: Leader) -> None:
        while not self._ending.is_set() and (action := leader.next()) is not None:
            held = leader.holds
            leader.took(await self._carry_out(action))
            if held and not leader.holds:
                await self._in_thread(self._site.release)
            self._show()
        if leader.record.ended:
            self._node.over(leader.record, self._text())

    async def _done(self, action: Action) -> Done:
        return Done(await self._ask(action.order)) if isinstance(action, Ask) else await super()._done(action)

    async def _ask(self, order: MoveOrder) -> MoveAnswer:
        try:
            return answer_of(await self._node.ask_move(self.neighbour, encoded(order), ASK_S))
        except UnheardError as error:
            return MoveAnswer(half=Half.FREE, why=str(error)[:LONGEST])
        except ProtocolError as error:
            raise UnansweredError(f"{self.neighbour}: {error.what}") from None

    def _take(self, record: MoveRecord) -> None:
        self._leader = Leader(record, fenced=False)
