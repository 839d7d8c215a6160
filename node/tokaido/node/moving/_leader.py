"""The end of a move that leads: the transmitter's. Without any I/O, one action at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from tokaido.node.moving._actions import Act, Action, Ask, Deed, Done, Failed, Outcome, Wait, Write
from tokaido.node.moving._messages import Half, MoveAnswer, MoveOrder, Order
from tokaido.node.moving._records import Stage

if TYPE_CHECKING:
    from tokaido.node.moving._records import MoveRecord

FENCED: Final = frozenset({Stage.BEGUN, Stage.SWITCHING, Stage.RETURNING})
"""Stages in which devices of this site are ordered what only one program may order."""
AWAY: Final = frozenset({Half.BACK, Half.CANCELLED})
"""Halves of a follower that is back."""


class Leader:
    """Leads one move, from the record that was made when it was begun, or that an earlier life left.

    `next` says what is to be done now, and `took` what came of that. Nothing else changes it.

    Args:
        record: The move, as it is noted.
        fenced: Whether this life holds the lease whose token is in the record.
    """

    def __init__(self, record: MoveRecord, *, fenced: bool) -> None:
        self.record = record
        self.trouble = ""
        """What it waits for; empty if nothing is in the way."""
        self._token = record.token
        self._fenced = fenced
        self._goes: tuple[Stage, str] | None = None
        self._near = self._far = Half.BEGUN
        self._tried: frozenset[str] = frozenset()  # of `near` and `far`, since it waited last
        self._waits = False

    @property
    def holds(self) -> bool:
        """Whether the unit of this end gets orders from this move alone."""
        return not self.record.ended and not self._released

    @property
    def _released(self) -> bool:
        return self.record.stage is Stage.CANCELLING and self._near is Half.FREE

    def next(self) -> Action | None:
        """Return what is to be done now; None: the move is over."""
        record = self.record
        if record.ended:
            return None
        if self._goes is not None:
            stage, why = self._goes
            return Write(msgspec.structs.replace(record, stage=stage, why=record.why or why))
        if self._waits:
            return Wait()
        if self._token != record.token:
            return Write(msgspec.structs.replace(record, token=self._token))
        if record.stage in FENCED and not self._fenced:
            return self._act(Deed.LEASE)
        match record.stage:
            case Stage.BEGUN:
                if self._far is not Half.DARK:
                    return self._ask(Order.PREPARE)
                if self._near is not Half.DARK:
                    return self._act(Deed.DARKEN)
                return Write(msgspec.structs.replace(record, stage=Stage.SWITCHING))
            case Stage.SWITCHING:
                if self._near not in {Half.DARK, Half.MOVED}:
                    return self._act(Deed.DARKEN)
                if self._far is not Half.MOVED:
                    return self._ask(Order.SWITCH)
                if self._near is not Half.MOVED:
                    return self._act(Deed.SWITCH)
                return Write(msgspec.structs.replace(record, stage=Stage.FINISHING))
            case Stage.FINISHING:
                return self._ask(Order.FINISH)
            case Stage.RETURNING:
                return self._return()
            case _:
                return self._act(Deed.RESTORE) if self._near is not Half.FREE else self._ask(Order.CANCEL)

    def took(self, outcome: Outcome) -> None:
        """Take in what came of the action that `next` returned."""
        match self.next(), outcome:
            case Write(record=record), Done():
                self.record = record
                self._goes = None
            case Wait(), _:
                self._waits, self._tried, self._fenced = False, frozenset(), False
            case Act(deed=deed), _:
                self._acted(deed, outcome)
            case Ask(order=order), Done(value=answer):
                self._answered(order.order, answer)
            case Ask(order=order), Failed(why=why):
                self._unanswered(order.order, why)
            case _:  # a record that could not be written is written again
                pass

    # --- what is wanted -----------------------------------------------------------------------------------------------

    def _act(self, deed: Deed) -> Act:
        return Act(deed, self.record)

    def _ask(self, order: Order) -> Ask:
        record, before = self.record, self.record.before
        return Ask(
            MoveOrder(
                order=order,
                link=record.link,
                path=record.path,
                move=record.move,
                token=record.token,
                unit="" if before is None else before.unit,
                selected=("", "") if before is None else before.selected,
            )
        )

    def _return(self) -> Action:
        if self._near is not Half.BACK and "near" not in self._tried:
            return self._act(Deed.BACK)
        if self._far not in AWAY and "far" not in self._tried:
            return self._ask(Order.BACK)
        if self._near is Half.BACK and self._far in AWAY:
            return Write(msgspec.structs.replace(self.record, stage=Stage.CANCELLING))
        return Wait()

    # --- what came of it ----------------------------------------------------------------------------------------------

    def _acted(self, deed: Deed, outcome: Outcome) -> None:
        why = outcome.why if isinstance(outcome, Failed) else ""
        if isinstance(outcome, Done):
            self.trouble = ""
        match deed, outcome:
            case Deed.LEASE, Done(value=token):
                self._fenced, self._token = True, token
            case Deed.LEASE, _:
                self._wait(why)
            case Deed.DARKEN, Done():
                self._near = Half.DARK
            case Deed.SWITCH, Done():
                self._near = Half.MOVED
            case Deed.BACK, Done():
                self._near = Half.BACK
            case Deed.BACK, _:
                self.trouble = why
                self._tried |= {"near"}
            case Deed.RESTORE, _:  # if it failed, supervision sets the unit to what its switches join
                self._near = Half.FREE
            case _:
                self._fall_back(why)

    def _answered(self, order: Order, answer: MoveAnswer) -> None:
        half, self._far = answer.half, answer.half
        match order, half:
            case (Order.PREPARE, Half.DARK) | (Order.SWITCH, Half.MOVED) | (Order.BACK, Half.BACK | Half.CANCELLED):
                self.trouble = ""
            case Order.FINISH, Half.FINISHED:
                self._goes = Stage.FINISHED, ""
            case Order.FINISH, Half.BACK | Half.CANCELLED:
                self._goes = Stage.RETURNING, answer.why or "the other end went back by itself"
            case Order.CANCEL, Half.CANCELLED | Half.FREE:
                self._goes = Stage.CANCELLED, ""
            case _:
                self._unanswered(order, answer.why or f"the other end is {half.value}")

    def _unanswered(self, order: Order, why: str) -> None:
        match order:
            case Order.PREPARE | Order.SWITCH:
                self._fall_back(why)
            case Order.BACK:
                self.trouble = why
                self._tried |= {"far"}
            case _:
                self._wait(why)

    def _fall_back(self, why: str) -> None:
        """Go back: all the way at once as long as no switch was ordered to move."""
        self._goes = (Stage.CANCELLING if self.record.stage is Stage.BEGUN else Stage.RETURNING), why

    def _wait(self, why: str) -> None:
        self.trouble = why
        self._waits = True
