"""The links of a station with their devices, each opened on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokaido.hal._errors import ConfigurationError
from tokaido.hal._near import did_you_mean
from tokaido.hal.roles._switch import OpticalSwitch
from tokaido.hal.roles._units import Receiver, Transmitter, Unit
from tokaido.hal.stations._half_links import HalfLink
from tokaido.hal.stations._links import Link

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokaido.hal.stations._entries import HalfLinkEntry, LinkEntry
    from tokaido.hal.stations._leases import Leases
    from tokaido.hal.stations._station import Station


def link_of(station: Station, name: str, leases_of: Callable[[LinkEntry], Leases | None]) -> Link:
    """Return a whole link: see `Station.link`."""
    if name in station.half_links:
        raise ConfigurationError(
            f"station {station.name} has one end of link {name} alone; the other one is at "
            f"{station.half_links[name].neighbour}",
            remedy=f"station.half_link({name!r}) returns it",
        )
    entry = station.links.get(name)
    if entry is None:
        raise _unknown(station, name)
    return Link(
        entry,
        station.device(entry.transmitter, Transmitter),
        station.device(entry.receiver, Receiver),
        _switches(station, entry),
        leases=leases_of(entry),
        clock=station.clock,
    )


def half_link_of(station: Station, name: str, leases_of: Callable[[HalfLinkEntry], Leases | None]) -> HalfLink:
    """Return one end of a link: see `Station.half_link`."""
    if name in station.links:
        raise ConfigurationError(
            f"station {station.name} has both ends of link {name}",
            remedy=f"station.link({name!r}) returns it, and .halves of that its ends, the transmitter's first",
        )
    entry = station.half_links.get(name)
    if entry is None:
        raise _unknown(station, name)
    unit, switches = station.device(entry.unit, Unit), _switches(station, entry)
    return HalfLink(entry, unit, switches, leases=leases_of(entry), clock=station.clock)


def _switches(station: Station, entry: LinkEntry | HalfLinkEntry) -> dict[str, OpticalSwitch]:
    return {name: station.device(name, OpticalSwitch) for name in entry.switches}


def _unknown(station: Station, name: str) -> ConfigurationError:
    known = (*station.links, *station.half_links)
    return ConfigurationError(
        f"station {station.name} has no link {name!r}",
        remedy=f"{did_you_mean(name, known)}It has {', '.join(known) or 'none'}",
    )
