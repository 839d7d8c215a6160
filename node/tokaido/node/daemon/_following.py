"""The moves of a link whose receiver is here: this end follows."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from tokaido.hal import RefusedError
from tokaido.node.daemon._link_moves import ENDING_S, RETRY_S, LinkMoves, set_within
from tokaido.node.moving import Deed, Done, Failed, Follower, MoveAnswer, MoveOrder, MoveRecord, Reply, Write
from tokaido.node.peers import BusyError

if TYPE_CHECKING:
    from tokaido.node.daemon._link_moves import MoveSurroundings
    from tokaido.node.moving import Site

PATIENCE_S: Final = 60.0
"""After so long without a word of the leader this end goes back by itself."""
KEEP_S: Final = 5.0
"""How often the lease of this end is renewed meanwhile."""


class Following(LinkMoves):
    """Follows the moves of one link.

    Args:
        site: This end of it.
        surroundings: The node.
        record: What is noted of its last move.
    """

    def __init__(self, site: Site, surroundings: MoveSurroundings, record: MoveRecord | None) -> None:
        super().__init__(site, surroundings)
        self._follower = Follower(record, by=self.neighbour)
        self._lock = asyncio.Lock()
        self._heard_s = 0.0
        self._hearing: set[asyncio.Task[MoveAnswer]] = set()
        self._silent = False

    @property
    def record(self) -> MoveRecord | None:
        """What is noted of the last move."""
        return self._follower.record

    @property
    def trouble(self) -> str:
        """What the move waits for."""
        if self._follower.trouble or not self._silent:
            return self._follower.trouble
        return f"{self.neighbour} says nothing; the half here is {self._follower.half.value}, and its unit dark"

    @property
    def _holds(self) -> bool:
        return self._follower.holds

    def _go_on(self) -> None:
        """Wait for the leader."""
        self._show()
        self._watch()

    async def begin(self, path: str, *, by: str) -> None:
        """Refuse: the other end leads."""
        raise RefusedError(
            f"the other end of link {self.link} leads its moves, since the transmitter is there; "
            f"nothing was moved to {path} for {by}",
            remedy=f"Order it at {self.neighbour}",
        )

    async def hear(self, order: MoveOrder) -> MoveAnswer:
        """Return the answer to an order of the leader, who may leave meanwhile."""
        task = asyncio.get_running_loop().create_task(self._follow(order))
        self._hearing.add(task)
        task.add_done_callback(self._hearing.discard)
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Begin nothing more; an order that a device carries out may end."""
        self._ending.set()
        if self._hearing:
            await asyncio.wait(self._hearing, timeout=ENDING_S)
        await super().close()

    async def _follow(self, order: MoveOrder) -> MoveAnswer:
        async with self._lock:
            was_open = self.open
            self._heard_s = asyncio.get_running_loop().time()
            self._silent = False
            self._follower.hear(order)
            self._show()
            try:
                answer = await self._answer()
            finally:
                self._follower.drop()
                if not self._follower.holds:
                    await self._in_thread(self._site.release)
                self._show()
            record = self._follower.record
            if was_open and record is not None and record.ended:
                self._node.over(record, self._text())
            self._watch()
            return answer

    async def _answer(self) -> MoveAnswer:
        while not self._ending.is_set() and (action := self._follower.next()) is not None:
            if isinstance(action, Reply):
                self._follower.took(Done())
                return action.answer
            outcome = await self._carry_out(action)
            if isinstance(action, Write) and isinstance(outcome, Failed):
                raise BusyError(outcome.why)
            self._follower.took(outcome)
            self._show()
        raise BusyError("the node is ending")

    def _do(self, deed: Deed, record: MoveRecord | None) -> Any:
        if deed is not Deed.CHECK:
            return super()._do(deed, record)
        assert self._follower.asked is not None
        return self._site.look_for(self._follower.asked)

    def _watch(self) -> None:
        if self.open and (self._task is None or self._task.done()):
            self._task = asyncio.get_running_loop().create_task(self._wait_for_leader())

    async def _wait_for_leader(self) -> None:
        """Keep the lease as long as the move is open, and go back when nothing is heard for too long."""
        loop = asyncio.get_running_loop()
        self._heard_s = loop.time()
        while not await set_within(self._ending, RETRY_S if self._silent else KEEP_S):
            async with self._lock:
                if not self.open:
                    return
                await self._in_thread(self._site.keep)
                if loop.time() - self._heard_s >= PATIENCE_S:
                    await self._go_back()

    async def _go_back(self) -> None:
        self._silent = True
        self._follower.go_back()
        while not self._ending.is_set() and (action := self._follower.next()) is not None:
            outcome = await self._carry_out(action)
            self._follower.took(outcome)
            if isinstance(outcome, Failed):
                break
        self._show()

    def _take(self, record: MoveRecord) -> None:
        self._follower = Follower(record, by=self.neighbour)
        self._silent = False
