"""The end of a move that follows: the receiver's. Without any I/O, one action at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from tokaido.node.moving._actions import Act, Action, Deed, Done, Failed, Outcome, Reply, Write
from tokaido.node.moving._messages import Half, MoveAnswer, MoveOrder, Order
from tokaido.node.moving._records import MoveRecord, Stage

if TYPE_CHECKING:
    from tokaido.node.moving._records import Before

_HALVES: Final = {
    Stage.SWITCHING: Half.SWITCHING,
    Stage.MOVED: Half.MOVED,
    Stage.RETURNING: Half.RETURNING,
    Stage.BACK: Half.BACK,
    Stage.FINISHED: Half.FINISHED,
    Stage.CANCELLED: Half.CANCELLED,
}


class Follower:
    """Follows the moves of one link. It hears one order at a time: the next one when it has replied.

    Args:
        record: The last move of the link, as it is noted; None: there was none.
        by: Who is noted as the one who ordered moves: the neighbour.
    """

    def __init__(self, record: MoveRecord | None, *, by: str = "") -> None:
        self.record = record
        self.trouble = ""
        """What it waits for; empty if nothing is in the way."""
        self._by = by
        self._asked: MoveOrder | None = None
        self._alone = False
        self._near = Half.BEGUN if self.open else Half.FREE
        self._before: Before | None = None
        self._failed = ""  # why the order that was heard cannot be carried out

    @property
    def open(self) -> bool:
        """Whether a move is noted that is not over."""
        return self.record is not None and not self.record.ended

    @property
    def half(self) -> Half:
        """How this half stands."""
        if self.record is None:
            return Half.FREE
        return _HALVES.get(self.record.stage, Half.DARK if self._near is Half.DARK else Half.BEGUN)

    @property
    def holds(self) -> bool:
        """Whether the unit of this end gets orders from a move alone."""
        prepares = self._asked is not None and self._asked.order is Order.PREPARE
        return self.open or self._near is not Half.FREE or prepares

    def hear(self, order: MoveOrder) -> None:
        """Hear an order of the leader."""
        self._asked, self._before, self._failed, self._alone = order, None, "", False

    @property
    def asked(self) -> MoveOrder | None:
        """The order that was heard and is not answered yet."""
        return self._asked

    def drop(self) -> None:
        """Have the order that was heard answered by nobody: it cannot be noted now."""
        self._asked = None

    def go_back(self) -> None:
        """Go back by itself: nothing was heard of the leader for too long."""
        self._alone, self._failed = self.open and self._asked is None, ""

    def next(self) -> Action | None:
        """Return what is to be done now; None: nothing until an order is heard."""
        record, order = self.record, self._asked
        if order is None:
            return self._give_back() or (self._return() if self._alone else None)
        if record is not None and order.token < record.token:
            return self._refusal(f"fencing token {order.token} is below {record.token}")
        if record is None or record.move != order.move:
            return self._meet(order, record)
        if order.token > record.token:
            return self._write(record.stage, token=order.token)
        if (action := self._give_back()) is not None:
            return action
        return self._reply(self._failed) if self._failed else self._carry_out(order, record)

    def took(self, outcome: Outcome) -> None:
        """Take in what came of the action that `next` returned."""
        match self.next(), outcome:
            case Write(record=record), Done():
                if record.stage is Stage.BEGUN and self._near is Half.FREE:
                    self._near = Half.BEGUN
                self.record = record
            case Act(deed=Deed.CHECK), Done(value=before):
                self._before = before
            case Act(deed=deed), Done():
                self._near = _AFTER[deed]
                self.trouble = ""
            case Act(deed=Deed.FINISH | Deed.RESTORE), Failed():  # supervision sets the unit to what its switches join
                self._near = Half.FREE
            case Act(), Failed(why=why):
                self._failed = self.trouble = why
                if self._near is not Half.FREE:
                    self._near = Half.BEGUN
                self._alone = False
            case Reply(), _:
                self._asked = None
            case _:  # a record that could not be written is written again
                pass

    # --- an order of another move than the one that is noted ----------------------------------------------------------

    def _meet(self, order: MoveOrder, record: MoveRecord | None) -> Action:
        if record is not None and not record.ended:
            return self._refusal(f"another move, to {record.path}, is not over here")
        if order.order in {Order.SWITCH, Order.FINISH}:
            return self._refusal("this move was not prepared here")
        new = MoveRecord(
            link=order.link,
            move=order.move,
            token=order.token,
            path=order.path,
            leads=False,
            stage=Stage.CANCELLED,
            peer=order.unit,
            why=self._failed,
            by=self._by,
        )
        if order.order is not Order.PREPARE or self._failed:
            return Write(new)  # so that a `prepare` that comes late is not acted upon
        if self._before is None:
            return Act(Deed.CHECK)
        return Write(msgspec.structs.replace(new, stage=Stage.BEGUN, before=self._before))

    # --- an order of the move that is noted ---------------------------------------------------------------------------

    def _carry_out(self, order: MoveOrder, record: MoveRecord) -> Action:
        stage = record.stage
        if record.ended:
            return self._reply(record.why)
        match order.order:
            case Order.CANCEL if stage in {Stage.BEGUN, Stage.BACK}:
                return self._write(Stage.CANCELLED)
            case Order.PREPARE if stage is Stage.BEGUN and self._near is not Half.DARK:
                return self._act(Deed.DARKEN)
            case Order.SWITCH if stage is Stage.BEGUN:
                return self._write(Stage.SWITCHING)
            case Order.SWITCH if stage is Stage.SWITCHING:
                return self._act(Deed.SWITCH) if self._near is not Half.MOVED else self._write(Stage.MOVED)
            case Order.FINISH if stage is Stage.MOVED:
                return self._write(Stage.FINISHED)
            case Order.PREPARE | Order.SWITCH | Order.FINISH if stage not in _ON_THE_WAY_BACK:
                return self._reply()
            case _:
                return self._return() or self._reply()

    def _return(self) -> Action | None:
        """Return what leads back next; None: the half is back."""
        record = self.record
        if record is None or record.ended or record.stage is Stage.BACK:
            return None
        if record.stage is not Stage.RETURNING:
            return self._write(Stage.RETURNING)
        return self._act(Deed.BACK) if self._near is not Half.BACK else self._write(Stage.BACK)

    def _give_back(self) -> Action | None:
        """Return what gives the unit back once the move is over."""
        if self.record is None or not self.record.ended or self._near is Half.FREE:
            return None
        return self._act(Deed.FINISH if self.record.stage is Stage.FINISHED else Deed.RESTORE)

    # --- how it is said -----------------------------------------------------------------------------------------------

    def _reply(self, why: str = "") -> Reply:
        return Reply(MoveAnswer(half=self.half, why=why))

    @staticmethod
    def _refusal(why: str) -> Reply:
        return Reply(MoveAnswer(half=Half.FREE, why=why))

    def _act(self, deed: Deed) -> Act:
        return Act(deed, self.record)

    def _write(self, stage: Stage, *, token: int | None = None) -> Write:
        assert self.record is not None
        token = self.record.token if token is None else token
        return Write(msgspec.structs.replace(self.record, stage=stage, token=token))


_ON_THE_WAY_BACK: Final = frozenset({Stage.RETURNING, Stage.BACK})
_AFTER: Final = {
    Deed.DARKEN: Half.DARK,
    Deed.SWITCH: Half.MOVED,
    Deed.BACK: Half.BACK,
    Deed.FINISH: Half.FREE,
    Deed.RESTORE: Half.FREE,
}
