"""What a unit does when it is told to: the orders that every unit knows, and the states that allow them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from tokaido.emulators.units._alarms import Latch
from tokaido.emulators.units._readings import Refusal
from tokaido.emulators.units._states import ANY, RUNNING_STATES, SETUP_STATES, State, where

if TYPE_CHECKING:
    from tokaido.emulators.units._alarms import AlarmBook
    from tokaido.emulators.units._blocks import Blocks
    from tokaido.emulators.units._keystore import KeyStore
    from tokaido.emulators.units._links import UnitLink, UnitLinks
    from tokaido.emulators.units._peer import Peer
    from tokaido.emulators.units._states import States

OrderName = Literal[
    "power_on",
    "power_off",
    "start",
    "stop",
    "align",
    "apply_safe_state",
    "clear_fault",
    "acknowledge_security",
    "zeroize",
]


@dataclass(frozen=True, slots=True)
class Allowed:
    """The states that allow an order."""

    states: States
    wording: str = ""
    """How a refusal names them, where a list does not say it."""

    def __str__(self) -> str:
        return self.wording or where(self.states)


ORDERS: dict[OrderName, Allowed] = {
    "power_on": Allowed((State.OFF,)),
    "power_off": Allowed(tuple(state for state in State if state is not State.ZEROIZE), "any state but ZEROIZE"),
    "start": Allowed((State.STANDBY,)),
    "stop": Allowed((*RUNNING_STATES, State.REALIGN)),
    "align": Allowed((State.STANDBY,)),
    "apply_safe_state": Allowed(ANY),
    "clear_fault": Allowed((State.FAULT,)),
    "acknowledge_security": Allowed((State.SECURITY_HOLD,), "SECURITY_HOLD, or latched QUARANTINE"),
    "zeroize": Allowed(ANY),
}
"""Every order, under the name that the roles of `tokaido.hal` give it."""


def setting_allowed(name: str) -> Allowed:
    """Return where a setting may be changed: the watchdog in any state, all else in setup states."""
    return Allowed(ANY if name == "watchdog" else SETUP_STATES)


class OrderedUnit(Protocol):
    """What orders need of the unit that carries them out."""

    serial_number: str
    aligned: bool
    warmed: bool
    store: KeyStore
    alarms: AlarmBook
    links: UnitLinks
    blocks: Blocks
    peer: Peer

    @property
    def state(self) -> State:
        """State of the unit."""
        ...

    def enter(self, state: State) -> None:
        """Enter a state."""
        ...

    def enter_checked(self, state: State) -> None:
        """Enter a state unless a latched alarm holds the unit."""
        ...

    def begin_alignment(self, state: State, goal: State) -> None:
        """Enter ALIGN or REALIGN, to go on to `goal`."""
        ...

    def make_safe(self) -> None:
        """Take the safe state, whatever the state."""
        ...

    def go_safe(self) -> None:
        """Go to the safe state, and on to STANDBY if the unit ran or aligned."""
        ...

    def put(self, name: str, value: float | str) -> None:
        """Put a setting into force; may raise `Refusal`."""
        ...

    def cause_lasts(self, code: str) -> bool:
        """Whether the cause of a latched alarm is still there."""
        ...

    def forget_secrets(self) -> None:
        """Erase every key block and the pre-shared keys of all links."""
        ...


class Orders:
    """The part of a unit that carries out orders. The unit owns the state; this owns what an order means."""

    def __init__(self, unit: OrderedUnit) -> None:
        self._unit = unit

    def obey(self, name: OrderName, *, called: str, serial_number: str = "") -> None:
        """Carry out an order.

        Args:
            name: The order.
            called: How the vendor's protocol names it, for the text of a refusal.
            serial_number: For `zeroize`: the unit that is meant.

        Raises:
            Refusal: STATE or REFUSED.
        """
        unit = self._unit
        also = name == "acknowledge_security" and "QUARANTINE" in unit.alarms
        self._check(ORDERS[name], called, also=also)
        match name:
            case "power_on":
                unit.enter(State.SELFTEST)
            case "power_off":
                unit.enter(State.OFF)
            case "start":
                self._refuse_without_key()
                if unit.aligned:
                    unit.enter(State.RUN)
                else:
                    unit.begin_alignment(State.REALIGN, State.RUN)
            case "stop":
                self._stop()
            case "align":
                unit.begin_alignment(State.REALIGN, State.STANDBY)
            case "apply_safe_state":
                unit.go_safe()
            case "clear_fault":
                self._clear_faults()
            case "acknowledge_security":
                self._acknowledge()
            case "zeroize":
                self._zeroise(serial_number)

    def set(self, name: str, value: float | str, *, called: str) -> None:
        """Put a setting into force. Its limits are the vendor's, and were checked before.

        Args:
            name: Neutral name of the setting.
            value: The value.
            called: How the vendor's protocol names it, for the text of a refusal.

        Raises:
            Refusal: STATE or REFUSED.
        """
        self._check(setting_allowed(name), called)
        self._unit.put(name, value)

    def select_link(self, link: UnitLink, fencing_token: int | None, *, called: str) -> None:
        """Put a link into force: safe state, no alignment, and a new proof under that link's key.

        Args:
            link: The link.
            fencing_token: Fencing token of who orders it; None leaves the number in force.
            called: How the vendor's protocol names the order, for the text of a refusal.

        Raises:
            Refusal: STATE or REFUSED.
        """
        self._check(setting_allowed("link"), called)
        self._unit.links.select(link, fencing_token)
        self._unit.peer.forget()
        self._unit.make_safe()
        if self._unit.state is State.STANDBY:
            self._unit.enter(State.AUTH)

    def _check(self, allowed: Allowed, called: str, *, also: bool = False) -> None:
        state = self._unit.state
        if state not in allowed.states and not also:
            raise Refusal("STATE", f"{state}: {called} is allowed in {allowed}")

    def _refuse_without_key(self) -> None:
        blocks = self._unit.blocks
        if self._unit.links.pool is not None and not blocks.can_authenticate:
            raise Refusal("REFUSED", f"too little authentication key: {blocks.attempts_left} attempts are left")

    def _stop(self) -> None:
        realigning = self._unit.state is State.REALIGN
        self._unit.enter(State.STANDBY)
        if realigning:
            self._unit.make_safe()

    def _clear_faults(self) -> None:
        codes = self._unit.alarms.latched(Latch.FAULT)
        self._refuse_while_causes_last(codes)
        for code in codes:
            self._unit.alarms.clear(code)
        self._unit.enter(State.SELFTEST)

    def _acknowledge(self) -> None:
        codes = self._unit.alarms.latched(Latch.SECURITY)
        self._refuse_while_causes_last(codes)
        for code in codes:
            self._unit.alarms.clear(code)
        self._unit.store.release_locked()
        if self._unit.state is State.SECURITY_HOLD:
            self._unit.enter_checked(State.AUTH if self._unit.warmed else State.WARMUP)

    def _refuse_while_causes_last(self, codes: list[str]) -> None:
        lasting = [code for code in codes if self._unit.cause_lasts(code)]
        if lasting:
            raise Refusal("REFUSED", f"the cause of {', '.join(lasting)} lasts")

    def _zeroise(self, serial_number: str) -> None:
        if serial_number != self._unit.serial_number:
            raise Refusal("REFUSED", "that is the serial number of another unit")
        self._unit.enter(State.ZEROIZE)
        self._unit.forget_secrets()
