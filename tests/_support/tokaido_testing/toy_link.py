"""A QKD link in memory: two units, two switches, two fibres, by the rules of docs/protocols/toshiba.md, section 12.

It records the order of what reached which device, watches for light where none may be, and fails where it is told to.
"""

from __future__ import annotations

import json
import threading
import types
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeVar

import tokaido.hal as hal
from tokaido.hal import UnitState
from tokaido.hal.driver import Answer, StreamTransport, measured, query, setting, unsupported
from tokaido_testing.toy_clock import ToyClock

T = TypeVar("T")

SERIALS = {"alice": "TX-1", "bob": "RX-1"}
PATHS = {"A": {"west": ((1, 1),), "east": ((3, 1),)}, "B": {"west": ((1, 2),), "east": ((4, 1),)}}
STRANGERS = {"west": {5: 5}, "east": {6: 6}}
"""Connections of somebody else on the same switches."""
ALIGN_S = 0.35

Kind = Literal["refused", "timeout", "unknown, done", "unknown, not done", "dead", "dead, done"]


@dataclass
class ToyUnit:
    """What a unit remembers."""

    serial_number: str
    peer: str
    path: str
    state: str = "RUN"
    fencing_token: int = 0
    bright: bool = True
    """Emitting, or its shutter open."""
    aligned: bool = True
    runs_next: bool = False
    """Whether its alignment leads to RUN."""
    light_ns: int = -1
    """Since when it has been aligning with light."""
    links: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class Fault:
    """Call number `index` of a device goes wrong."""

    device: str
    index: int
    kind: Kind


class World:
    """The whole of it."""

    def __init__(self, clock: ToyClock | None = None, receiver_switches: tuple[str, ...] = ()) -> None:
        self.receiver_switches = receiver_switches
        """Which switches the station says are the receiver's."""
        self.clock = clock or ToyClock()
        self.units = {
            name: ToyUnit(SERIALS[name], SERIALS[peer], "A", links=[(SERIALS[peer], "A"), (SERIALS[peer], "B")])
            for name, peer in (("alice", "bob"), ("bob", "alice"))
        }
        self.maps = {name: dict(PATHS["A"][name]) | strangers for name, strangers in STRANGERS.items()}
        self.whole = {"A", "B"}
        """Fibres that are not cut."""
        self.blind = False
        """Whether the receiver's monitor shows no clock light."""
        self.settle_s = 0.0
        self.afterglow_s: dict[str, float] = {}
        """For how long a unit stays bright that was ordered to be dark, by name; without end if infinite."""
        self._dark_at_s: dict[str, float] = {}
        self.log: list[tuple[str, str]] = []
        """Every order, as device and what."""
        self.counts: Counter[str] = Counter()
        """Calls, by device."""
        self.violations: list[str] = []
        self.fault: Fault | None = None
        self.saved: Path | None = None
        """Where everything is written after each order."""
        self._lock = threading.RLock()
        self.transmitter = ToyTransmitter(self, "alice")
        self.receiver = ToyReceiver(self, "bob")
        self.switches = {name: ToyLinkSwitch(self, name) for name in self.maps}

    def link(self, paths: Mapping[str, Mapping[str, Any]] = PATHS, **entry: Any) -> hal.Link:
        """Return the link of this world."""
        return hal.Link(
            hal.LinkEntry("field", "alice", "bob", paths, receiver_switches=self.receiver_switches, **entry),
            self.transmitter,
            self.receiver,
            self.switches,
            clock=self.clock,
        )

    def shown(self) -> dict[str, Any]:
        """Return what a move changes, without the fencing tokens."""
        found: dict[str, Any] = {name: (unit.peer, unit.path) for name, unit in self.units.items()}
        return found | {name: dict(joined) for name, joined in self.maps.items()}

    def runs(self) -> bool:
        """Whether keys are exchanged."""
        self._advance()
        return all(unit.state == "RUN" for unit in self.units.values())

    def save(self, path: Path) -> None:
        units = {name: asdict(unit) for name, unit in self.units.items()}
        path.write_text(json.dumps([units, {name: list(joined.items()) for name, joined in self.maps.items()}]))

    def load(self, path: Path) -> None:
        units, maps = json.loads(path.read_text())
        for name, told in units.items():
            told["links"] = [tuple(link) for link in told["links"]]
            self.units[name] = ToyUnit(**told)
        self.maps = {name: dict(pairs) for name, pairs in maps.items()}

    # --- what a call meets --------------------------------------------------------------------------------------------

    def call(self, device: str, what: str, act: Callable[[], T], *, order: bool) -> T:
        """Carry out one call, or fail as planned."""
        with self._lock:
            self._advance()
            index = self.counts[device]
            self.counts[device] += 1
            if order:
                self.log.append((device, what))
            fault = self.fault
            if fault is not None and fault.device == device and index >= fault.index:
                self._fail(fault, index, device, act if order else lambda: None)
            result = act()
            if order and self.saved is not None:
                self.save(self.saved)
            return result

    def _fail(self, fault: Fault, index: int, device: str, act: Callable[[], object]) -> None:
        if index > fault.index:
            if fault.kind.startswith("dead"):
                raise hal.NotConnectedError("nobody is there", device=device)
            return
        match fault.kind:
            case "refused":
                raise hal.RefusedError("refused", device=device)
            case "timeout":
                raise hal.DeviceTimeoutError("no reply", device=device)
            case "dead":
                raise hal.NotConnectedError("nobody is there", device=device)
            case "unknown, done" | "dead, done":
                act()
        raise hal.OutcomeUnknownError("the reply was lost", device=device)

    # --- the rules ----------------------------------------------------------------------------------------------------

    def lit(self) -> str | None:
        """Return over which path light reaches the receiver."""
        if not all(unit.bright for unit in self.units.values()):
            return None
        for path, needs in PATHS.items():
            if path in self.whole and all(set(needs[name]) <= set(self.maps[name].items()) for name in self.maps):
                return path
        return None

    def _advance(self) -> None:
        alice, bob = self.units.values()
        for name in [name for name, end_s in self._dark_at_s.items() if self.clock.monotonic_ns() / 1e9 >= end_s]:
            del self._dark_at_s[name]
            self.units[name].bright = False
        met = (alice.peer, bob.peer, alice.path) == (bob.serial_number, alice.serial_number, bob.path)
        if met and alice.state == bob.state == "AUTH":
            for unit in (alice, bob):
                unit.state, unit.bright, unit.light_ns = "ALIGN", True, -1
        for unit in (alice, bob):
            if unit.state not in ("ALIGN", "REALIGN"):
                continue
            if self.lit() is None or not met:
                unit.light_ns = -1
            elif unit.light_ns < 0:
                unit.light_ns = self.clock.monotonic_ns()
            elif self.clock.monotonic_ns() - unit.light_ns >= ALIGN_S * 1e9:
                unit.aligned = True
                unit.state = "RUN" if unit.runs_next else "STANDBY"
                unit.runs_next = False
        if alice.state == bob.state == "RUN" and self.lit() not in (None, alice.path):
            self.violations.append(f"key of link {alice.path} over {self.lit()}")

    def make_safe(self, unit: ToyUnit) -> None:
        name = next(name for name, one in self.units.items() if one is unit)
        if unit.bright and name in self.afterglow_s:
            self._dark_at_s.setdefault(name, self.clock.monotonic_ns() / 1e9 + self.afterglow_s[name])
        else:
            unit.bright = False
        unit.aligned = unit.runs_next = False
        if unit.state in ("RUN", "TRACK", "DEGRADED", "ALIGN", "REALIGN"):
            unit.state = "STANDBY"


# --- the devices ------------------------------------------------------------------------------------------------------


def _toy_of(role: type[hal.Device], *has: str) -> Any:
    """Return a role whose values are declared lacking, but for those that it `has`."""
    values = {name: unsupported(value.kind, "not in a toy") for name, value in role.values().items() if name not in has}
    return types.new_class(f"Toy{role.__name__}", (role,), exec_body=lambda namespace: namespace.update(values))


if TYPE_CHECKING:
    from tokaido.hal import Device as _Device
    from tokaido.hal import Receiver as _Receiver
    from tokaido.hal import Transmitter as _Transmitter
    from tokaido.hal import Unit as _Unit
else:
    _Transmitter, _Receiver, _Unit, _Device = (
        _toy_of(hal.Transmitter),
        _toy_of(hal.Receiver, "clock_power"),
        object,
        object,
    )


class _Wired(_Device):
    """A device of the world, without any wire."""

    def __init__(self, world: World, name: str) -> None:
        super().__init__({}, name=name)
        self._world = world

    def _connect(self, timeout: float | None = None) -> None:
        """There is nothing to connect."""

    def close(self) -> None:
        """There is nothing to close."""

    @property
    def transport(self) -> StreamTransport:
        raise hal.UnsupportedError("a toy has no transport")

    def _give(self, what: str, act: Callable[[], T]) -> T:
        return self._world.call(self.name, what, act, order=True)

    def _tell(self, act: Callable[[], T]) -> T:
        return self._world.call(self.name, "", act, order=False)


class _WiredUnit(_Wired, _Unit):
    """What both units have."""

    state = query(UnitState, "STAT")
    session = query(str, "SES")
    preshared_key_loaded = query(bool, "PSK")

    @property
    def _unit(self) -> ToyUnit:
        return self._world.units[self.name]

    def _value(self, command: str) -> str:
        match command:
            case "STAT":
                return self._unit.state
            case "SES":
                return "0123456789abcdef" if self._unit.state == "RUN" and self._world.lit() else "-"
            case "EMI":
                return str(int(self._unit.bright))
            case "SHT":
                return "OPEN" if self._unit.bright else "CLOSED"
            case "CLK:POW" if self._world.lit() and not self._world.blind:
                return "-20"
        raise hal.NoDataError("none", code="NO_DATA")

    def _ask(self, command: str) -> Answer:
        return self._tell(lambda: Answer(self._value(command)))

    def _order(self, command: str, text: str) -> Answer:
        raise hal.UnsupportedError("a toy takes no settings")

    def _ask_all(self) -> Mapping[str, Answer | hal.TokaidoError]:
        def power() -> Answer | hal.TokaidoError:
            try:
                return Answer(self._value("CLK:POW"))
            except hal.NoDataError as error:
                return error

        return self._tell(lambda: {"CLK:POW": power()})

    def identity(self) -> hal.Identity:
        return self._tell(lambda: hal.Identity("TOY", "U1", self._unit.serial_number, "1"))

    def alarms(self) -> tuple[hal.Alarm, ...]:
        lost = self._world.lit() is None and self._unit.state in ("RUN", "ALIGN")
        found = (hal.Alarm("LOS", hal.Severity.MAJOR, latched=False, age_s=0.5),) if lost else ()
        return self._tell(lambda: found)

    def link(self) -> hal.LinkSelection:
        return self._tell(lambda: hal.LinkSelection(self._unit.peer, self._unit.path, self._unit.fencing_token))

    def link_keys(self) -> tuple[hal.LinkKey, ...]:
        return self._tell(lambda: tuple(hal.LinkKey(peer, path, 30_000) for peer, path in self._unit.links))

    def select_link(self, peer: str, path: str, *, fencing_token: int | None = None) -> hal.LinkSelection:
        def act() -> hal.LinkSelection:
            unit = self._unit
            if unit.state not in ("OFF", "WARMUP", "AUTH", "STANDBY"):
                raise hal.StateError(f"{unit.state}: LNK is not allowed", device=self.name)
            if fencing_token is not None and fencing_token < unit.fencing_token:
                raise hal.RefusedError(f"fence {fencing_token} is below {unit.fencing_token}", device=self.name)
            if (peer, path) != ("", "") and (peer, path) not in unit.links:
                raise hal.RefusedError("no pre-shared key for that link", device=self.name)
            self._world.make_safe(unit)
            unit.peer, unit.path, unit.fencing_token = (
                peer,
                path,
                unit.fencing_token if fencing_token is None else fencing_token,
            )
            unit.state = "AUTH" if unit.state == "STANDBY" else unit.state
            return hal.LinkSelection(unit.peer, unit.path, unit.fencing_token)

        return self._give(f"select {peer} {path} {fencing_token}", act)

    def start(self) -> None:
        def act() -> None:
            if self._unit.state != "STANDBY":
                raise hal.StateError(f"{self._unit.state}: KEY START is not allowed", device=self.name)
            if self._unit.aligned:
                self._unit.state = "RUN"
            else:
                self._unit.state, self._unit.runs_next, self._unit.bright = "REALIGN", True, True

        self._give("start", act)

    def stop(self) -> None:
        def act() -> None:
            if self._unit.state not in ("RUN", "REALIGN"):
                raise hal.StateError(f"{self._unit.state}: KEY STOP is not allowed", device=self.name)
            self._unit.state = "STANDBY"

        self._give("stop", act)

    def apply_safe_state(self) -> None:
        self._give("safe", lambda: self._world.make_safe(self._unit))

    def _never(self, *_: object, **__: object) -> NoReturn:
        raise AssertionError("a move does not ask for this")

    power_on = power_off = align = clear_fault = acknowledge_security = zeroize = set_watchdog = _never
    alarm_events = load_preshared_key = key_blocks = telemetry_stream = _never


class ToyTransmitter(_WiredUnit, _Transmitter):
    """Alice."""

    emitting = query(bool, "EMI")


class ToyReceiver(_WiredUnit, _Receiver):
    """Bob."""

    clock_locked = query(bool, "CLK:LOCK")
    shutter = setting(hal.Shutter, "SHT")
    clock_power = measured(float, "CLK:POW", unit="dBm")

    @property
    def detectors(self) -> tuple[hal.Detector, ...]:
        return ()


class ToyLinkSwitch(_Wired, hal.OpticalSwitch):
    """An 8x8 switch that notes when it is moved under light."""

    capabilities = frozenset({hal.SwitchCapability.DISCONNECT})

    def __init__(self, world: World, name: str) -> None:
        hal.OpticalSwitch.__init__(self, {}, name=name, clock=world.clock)
        self._world = world
        self._shows: tuple[int, dict[int, int]] | None = None

    def size(self) -> hal.SwitchSize:
        return self._tell(lambda: hal.SwitchSize(8, 8))

    def connections(self) -> dict[int, int]:
        if self._shows is not None and self._shows[0] > self._world.clock.monotonic_ns():
            before = self._shows[1]
            return self._tell(lambda: dict(before))
        return self._tell(lambda: dict(self._world.maps[self.name]))

    def _replace(self, pairs: Mapping[int, int]) -> None:
        def act() -> None:
            for name, unit in self._world.units.items():
                if unit.bright:
                    self._world.violations.append(f"{self.name} was moved while {name} was bright")
            self._shows = (
                self._world.clock.monotonic_ns() + round(self._world.settle_s * 1e9),
                self._world.maps[self.name],
            )
            self._world.maps[self.name] = dict(pairs)

        self._give("replace", act)

    def _add(self, pairs: Mapping[int, int]) -> None:
        raise AssertionError("a move takes one command")

    _remove = _add

    def identity(self) -> hal.Identity:
        return hal.Identity("TOY", "S8x8", self.name, "1")

    def _ask(self, command: str) -> Answer:
        raise hal.UnsupportedError("a toy has no values")

    def _order(self, command: str, text: str) -> Answer:
        raise hal.UnsupportedError("a toy has no values")

    def _ask_all(self) -> Mapping[str, Answer | hal.TokaidoError]:
        return {}
