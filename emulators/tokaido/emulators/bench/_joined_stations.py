"""Several stations as one: half-links that meet are whole links, so that one bench has both ends and the span."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from tokaido.hal import (
    ConfigurationError,
    Device,
    DeviceEntry,
    HalfLinkEntry,
    LinkEntry,
    Receiver,
    Station,
    Transmitter,
    load_driver,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tokaido.hal import PortPairs

ROLES: Final = (Transmitter, Receiver)


@dataclass(frozen=True, slots=True)
class JoinedStations:
    """Several stations as one that a bench can emulate."""

    station: Station
    """All their devices and links. Nothing of it is open."""
    names: Mapping[str, Mapping[str, str]]
    """What each device is called there, by station and by its name in that station's file."""


def join_stations(*stations: Station) -> JoinedStations:
    """Return stations as one, for a bench: half-links of one name that name each other's station are one link.

    A device keeps its name; where two stations have one of that name, each is called STATION-NAME. The table `bench`
    stands in one of the files, and so does the table `emulator` of each link. Half-links whose other end is in none of
    the stations are left out, if nothing asks for them to be emulated.

    Args:
        stations: One or more; their devices need not be open, nor are they opened.

    Raises:
        ConfigurationError: With every reason why they do not fit together.
    """
    joiner = _Joiner(stations)
    joined = joiner.joined()
    if joiner.mistakes:
        count, together = len(joiner.mistakes), " together" if len(stations) > 1 else ""
        raise ConfigurationError(
            f"{_listed([each.name for each in stations])} cannot be emulated{together}; "
            f"there {f'are {count} mistakes' if count > 1 else 'is one mistake'}",
            mistakes=tuple(joiner.mistakes),
        )
    return joined


class _Joiner:
    """Joins stations, and collects every mistake."""

    def __init__(self, stations: Sequence[Station]) -> None:
        self.mistakes: list[str] = []
        self._stations = stations
        self._by_name = {station.name: station for station in stations}
        shared = Counter(device for station in stations for device in station.devices)
        self._names = {
            station.name: {name: name if shared[name] == 1 else f"{station.name}-{name}" for name in station.devices}
            for station in stations
        }
        self._benches = [station for station in stations if station.bench]

    def joined(self) -> JoinedStations:
        """Return all stations as one."""
        for name, count in Counter(station.name for station in self._stations).items():
            if count > 1:
                self.mistakes.append(f"station.name: {count} stations are called {name}; half-links name them apart")
        if len(self._benches) > 1:
            told = _listed([station.name for station in self._benches])
            self.mistakes.append(f"bench: {told} have one each; one bench has the optics of all, in one of the files")
        links: dict[str, LinkEntry] = {}
        for station in self._stations:
            whole = {name: self._renamed(station, link) for name, link in station.links.items()}
            for name, link in (whole | self._met(station)).items():
                if name in links:
                    self.mistakes.append(f"{station.name}: links.{name}: another link is called so; name one otherwise")
                links[name] = link
        devices = {
            self._names[station.name][name]: self._device(station, entry)
            for station in self._stations
            for name, entry in station.devices.items()
        }
        joined = Station(
            _listed([station.name for station in self._stations]),
            devices,
            on_exit="keep",
            links=links,
            bench=self._benches[0].bench if self._benches else None,
            folder=self._stations[0].folder,
        )
        return JoinedStations(joined, self._names)

    def _device(self, station: Station, entry: DeviceEntry) -> DeviceEntry:
        """Return a device under its name on the bench, with the serial number that a neighbour expects of it."""
        expected = [
            near.peer
            for near, far in self._pairs(station)
            if far is not None and far.unit == entry.name and near.peer and near.peer != entry.serial_number
        ]
        serial = entry.serial_number or next(iter(expected), "")
        for other in expected:
            if other != serial:
                self.mistakes.append(
                    f"{station.name}: devices.{entry.name}.serial_number: is {serial}, and a neighbour's half-link "
                    f"expects the peer {other}"
                )
        return replace(entry, name=self._names[station.name][entry.name], serial_number=serial)

    def _pairs(self, station: Station) -> list[tuple[HalfLinkEntry, HalfLinkEntry | None]]:
        """Return the half-links of others that lead to a station, each with the half-link there that it meets."""
        return [
            (near, station.half_links.get(near.name))
            for other in self._stations
            for near in other.half_links.values()
            if near.neighbour == station.name and other is not station
        ]

    # --- links --------------------------------------------------------------------------------------------------------

    def _renamed(self, station: Station, link: LinkEntry) -> LinkEntry:
        names = self._names[station.name]
        return replace(
            link,
            transmitter=names[link.transmitter],
            receiver=names[link.receiver],
            paths=self._paths(station, link.paths),
            receiver_switches=tuple(names[switch] for switch in link.receiver_switches),
        )

    def _paths(self, station: Station, paths: Mapping[str, Mapping[str, PortPairs]]) -> dict[str, dict[str, PortPairs]]:
        names = self._names[station.name]
        return {path: {names[switch]: pairs for switch, pairs in needs.items()} for path, needs in paths.items()}

    def _met(self, station: Station) -> dict[str, LinkEntry]:
        """Return the links whose transmitter is at a station, and note what is wrong with each half-link of it."""
        found: dict[str, LinkEntry] = {}
        for name, near in station.half_links.items():
            where = f"{station.name}: links.{name}"
            other = self._by_name.get(near.neighbour)
            if other is None or other is station:
                self._note_alone(station, near)
                continue
            far = other.half_links.get(name)
            if far is None:
                has = _listed([end.name for end in other.half_links.values()]) or "none"
                self.mistakes.append(f"{where}: {other.name} has no half-link {name}; it has {has}")
            elif far.neighbour != station.name:
                self.mistakes.append(
                    f"{where}: leads to {other.name}, whose half-link {name} leads to {far.neighbour}; "
                    "each end names the station of the other one"
                )
            elif (link := self._whole(station, near, other, far)) is not None:
                found[name] = link
        return found

    def _note_alone(self, station: Station, near: HalfLinkEntry) -> None:
        if self._benches or near.emulator:
            self.mistakes.append(
                f"{station.name}: links.{near.name}: its other end is at {near.neighbour}; emulate the station file of "
                "that name together with this one: `tokaido emulate` takes both, and [station] name says what a "
                "station is called"
            )

    def _whole(self, station: Station, near: HalfLinkEntry, other: Station, far: HalfLinkEntry) -> LinkEntry | None:
        """Return the link that two half-links make, if the first one is the transmitter's; None if the other one is."""
        where = f"{station.name}: links.{near.name}"
        sides = _role(station, near.unit), _role(other, far.unit)
        if sides == (Receiver, Transmitter):
            return None  # the other end's to look at
        if sides != (Transmitter, Receiver):
            if not self._looked_at(station, other):
                self.mistakes.append(
                    f"{where}.unit: {near.unit} and {far.unit} of {other.name} are not a transmitter and a receiver"
                )
            return None
        if set(near.paths) != set(far.paths):
            self.mistakes.append(
                f"{where}.paths: has {_listed(near.paths) or 'none'}, and {other.name} has "
                f"{_listed(far.paths) or 'none'}; both ends name the same paths, with {{}} where a site has no "
                "switch on one"
            )
            return None
        if near.emulator and far.emulator:
            self.mistakes.append(f"{where}.emulator: stands at {other.name}, too; keep one of them")
        if not (near.emulator or far.emulator or self._benches):
            self.mistakes.append(
                f"{where}: neither end says what lies between them; give one of both files a table "
                f"[links.{near.name}.emulator] with length_km and loss_db, or a table [bench]"
            )
        if near.lease_file is not None and near.lease_file == far.lease_file:
            self.mistakes.append(
                f"{where}.lease_file: is that of {other.name}, too; each site has a file of its own, since they name "
                "links and devices alike"
            )
        here, there = self._paths(station, near.paths), self._paths(other, far.paths)
        return LinkEntry(
            near.name,
            self._names[station.name][near.unit],
            self._names[other.name][far.unit],
            {path: needs | there[path] for path, needs in here.items()},
            emulator=near.emulator or far.emulator,
            receiver_switches=tuple(self._names[other.name][switch] for switch in far.switches),
        )

    def _looked_at(self, station: Station, other: Station) -> bool:
        """Return whether the other end was looked at first, so that a mistake of both is told once."""
        names = [each.name for each in self._stations]
        return names.index(other.name) < names.index(station.name)


def _role(station: Station, unit: str) -> type[Transmitter | Receiver] | None:
    """Return which of both a unit is; None for neither."""
    kind = load_driver(station.devices[unit].driver, Device)
    return next((role for role in ROLES if issubclass(kind, role)), None)


def _listed(names: Sequence[str] | Mapping[str, object]) -> str:
    *first, last = tuple(names) or ("",)
    return f"{', '.join(first)} and {last}" if first else last
