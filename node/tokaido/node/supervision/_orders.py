"""What a supervisor hears of one end of a link, and what it wants done there."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Final, TypeAlias

from tokaido.node.core import Clear, Raise, Tick

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokaido.hal import Alarm, KeyMaterial, Telemetry, UnitState

OF_THE_PEER: Final = frozenset({"LOS", "SYNC_LOSS", "PEER_UNREACHABLE"})

# --- what is wanted done ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PowerOn:
    """Power the unit on."""


@dataclass(frozen=True, slots=True)
class Start:
    """Let it exchange keys."""


@dataclass(frozen=True, slots=True)
class Align:
    """Let it repeat its alignment."""


@dataclass(frozen=True, slots=True)
class Stop:
    """End its key session."""


@dataclass(frozen=True, slots=True)
class SelectLink:
    """Set it to the link to that peer over that path."""

    peer: str
    path: str


@dataclass(frozen=True, slots=True)
class ClearFault:
    """Let it leave FAULT."""


UnitOrder: TypeAlias = PowerOn | Start | Align | Stop | SelectLink | ClearFault
"""Given once, and answered once by `Done` or `Failed`. The supervisor gives no other one meanwhile."""


@dataclass(frozen=True, slots=True)
class Draw:
    """Draw key blocks from now on, or no more."""

    on: bool


@dataclass(frozen=True, slots=True)
class Reopen:
    """Try to reach the device again: it is read no more after `Unreachable` until this comes."""


@dataclass(frozen=True, slots=True)
class LoadPresharedKey:
    """Load a pre-shared key, which people entered; the thread that carries it out wipes it.

    It is carried out unless `done` was cancelled before it began. `done` gives peer and path of the link, as the unit
    names it, once the unit was asked whether it has the key; or the error.
    """

    key: KeyMaterial = field(repr=False)
    peer: str
    """Serial number of the unit at the other end; empty together with `path`: the link that the unit is set to."""
    path: str
    done: Future[tuple[str, str]] = field(default_factory=Future, compare=False)


SupervisorAction: TypeAlias = UnitOrder | Draw | Reopen | Raise | Clear

# --- what is heard ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class UnitRead:
    """The device was read, just now. A device without states, such as a key source, has None where a unit has one."""

    state: UnitState | None
    alarms: tuple[Alarm, ...] = ()
    selected: tuple[str, str] | None = None
    """Peer and path of the link that the unit is set to; None: not known."""
    wanted: tuple[str, str] | None = None
    """Peer and path of the link that it should be set to; None: whichever it is set to."""
    preshared_key: bool = True
    """Whether it holds a pre-shared key for the link that is wanted."""
    authentication_bits: int | None = None
    """Authentication key that is left for that link; None: not known."""
    uptime_s: float | None = None
    answered_in_s: float = 0.0
    """How long the whole reading took."""
    readings: Telemetry | None = field(default=None, repr=False)
    texts: Mapping[str, str] = field(default_factory=dict)
    """What the unit says of its alarms, by code, as far as it does."""
    preshared_keys: frozenset[tuple[str, str]] = frozenset()
    """Peer and path of all links for which it holds a pre-shared key."""

    @property
    def fits(self) -> bool:
        """Whether the unit is set to the link that is wanted, as far as is known."""
        return self.wanted is None or self.selected is None or self.wanted == self.selected

    @property
    def of_the_peer(self) -> frozenset[str]:
        """Its alarms that tell of the other end, or of what lies between: no attempt at this end mends that."""
        return OF_THE_PEER & {alarm.code for alarm in self.alarms}

    def took(self, order: UnitOrder) -> bool:
        """Return whether it shows that it took a selection of a link."""
        return isinstance(order, SelectLink) and self.selected == (order.peer, order.path)


@dataclass(frozen=True, slots=True)
class Unreachable:
    """The device could not be read."""

    why: str


class Outcome(Enum):
    """How an order failed."""

    REFUSED = "refused"
    """By the device, or by an interlock."""
    STATE = "state"
    """The device was in another state by then."""
    UNKNOWN = "unknown"
    """Nobody knows whether it was carried out: no reply came."""
    NOT_SENT = "not sent"
    """It never reached the device."""
    TAKEN = "taken"
    """Somebody else holds the lease of the link; nothing was sent."""


@dataclass(frozen=True, slots=True)
class Done:
    """The device took the order."""

    order: UnitOrder


@dataclass(frozen=True, slots=True)
class Failed:
    """The device did not take the order, or nobody knows."""

    order: UnitOrder
    outcome: Outcome
    why: str


@dataclass(frozen=True, slots=True)
class BlockDrawn:
    """A block came from the device and is durable."""


@dataclass(frozen=True, slots=True)
class Draws:
    """Blocks cannot be drawn, or can be drawn again."""

    why_not: str
    """Empty: they can."""


@dataclass(frozen=True, slots=True)
class Maintenance:
    """A person takes the unit: it gets no order until they give it back. Blocks are drawn all the same."""

    on: bool
    by: str = ""


@dataclass(frozen=True, slots=True)
class Hold:
    """A move of the link takes the unit, or gives it back: meanwhile it gets no order from here."""

    by: str
    """What the move does; empty: the unit is given back."""


@dataclass(frozen=True, slots=True)
class Resume:
    """A person has removed the cause: try again now, as if nothing had failed. It ends a pause by hand, too."""

    use_reserve: bool = False
    """Whether the next attempt may take authentication key from the reserve."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """Whether the store takes blocks."""

    allowed: bool


SupervisorEvent: TypeAlias = (
    UnitRead | Unreachable | Done | Failed | BlockDrawn | Draws | Maintenance | Hold | Resume | Drawing | Tick
)


def name_of(order: UnitOrder) -> str:
    """Return what people call an order."""
    match order:
        case PowerOn():
            return "power on"
        case Start():
            return "start"
        case Align():
            return "align"
        case Stop():
            return "stop"
        case SelectLink(peer=peer, path=path):
            return f"select the link to {peer or 'any'}, path {path or 'any'}"
        case ClearFault():
            return "clear the fault"
