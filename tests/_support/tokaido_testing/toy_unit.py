"""A unit as its supervisor sees it, in virtual time: it fails in every way, for as long as a cause lasts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tokaido.hal import RUNNING, Alarm, Severity, UnitState
from tokaido.node.supervision import (
    Align,
    BlockDrawn,
    ClearFault,
    Done,
    Draw,
    Failed,
    Outcome,
    PowerOn,
    Reopen,
    SelectLink,
    Start,
    Stop,
    UnitRead,
    Unreachable,
)

if TYPE_CHECKING:
    from random import Random

    from tokaido.node.supervision import Supervisor, SupervisorAction, SupervisorEvent, UnitOrder

CAUSES: Final = (
    "silent",
    "fault",
    "peer",
    "no_key",
    "mute",
    "grumpy",
    "lazy",
    "security",
    "stuck",
)
ALLOWED: Final = {
    PowerOn: {UnitState.OFF},
    Start: {UnitState.STANDBY},
    Align: {UnitState.STANDBY},
    Stop: {*RUNNING, UnitState.REALIGN},
    ClearFault: {UnitState.FAULT},
    SelectLink: {UnitState.OFF, UnitState.WARMUP, UnitState.AUTH, UnitState.STANDBY},
}
SET_UP: Final = {
    UnitState.SELFTEST: (2.0, UnitState.WARMUP),
    UnitState.WARMUP: (60.0, UnitState.AUTH),
    UnitState.AUTH: (3.0, UnitState.ALIGN),
    UnitState.ALIGN: (40.0, UnitState.STANDBY),
}


@dataclass
class ToyUnit:
    """One unit with its causes of failure, driven by hand: `turn` once a poll."""

    random: Random
    bits: int = 32512
    state: UnitState = UnitState.OFF
    selected: tuple[str, str] = ("", "")
    wanted: tuple[str, str] | None = ("PEER", "A")
    causes: set[str] = field(default_factory=set)
    preshared_key: bool = True
    orders: list[tuple[float, UnitOrder, int]] = field(default_factory=list)
    """Each order that reached the unit: when, which, and how much authentication key there was."""
    acknowledged: list[float] = field(default_factory=list)
    blocks: int = 0
    drawing: bool = False
    reachable_again: bool = True
    since_s: float = 0.0
    up_s: float = 0.0
    aligned: bool = False
    goal: UnitState = UnitState.STANDBY
    needs_alignment: bool = False
    block_s: float = 20.0
    last_block_s: float = 0.0

    def enter(self, state: UnitState, now_s: float) -> None:
        self.state, self.since_s = state, now_s
        if state in RUNNING:
            self.last_block_s = now_s

    def cut_power(self, now_s: float) -> None:
        self.enter(UnitState.OFF, now_s)
        self.up_s, self.aligned = now_s, False

    # --- the box ------------------------------------------------------------------------------------------------------

    def live(self, now_s: float) -> None:
        """Let it be `now_s`."""
        if "security" in self.causes and self.state in RUNNING:
            self.enter(UnitState.SECURITY_HOLD, now_s)
        if "fault" in self.causes and self.state not in {UnitState.OFF, UnitState.FAULT, UnitState.SECURITY_HOLD}:
            self.enter(UnitState.FAULT, now_s)
        if "stuck" in self.causes and self.state in RUNNING:
            self.goal = UnitState.RUN
            self.enter(UnitState.REALIGN, now_s)
        if "peer" in self.causes and self.state in RUNNING and now_s - self.since_s > 30:
            self.goal = UnitState.RUN
            self.enter(UnitState.REALIGN, now_s)
        if "no_key" in self.causes:
            self.needs_alignment = True
        if self.state in SET_UP:
            wait_s, after = SET_UP[self.state]
            held = self.state in {UnitState.AUTH, UnitState.ALIGN} and "peer" in self.causes
            if now_s - self.since_s >= wait_s and not held:
                if self.state is UnitState.AUTH:
                    self.spend(256)
                self.aligned |= self.state is UnitState.ALIGN
                self.enter(after, now_s)
        elif self.state is UnitState.REALIGN:
            if now_s - self.since_s >= 40 and not {"peer", "stuck"} & self.causes:
                self.aligned, self.needs_alignment = True, False
                self.enter(self.goal, now_s)
        elif self.state in RUNNING and now_s - self.last_block_s >= self.block_s:
            self.last_block_s = now_s
            if not self.needs_alignment and "peer" not in self.causes and self.drawing and "silent" not in self.causes:
                self.blocks += 1
                self.bits = min(self.bits + 512, 32512)

    def spend(self, bits: int) -> None:
        self.bits = max(self.bits - bits, 0)

    def alarms(self) -> tuple[Alarm, ...]:
        found = []
        if "peer" in self.causes and self.state not in {UnitState.OFF, UnitState.SELFTEST, UnitState.WARMUP}:
            found.append(Alarm("PEER_UNREACHABLE", Severity.MAJOR, False, 1.0))
        if self.state is UnitState.FAULT:
            found.append(Alarm("LASER_TEMP", Severity.MAJOR, True, 1.0))
        if self.state is UnitState.SECURITY_HOLD:
            found.append(Alarm("TAMPER", Severity.CRITICAL, True, 1.0))
        return tuple(found)

    def obey(self, order: UnitOrder, now_s: float) -> SupervisorEvent:
        """Carry out an order, or fail as the causes say; return what the thread of the device would tell."""
        if "silent" in self.causes:
            return Failed(order, Outcome.NOT_SENT, "no reply")
        self.orders.append((now_s, order, self.bits))
        if "grumpy" in self.causes:
            return Failed(order, Outcome.REFUSED, "it is grumpy")
        if self.state not in ALLOWED[type(order)]:
            return Failed(order, Outcome.STATE, f"{self.state}")
        if "mute" in self.causes and self.random.random() < 0.5:
            return Failed(order, Outcome.UNKNOWN, "no reply came")
        if "lazy" in self.causes:
            return Done(order)
        match order:
            case PowerOn():
                self.enter(UnitState.SELFTEST, now_s)
            case Start():
                self.spend(512)
                self.goal = UnitState.RUN
                self.enter(UnitState.RUN if self.aligned else UnitState.REALIGN, now_s)
            case Align():
                self.goal = UnitState.STANDBY
                self.enter(UnitState.REALIGN, now_s)
            case Stop():
                self.enter(UnitState.STANDBY, now_s)
            case SelectLink():
                self.selected = order.peer, order.path
                self.aligned = False
                if self.state is UnitState.STANDBY:
                    self.enter(UnitState.AUTH, now_s)
            case ClearFault():
                if "fault" in self.causes:
                    return Failed(order, Outcome.REFUSED, "the cause of LASER_TEMP lasts")
                self.enter(UnitState.SELFTEST, now_s)
        if "mute" in self.causes:
            return Failed(order, Outcome.UNKNOWN, "no reply came")
        return Done(order)

    def acknowledge(self, now_s: float) -> None:
        """A person's act."""
        if self.state is UnitState.SECURITY_HOLD:
            self.acknowledged.append(now_s)
            self.enter(UnitState.AUTH, now_s)

    # --- what its thread tells the supervisor -------------------------------------------------------------------------

    def read(self, now_s: float) -> UnitRead:
        return UnitRead(
            self.state,
            self.alarms(),
            self.selected,
            self.wanted,
            self.preshared_key,
            self.bits,
            now_s - self.up_s,
        )

    def turn(self, supervisor: Supervisor, now_s: float) -> list[SupervisorAction]:
        """Do what the device's thread does in one poll, and return what the supervisor wanted, all of it."""
        blocks = self.blocks
        self.live(now_s)
        told: list[SupervisorAction] = []
        waiting: list[SupervisorEvent] = []
        if self.reachable_again:
            if "silent" in self.causes:
                self.reachable_again = False
                waiting.append(Unreachable("no reply"))
            else:
                waiting.append(self.read(now_s))
        if self.blocks > blocks:
            waiting.append(BlockDrawn())
        while waiting:
            for action in supervisor.handle(waiting.pop(0), now_s):
                told.append(action)
                match action:
                    case Draw(on=on):
                        self.drawing = on
                    case Reopen():
                        self.reachable_again = True
                    case PowerOn() | Start() | Align() | Stop() | SelectLink() | ClearFault():
                        waiting.append(self.obey(action, now_s))
                    case _:
                        pass
        return told
