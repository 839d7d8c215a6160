"""What the tables of a station file ask to be emulated, and every mistake in them that can be seen without a bench."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, get_args

from tokaido.emulators.bench._graph import CONNECTOR_LOSS_DB
from tokaido.emulators.bench._pulses import built_as, understands
from tokaido.emulators.bench._schedule import read_events
from tokaido.emulators.bench._standing import Standing
from tokaido.emulators.bench._station_devices import TIME, DeviceReader, EmulatedDevice
from tokaido.emulators.optics import PresetSettings
from tokaido.hal.tables import Check, Mistakes, number, of_kind, whole

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokaido.emulators.bench._orders import Order
    from tokaido.hal import LinkEntry, PortPairs, Station

SETTINGS: Final = get_args(PresetSettings)
_LOSS: Final = Check(number(0, 100), "a number of dB, 0 to 100")
_LINK: Final[dict[str, Check]] = {
    "settings": Check(lambda value: value in SETTINGS, f"one of {', '.join(SETTINGS)}"),
    "load_preshared_key": Check(of_kind(bool), "true or false"),
    "block_bits": Check(whole(1, 1 << 30), "a whole number of bits, 1 to 2^30"),
}
_FIBRE: Final[dict[str, Check]] = {
    "length_km": Check(number(0), "a number of km"),
    "loss_db": Check(number(0), "a number of dB"),
}
_FIBRE_ON_BENCH: Final[dict[str, Check]] = {**_FIBRE, "loss_db_per_km": Check(number(0), "a number of dB per km")}
_PANEL: Final[dict[str, Check]] = {"positions": Check(whole(1, 1000), "a whole number, 1 to 1000"), "loss_db": _LOSS}
_MULTIPLEXER: Final[dict[str, Check]] = {"loss_db": _LOSS}
_LASER: Final[dict[str, Check]] = {
    "power_dbm": Check(number(-150, 30), "a number of dBm, -150 to 30"),
    "pulse_rate_hz": Check(number(0, 1e10), "a number of pulses per second, 0 to 1e10"),
}
_OPTICS: Final = ("fibres", "panels", "multiplexers", "lasers", "joins", "cables", "events")


@dataclass(frozen=True, slots=True)
class EmulatedLink:
    """Two units that exchange keys."""

    name: str
    transmitter: str
    receiver: str
    paths: Mapping[str, Mapping[str, PortPairs]]
    settings: PresetSettings
    load_preshared_key: bool
    block_bits: int | None = None
    """Key-basis bits of a block; None: what the settings are for."""


@dataclass(slots=True)
class StationPlan:
    """All that a station asks to be emulated."""

    seed: int | None = None
    """What the file says; None for a new one."""
    speed: float = 1.0
    devices: dict[str, EmulatedDevice] = field(default_factory=dict)
    unread: set[str] = field(default_factory=set)
    """Devices that nobody can emulate."""
    links: list[EmulatedLink] = field(default_factory=list)
    fibres_at: str = "bench.fibres"
    """Where the file has the fibres."""
    fibres: dict[str, dict[str, float]] = field(default_factory=dict)
    panels: dict[str, dict[str, Any]] = field(default_factory=dict)
    multiplexers: dict[str, dict[str, float]] = field(default_factory=dict)
    lasers: dict[str, dict[str, float]] = field(default_factory=dict)
    cables: list[tuple[str, tuple[str, str, int]]] = field(default_factory=list)
    """A source, a tagger and its channel, each with their place in the file."""
    joins: list[tuple[str, tuple[str, str, float]]] = field(default_factory=list)
    """Two ports and the loss in dB, each with its place in the file."""
    events: list[tuple[float, Order]] = field(default_factory=list)
    """What is to happen, and when in emulated s."""


class TableReader:
    """Reads what concerns emulation out of a station, and collects every mistake.

    Args:
        station: The station.
        for_others: Whether other programs are to open the devices.
        at_resources: Whether the devices are to be at the station's resources.
    """

    def __init__(self, station: Station, *, for_others: bool, at_resources: bool) -> None:
        self.mistakes = Mistakes()
        """The mistakes that were found."""
        self._station = station
        self._has_bench = bool(station.bench)
        self._devices = DeviceReader(
            self.mistakes, own_time=not self._has_bench, for_others=for_others, at_resources=at_resources
        )

    def plan(self) -> StationPlan:
        """Return the plan; one with mistakes is good for nothing but to look for more of them."""
        plan = StationPlan()
        links = [link for link in self._station.links.values() if self._has_bench or link.emulator]
        in_links = {name for link in links for name in (link.transmitter, link.receiver)}
        for name, entry in self._station.devices.items():
            if not self._has_bench and not entry.emulator and name not in in_links:
                continue
            device = self._devices.device(entry)
            if device is None:
                plan.unread.add(name)
            else:
                plan.devices[name] = device
        if self._has_bench:
            self._read_bench(plan, self._station.bench)
        else:
            self._take_time(plan)
        for link in links:
            self._read_link(plan, link)
        if not plan.devices and not self.mistakes:
            self.mistakes.note(
                "devices", "none is emulated; add a table [devices.NAME.emulator], [links.NAME.emulator] or [bench]"
            )
        return plan

    def _take_time(self, plan: StationPlan) -> None:
        """Take seed and speed from the devices, which live in one time."""
        for key, said in self._devices.said.items():
            if len(said) > 1:
                self.mistakes.note("devices", f"they have one {key} between them, not {' and '.join(map(str, said))}")
        plan.seed = next(iter(self._devices.said["seed"]), plan.seed)
        plan.speed = next(iter(self._devices.said["speed"]), plan.speed)

    # --- links ------------------------------------------------------------------------------------------------------

    def _read_link(self, plan: StationPlan, link: LinkEntry) -> None:
        where, table = f"links.{link.name}", dict(link.emulator)
        if self._has_bench:
            for key in _FIBRE:
                if table.pop(key, None) is not None:
                    self.mistakes.note(
                        f"{where}.emulator.{key}", "the bench has the fibres; put it into [bench.fibres.NAME]"
                    )
        found = self.mistakes.checked(f"{where}.emulator", table, _LINK if self._has_bench else {**_FIBRE, **_LINK})
        emulated = EmulatedLink(
            link.name,
            link.transmitter,
            link.receiver,
            link.paths,
            found.get("settings", "short-block"),
            found.get("load_preshared_key", False),
            found.get("block_bits"),
        )
        self._check_units(plan, emulated)
        plan.links.append(emulated)
        if not self._has_bench:
            self._read_fibre(plan, link, found)

    def _read_fibre(self, plan: StationPlan, link: LinkEntry, found: Mapping[str, Any]) -> None:
        """Read the one fibre of a link without a bench."""
        where = f"links.{link.name}"
        for key in _FIBRE:
            if key not in link.emulator:
                self.mistakes.note(f"{where}.emulator", f"{key} is missing")
        if link.switches:
            self.mistakes.note(f"{where}.paths", "they lead over switches; describe the optics in a table [bench]")
        plan.fibres_at = "links"
        plan.fibres[link.name] = {key: float(found.get(key, 0.0)) for key in _FIBRE}
        for unit, end in ((link.transmitter, "a"), (link.receiver, "b")):
            plan.joins.append((where, (unit, f"{link.name}.{end}", 0.0)))

    def _check_units(self, plan: StationPlan, link: EmulatedLink) -> None:
        """See that the units of a link are two that can exchange keys, and that no other link is in the way."""
        where, units = f"links.{link.name}", (link.transmitter, link.receiver)
        for other in plan.links:
            for side, unit in zip(("transmitter", "receiver"), units, strict=True):
                if unit not in (other.transmitter, other.receiver):
                    continue
                if not self._has_bench:
                    self.mistakes.note(
                        f"{where}.{side}", f"{unit} is in another link already; describe the optics in a table [bench]"
                    )
                elif other.settings != link.settings:
                    self.mistakes.note(
                        f"{where}.emulator.settings", f"{unit} has {other.settings} already, by link {other.name}"
                    )
        if not all(unit in plan.devices for unit in units):
            return
        first, second = (Standing(unit, plan.devices[unit].model) for unit in units)
        sender, taker = first.sends, second.detects
        if sender is None or taker is None:
            self.mistakes.note(where, f"{units[0]} and {units[1]} are not emulated as a transmitter and a receiver")
        elif not understands(taker, sender, built_as(taker)):
            self.mistakes.note(where, f"{units[1]} makes nothing of the pulses of {units[0]}; take units of one kind")

    # --- the bench --------------------------------------------------------------------------------------------------

    def _read_bench(self, plan: StationPlan, table: Mapping[str, Any]) -> None:
        rest = {key: value for key, value in table.items() if key not in _OPTICS}
        found = self.mistakes.checked("bench", rest, TIME, (*TIME, *_OPTICS))
        plan.seed, plan.speed = found.get("seed", plan.seed), float(found.get("speed", plan.speed))
        plan.fibres = self._elements(table, "fibres", _FIBRE_ON_BENCH, {"length_km": 0.0, "loss_db": 0.0})
        plan.panels = self._elements(table, "panels", _PANEL, {"positions": 1000})
        plan.multiplexers = self._elements(table, "multiplexers", _MULTIPLEXER, {})
        plan.lasers = self._elements(table, "lasers", _LASER, {"power_dbm": 0.0})
        self._read_cables(plan, table.get("cables", []))
        models = {name: device.model for name, device in plan.devices.items()}
        plan.events = read_events(table.get("events", []), plan.fibres, models, self.mistakes)
        joins = table.get("joins", [])
        if not isinstance(joins, list):
            self.mistakes.note("bench.joins", f'must be a list such as [["alice", "west.in1"]], not {joins!r}')
            return
        for position, join in enumerate(joins, 1):
            where = f"bench.joins, number {position}"
            if _is_join(join):
                plan.joins.append((where, (join[0], join[1], float(join[2]) if len(join) > 2 else CONNECTOR_LOSS_DB)))
            else:
                self.mistakes.note(
                    where, f'must be two ports such as ["alice", "west.in1"], and maybe dB, not {join!r}'
                )

    def _read_cables(self, plan: StationPlan, cables: object) -> None:
        if not isinstance(cables, list):
            self.mistakes.note("bench.cables", f'must be a list such as [["spd", "tdc", 1]], not {cables!r}')
            return
        for position, cable in enumerate(cables, 1):
            where = f"bench.cables, number {position}"
            match cable:
                case [str() as source, str() as to, int() as channel]:
                    plan.cables.append((where, (source, to, channel)))
                case _:
                    self.mistakes.note(where, f'must be such as ["spd", "tdc", 1], not {cable!r}')

    def _elements(
        self, bench: Mapping[str, Any], kind: str, keys: Mapping[str, Check], stand_in: dict[str, Any]
    ) -> dict[str, dict[str, Any]]:
        """Return what is said of the elements of a kind, by name; `stand_in` of those with a mistake."""
        table, elements = bench.get(kind, {}), dict[str, dict[str, Any]]()
        if not isinstance(table, dict):
            self.mistakes.note(f"bench.{kind}", f"must be tables [bench.{kind}.NAME], not {table!r}")
            return elements
        for name, values in table.items():
            where, before = f"bench.{kind}.{name}", len(self.mistakes)
            if isinstance(values, dict):
                elements[name] = self.mistakes.checked(where, values, keys)
                for key in stand_in:
                    if key not in values and not (key == "loss_db" and "loss_db_per_km" in values):
                        self.mistakes.note(where, f"{key} is missing")
            else:
                self.mistakes.note(where, f"must be a table with {', '.join(keys)}, not {values!r}")
            if len(self.mistakes) > before:
                elements[name] = stand_in
        return elements


def _is_join(join: object) -> bool:
    if not isinstance(join, list) or len(join) not in (2, 3) or not all(isinstance(port, str) for port in join[:2]):
        return False
    return len(join) == 2 or _LOSS.accepts(join[2])
