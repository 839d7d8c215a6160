"""What a table `links.NAME` of a station file says, and every mistake in it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tokaido.hal.roles._switch import OpticalSwitch
from tokaido.hal.roles._units import Receiver, Transmitter, Unit
from tokaido.hal.stations._entries import HalfLinkEntry, LinkEntry, PortPairs
from tokaido.hal.stations._interlock_file import device_named

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokaido.hal._device import Device
    from tokaido.hal.tables import Mistakes

WHOLE_KEYS: Final = ("transmitter", "receiver", "receiver_switches")
HALF_KEYS: Final = ("unit", "neighbour", "peer")
COMMON_KEYS: Final = ("lease_file", "paths", "emulator")
MOVED: Final = ("length_km", "loss_db", "settings", "load_preshared_key")
"""Keys that once stood in the table itself."""
_NAMES: Final = "has 1 to 64 of A-Z a-z 0-9 . _ - and begins with a letter or a digit"
PATH_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,24}")
NODE_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""Name of a node, and of a link between two."""


class LinkReader:
    """Reads one table `links.NAME` and notes every mistake in it.

    Args:
        name: Of the table.
        devices: The devices of the station with their drivers, None where the driver itself is a mistake.
        base: The folder that files are relative to.
        mistakes: Where mistakes go.
    """

    def __init__(
        self, name: str, devices: Mapping[str, type[Device] | None], base: Path | None, mistakes: Mistakes
    ) -> None:
        self._where = ("links", name)
        self._devices = devices
        self._base = base
        self._mistakes = mistakes

    def entry(self, table: Mapping[str, Any]) -> LinkEntry | HalfLinkEntry:
        """Return what the table says: a whole link, or one end of it if it names a `unit` or a `neighbour`."""
        said_half = [key for key in HALF_KEYS if key in table]
        said_whole = [key for key in WHOLE_KEYS if key in table]
        known: tuple[str, ...] = (*(HALF_KEYS if said_half else WHOLE_KEYS), *COMMON_KEYS)
        if said_half and said_whole:
            known = (*WHOLE_KEYS, *HALF_KEYS, *COMMON_KEYS)
            self._mistakes.note(
                self._where,
                f"{' and '.join(said_whole)} are of a whole link, {' and '.join(said_half)} of one end of one; name "
                "transmitter and receiver if both are in this station, or unit and neighbour if the other end is "
                "another node's",
            )
        for key in table:
            if key in MOVED:
                self._mistakes.note((*self._where, key), f"belongs to the emulator: [{'.'.join(self._where)}.emulator]")
            elif key not in known:
                self._mistakes.note((*self._where, key), f"unknown key; known are {', '.join(known)}")
        return self._half(table, mixed=bool(said_whole)) if said_half else self._whole(table)

    def _whole(self, table: Mapping[str, Any]) -> LinkEntry:
        units: list[str] = []
        for key, role in (("transmitter", Transmitter), ("receiver", Receiver)):
            if key in table:
                units.append(self._device((*self._where, key), table[key], role))
            else:
                self._mistakes.note(
                    self._where,
                    f"{key} is missing; name a device of the station, or unit and neighbour for one end of a link",
                )
                units.append("")
        paths = self._paths(table, bare=False)
        return LinkEntry(
            name=self._where[1],
            transmitter=units[0],
            receiver=units[1],
            paths=paths,
            lease_file=self._lease_file(table),
            emulator=self._mistakes.table(self._where, table, "emulator"),
            receiver_switches=self._receiver_switches(table.get("receiver_switches", []), paths),
        )

    def _half(self, table: Mapping[str, Any], *, mixed: bool) -> HalfLinkEntry:
        if not NODE_NAME.fullmatch(self._where[1]):
            self._mistakes.note(self._where, f"{self._where[1]!r} is not a name that {_NAMES}; both ends call it so")
        found: dict[str, str] = {"peer": ""}
        for key, what in (("unit", "a unit of the station"), ("neighbour", "the node at the other end")):
            found[key] = ""
            if key not in table and not mixed:
                self._mistakes.note(self._where, f"{key} is missing; name {what}")
        if "unit" in table:
            found["unit"] = self._device((*self._where, "unit"), table["unit"], Unit)
        for key, name, must_be in (
            ("neighbour", NODE_NAME, f'must be the name of a node such as "koganei", which {_NAMES}'),
            ("peer", re.compile(r"\S.*"), 'must be the serial number of the unit at the other end, such as "TKRX0001"'),
        ):
            value = table.get(key)
            if isinstance(value, str) and name.fullmatch(value):
                found[key] = value
            elif key in table:
                self._mistakes.note((*self._where, key), f"{must_be}, not {value!r}")
        return HalfLinkEntry(
            name=self._where[1],
            **found,
            paths=self._paths(table, bare=True),
            lease_file=self._lease_file(table),
            emulator=self._mistakes.table(self._where, table, "emulator"),
        )

    def _paths(self, table: Mapping[str, Any], *, bare: bool) -> dict[str, dict[str, PortPairs]]:
        """Read the paths; `bare` ones may have no switch, where all that they need stands at the other end."""
        tables = self._mistakes.table(self._where, table, "paths")
        paths = {name: self._path(name, needs, bare=bare) for name, needs in tables.items()}
        self._compare(paths)
        return paths

    def _receiver_switches(self, names: object, paths: Mapping[str, Mapping[str, PortPairs]]) -> tuple[str, ...]:
        """Read which switches stand at the receiver's end."""
        where = (*self._where, "receiver_switches")
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            self._mistakes.note(where, f'must list switches of the paths, such as ["east"], not {names!r}')
            return ()
        switches = dict.fromkeys(switch for needs in paths.values() for switch in needs)
        for name in names:
            if name not in switches:
                self._mistakes.note(
                    where, f"no path leads over {name!r}; they lead over {', '.join(switches) or 'none'}"
                )
        return tuple(dict.fromkeys(names))

    def _path(self, name: str, needs: object, *, bare: bool) -> dict[str, PortPairs]:
        where = (*self._where, "paths", name)
        if not PATH_NAME.fullmatch(name):
            self._mistakes.note(where, f"{name!r} is not a name of a path, which is 1 to 24 of A-Z a-z 0-9 . _ -")
        if not isinstance(needs, dict) or (not needs and not bare):
            empty = "; {} where this site has no switch on it" if bare else ""
            self._mistakes.note(where, f"must be a table of pairs by switch, such as west = [[1, 1]]{empty}")
            return {}
        found: dict[str, PortPairs] = {}
        for switch, pairs in needs.items():
            self._device((*where, switch), switch, OpticalSwitch)
            found[switch] = self._pairs((*where, switch), pairs)
        return found

    def _pairs(self, where: tuple[str, ...], pairs: object) -> PortPairs:
        found: list[tuple[int, int]] = []
        for pair in pairs if isinstance(pairs, list) and pairs else [None]:
            if not isinstance(pair, list) or len(pair) != 2 or not all(type(port) is int and port > 0 for port in pair):
                self._mistakes.note(
                    where, f"must be a list of [input, output], counted from 1, such as [[1, 3]], not {pairs!r}"
                )
                return ()
            found.append((pair[0], pair[1]))
        for side, ports in (("input", [pair[0] for pair in found]), ("output", [pair[1] for pair in found])):
            for port in sorted({port for port in ports if ports.count(port) > 1}):
                self._mistakes.note(where, f"{side} {port} stands twice; a switch joins one to one")
        return tuple(found)

    def _compare(self, paths: Mapping[str, Mapping[str, PortPairs]]) -> None:
        """See that all paths name the same switches, and that no two are the same."""
        names = list(paths)
        for position, name in enumerate(names[1:], 1):
            where = (*self._where, "paths", name)
            if set(paths[name]) != set(paths[names[0]]):
                self._mistakes.note(
                    where,
                    f"names {', '.join(paths[name]) or 'no switch'}, and path {names[0]} names "
                    f"{', '.join(paths[names[0]]) or 'none'}; each path says what it needs of every switch",
                )
            for other in names[:position]:
                if paths[name] and {switch: set(pairs) for switch, pairs in paths[name].items()} == {
                    switch: set(pairs) for switch, pairs in paths[other].items()
                }:
                    self._mistakes.note(where, f"needs the same pairs as path {other}; they cannot be told apart")

    def _device(self, where: tuple[str, ...], device: object, role: type) -> str:
        return device_named(where, device, role, self._devices, self._mistakes)

    def _lease_file(self, table: Mapping[str, Any]) -> Path | None:
        file = table.get("lease_file")
        if file is None:
            return None
        if not isinstance(file, str) or not file:
            self._mistakes.note(
                (*self._where, "lease_file"), f'must name a file, such as "leases.sqlite", not {file!r}'
            )
            return None
        return self._base / file if self._base is not None else Path(file)
