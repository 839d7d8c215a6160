"""Two nodes that move a link, in a world of a few values: every order of what can happen to them can be tried.

A unit is bright or dark and set to a path, a switch joins a path. Messages are lost, late and doubled, deeds fail with
and without effect, nodes die and come back. What supervision does is the worst that it may: a unit that is not held
becomes bright at any moment.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import msgspec

from tokaido.node.moving import (
    Act,
    Ask,
    Before,
    Deed,
    Done,
    Failed,
    Follower,
    Leader,
    MoveOrder,
    MoveRecord,
    Reply,
    Stage,
    Wait,
    Write,
    answer_of,
    encoded,
    order_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokaido.node.moving import Outcome

FROM: Final = "A"
TO: Final = "B"
PARKED: Final = "parked"
BEFORE: Final = Before(unit="TX", selected=("RX", FROM), joined=())
FIRST: Final = MoveRecord(
    link="field", move=bytes(16), token=1, path=TO, leads=True, stage=Stage.BEGUN, peer="RX", before=BEFORE
)


@dataclass(frozen=True)
class End:
    """The devices of one site."""

    joins: str = FROM
    selected: str = FROM
    bright: bool = True


@dataclass(frozen=True)
class Faults:
    """How many of each may still happen."""

    leader_dies: int = 0
    follower_dies: int = 0
    losses: int = 0
    """Messages that are lost or late, or come twice."""
    failures: int = 0
    """Deeds that fail."""
    goes_back: int = 0
    """Times that the follower loses its patience."""

    def less(self, what: str) -> Faults | None:
        """Return what is left when one happened; None: it may not."""
        left = getattr(self, what)
        return replace(self, **{what: left - 1}) if left else None


@dataclass
class World:
    """All of it, at one moment."""

    near: End = field(default_factory=End)
    far: End = field(default_factory=End)
    near_note: MoveRecord = FIRST
    far_note: MoveRecord | None = None
    leader: Leader | None = field(default_factory=lambda: Leader(FIRST, fenced=True))
    follower: Follower | None = field(default_factory=lambda: Follower(None))
    tokens: int = 1
    """Highest fencing token at the leader's site."""
    sent: MoveOrder | None = None
    """The order on its way, for whose answer the leader waits."""
    heard: bool = False
    """Whether the follower has that order, and not another one."""
    late: frozenset[MoveOrder] = frozenset()
    """Orders that nobody waits for any more, and that may yet come."""
    faults: Faults = field(default_factory=Faults)
    told: str = ""
    """What happened last."""

    def key(self) -> object:
        """Return what two worlds have the same of if they are the same."""
        machines = tuple(
            None
            if one is None
            else tuple(sorted((name, value) for name, value in vars(one).items() if name != "trouble"))
            for one in (self.leader, self.follower)
        )
        rest = self.tokens, self.sent, self.heard, self.late, self.faults
        return self.near, self.far, self.near_note, self.far_note, machines, rest

    def copy(self, told: str) -> World:
        """Return a world of its own, to which something happens."""
        new = copy.copy(self)
        new.leader, new.follower = copy.copy(self.leader), copy.copy(self.follower)
        new.told = told
        return new

    # --- what can happen ----------------------------------------------------------------------------------------------

    def successors(self) -> Iterator[World]:
        """Return every world that can be next."""
        yield from self._of_leader()
        yield from self._of_follower()
        yield from self._of_messages()
        yield from self._of_fate()

    def _of_leader(self) -> Iterator[World]:
        action = None if self.leader is None else self.leader.next()
        match action:
            case Write(record=record):
                new = self.copy(f"leader notes {record.stage.value}")
                new.near_note = record
                yield new._lead(Done())
            case Act(deed=deed):
                new = self.copy(f"leader: {deed.value}")
                yield new._lead(new._do(deed, near=True))
                for effect in (False, True):
                    if (left := self.faults.less("failures")) is not None:
                        new = self.copy(f"leader fails: {deed.value}{', with effect' if effect else ''}")
                        new.faults = left
                        if effect:
                            new._do(deed, near=True)
                        yield new._lead(Failed("broken"))
            case Ask(order=order) if self.sent is None:
                new = self.copy(f"leader says {order.order.value}")
                new.sent = order
                yield new
            case Wait():
                yield self.copy("leader waits")._lead(Done())

    def _of_follower(self) -> Iterator[World]:
        action = None if self.follower is None else self.follower.next()
        match action:
            case Write(record=record):
                new = self.copy(f"follower notes {record.stage.value}")
                new.far_note = record
                yield new._follow(Done())
            case Act(deed=deed):
                new = self.copy(f"follower: {deed.value}")
                yield new._follow(new._do(deed, near=False))
                for effect in (False, True):
                    if (left := self.faults.less("failures")) is not None:
                        new = self.copy(f"follower fails: {deed.value}{', with effect' if effect else ''}")
                        new.faults = left
                        if effect:
                            new._do(deed, near=False)
                        yield new._follow(Failed("broken"))
            case Reply(answer=answer):
                new = self.copy(f"follower replies {answer.half.value}")
                new._follow(Done())
                if not self.heard:
                    yield new
                    return
                new.heard, new.sent = False, None
                lost = new.copy(f"{new.told}, which is lost")
                yield new._lead(Done(answer_of(encoded(answer))))
                if (left := self.faults.less("losses")) is not None:
                    lost.faults = left
                    yield lost._lead(Failed("no answer"))

    def _of_messages(self) -> Iterator[World]:
        idle = self.follower is not None and self.follower.asked is None
        if self.sent is not None and not self.heard:
            if idle:
                yield self._delivered(self.sent)
                if (left := self.faults.less("losses")) is not None:
                    twice = self._delivered(self.sent)
                    twice.late, twice.faults = self.late | {self.sent}, left
                    yield twice
            if self.follower is None:
                new = self.copy("nobody is there")
                new.sent = None
                yield new._lead(Failed("no answer"))
        if self.sent is not None and (left := self.faults.less("losses")) is not None:
            new = self.copy("the order is lost or late")
            new.sent, new.faults = None, left
            if not self.heard:
                new.late |= {self.sent}
            new.heard = False
            yield new._lead(Failed("no answer"))
        for order in self.late:
            if idle:
                new = self._delivered(order, late=True)
                new.late -= {order}
                yield new

    def _of_fate(self) -> Iterator[World]:
        for name, machine in (("near", self.leader), ("far", self.follower)):
            end = getattr(self, name)
            if machine is not None and not machine.holds and not end.bright:
                new = self.copy(f"supervision lets the {name} unit shine")
                setattr(new, name, replace(end, bright=True))
                yield new
        if self.leader is None:
            new = self.copy("the leader is back")
            new.leader = Leader(self.near_note, fenced=False)
            new.tokens += 1
            yield new
        elif (left := self.faults.less("leader_dies")) is not None:
            new = self.copy("the leader dies")
            new.leader, new.faults = None, left
            if new.sent is not None and not new.heard:
                new.late |= {new.sent}
            new.sent, new.heard = None, False
            yield new
        if self.follower is None:
            new = self.copy("the follower is back")
            new.follower = Follower(self.far_note)
            yield new
        elif (left := self.faults.less("follower_dies")) is not None:
            new = self.copy("the follower dies")
            new.follower, new.faults = None, left
            waits, new.sent, new.heard = new.heard, None if new.heard else new.sent, False
            yield new._lead(Failed("no answer")) if waits else new
        elif self.follower.asked is None and self.follower.open and (left := self.faults.less("goes_back")) is not None:
            new = self.copy("the follower loses its patience")
            new.faults = left
            assert new.follower is not None
            new.follower.go_back()
            yield new

    def calm(self) -> World | None:
        """Return what is next when nothing goes wrong any more; None: nothing happens any more."""
        faultless = self.copy(self.told)
        faultless.faults = Faults()
        fate, messages = list(faultless._of_fate()), list(faultless._of_messages())
        worlds = [
            *(new for new in fate if "is back" in new.told),
            *faultless._of_follower(),
            *(new for new in messages if "late" not in new.told),
            *faultless._of_leader(),
            *messages,
        ]
        return worlds[0] if worlds else None

    # ------------------------------------------------------------------------------------------------------------------

    def _delivered(self, order: MoveOrder, *, late: bool = False) -> World:
        new = self.copy(f"follower hears {order.order.value}{', late' if late else ''}")
        assert new.follower is not None
        new.follower.hear(order_of(encoded(order)))
        new.heard = not late
        return new

    def _lead(self, outcome: Outcome) -> World:
        if self.leader is not None:
            self.leader.took(outcome)
        return self

    def _follow(self, outcome: Outcome) -> World:
        if self.follower is not None:
            self.follower.took(outcome)
        return self

    def _do(self, deed: Deed, *, near: bool) -> Outcome:
        end = self.near if near else self.far
        match deed:
            case Deed.LEASE:
                return Done(self.tokens)
            case Deed.CHECK:
                return Done(msgspec.structs.replace(BEFORE, unit="RX", selected=("TX", self.far.selected)))
            case Deed.DARKEN if near:
                end = replace(end, bright=False, selected=TO)
            case Deed.DARKEN:
                end = replace(end, bright=False, selected=PARKED if end.selected == TO else end.selected)
            case Deed.SWITCH | Deed.BACK:
                to = TO if deed is Deed.SWITCH else FROM
                if end.joins != to:
                    selected = PARKED if deed is Deed.SWITCH and not near else end.selected
                    end = replace(end, bright=False, selected=selected)
                    self._set(end, near=near)
                    self._see_dark(deed, near=near)
                    end = replace(end, joins=to)
            case Deed.FINISH:
                end = replace(end, selected=TO)
            case Deed.RESTORE:
                end = replace(end, selected=FROM)
        self._set(end, near=near)
        return Done()

    def _set(self, end: End, *, near: bool) -> None:
        if near:
            self.near = end
        else:
            self.far = end

    def _see_dark(self, deed: Deed, *, near: bool) -> None:
        where = "leader's" if near else "follower's"
        if self.near.bright or self.far.bright:
            bright = "transmitter" if self.near.bright else "receiver"
            raise UnderLightError(f"{deed.value}: the {where} switch moves while the {bright} is bright")
        if self.near.selected == self.far.selected:
            raise UnderLightError(f"{deed.value}: the {where} switch moves while both units are set to one link")


class UnderLightError(AssertionError):
    """A switch moved while a unit was bright, or could become it."""
