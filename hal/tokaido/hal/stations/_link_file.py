"""What a table `links.NAME` of a station file says, and every mistake in it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tokaido.hal.roles._switch import OpticalSwitch
from tokaido.hal.roles._units import Receiver, Transmitter
from tokaido.hal.stations._entries import LinkEntry, PortPairs
from tokaido.hal.stations._interlock_file import device_named

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokaido.hal._device import Device
    from tokaido.hal.tables import Mistakes

KEYS: Final = ("transmitter", "receiver", "lease_file", "paths", "emulator")
MOVED: Final = ("length_km", "loss_db", "settings", "load_preshared_key")
"""Keys that once stood in the table itself."""
PATH_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,24}")


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

    def entry(self, table: Mapping[str, Any]) -> LinkEntry:
        """Return what the table says."""
        for key in table:
            if key in MOVED:
                self._mistakes.note((*self._where, key), f"belongs to the emulator: [{'.'.join(self._where)}.emulator]")
            elif key not in KEYS:
                self._mistakes.note((*self._where, key), f"unknown key; known are {', '.join(KEYS)}")
        units: list[str] = []
        for key, role in (("transmitter", Transmitter), ("receiver", Receiver)):
            if key in table:
                units.append(self._device((*self._where, key), table[key], role))
            else:
                self._mistakes.note(self._where, f"{key} is missing; name a device of the station")
                units.append("")
        paths = {
            name: self._path(name, needs) for name, needs in self._mistakes.table(self._where, table, "paths").items()
        }
        self._compare(paths)
        return LinkEntry(
            name=self._where[1],
            transmitter=units[0],
            receiver=units[1],
            paths=paths,
            lease_file=self._lease_file(table),
            emulator=self._mistakes.table(self._where, table, "emulator"),
        )

    def _path(self, name: str, needs: object) -> dict[str, PortPairs]:
        where = (*self._where, "paths", name)
        if not PATH_NAME.fullmatch(name):
            self._mistakes.note(where, f"{name!r} is not a name of a path, which is 1 to 24 of A-Z a-z 0-9 . _ -")
        if not isinstance(needs, dict) or not needs:
            self._mistakes.note(where, "must be a table of pairs by switch, such as west = [[1, 1]]")
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
