"""What a station file says, and every mistake in it, each with its line or key and what to do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from tokaido.hal._device import Device
from tokaido.hal._errors import ConfigurationError
from tokaido.hal._registry import drivers, load_driver
from tokaido.hal.stations._entries import DeviceEntry, InterlockEntry, LinkEntry, OnExit
from tokaido.hal.stations._interlock_file import read_interlock
from tokaido.hal.stations._link_file import LinkReader
from tokaido.hal.transports._resources import Resource

if TYPE_CHECKING:
    from pathlib import Path


class StationTables(NamedTuple):
    """The tables of a station file."""

    name: str
    on_exit: OnExit
    devices: dict[str, DeviceEntry]
    links: dict[str, LinkEntry]
    interlocks: tuple[InterlockEntry, ...]
    bench: dict[str, Any]


class StationReader:
    """Reads the tables of a station file and collects every mistake."""

    def __init__(self, text: str, base: Path | None) -> None:
        self._lines = text.splitlines()
        self._base = base
        self._kinds: dict[str, type[Device]] = {}
        self.mistakes: list[str] = []

    def station(self, tables: dict[str, Any]) -> StationTables:
        """Return what the tables say."""
        self._unknown(tables, (), ("station", "devices", "links", "interlocks", "bench"))
        head = self._table(tables, (), "station")
        self._unknown(head, ("station",), ("name", "on_exit"))
        name = self._text(head, ("station",), "name", "station")
        on_exit = self._text(head, ("station",), "on_exit", "safe")
        if on_exit not in ("safe", "keep"):
            self._mistake(("station", "on_exit"), f'must be "safe" or "keep", not {on_exit!r}')
        devices = {
            key: self._device(key, self._table(self._table(tables, (), "devices"), ("devices",), key))
            for key in self._table(tables, (), "devices")
        }
        if not devices and "devices" not in tables:
            self._mistake(("devices",), "there is none; add a table [devices.NAME] with driver and control")
        kinds = {key: self._kinds.get(entry.driver) for key, entry in devices.items()}
        links = {
            key: LinkReader(key, kinds, self._base, self._mistake).entry(
                self._table(self._table(tables, (), "links"), ("links",), key)
            )
            for key in self._table(tables, (), "links")
        }
        interlocks = tuple(
            read_interlock(
                key, self._table(self._table(tables, (), "interlocks"), ("interlocks",), key), kinds, self._mistake
            )
            for key in self._table(tables, (), "interlocks")
        )
        return StationTables(
            name=name,
            on_exit="keep" if on_exit == "keep" else "safe",
            devices=devices,
            links=links,
            interlocks=interlocks,
            bench=self._table(tables, (), "bench"),
        )

    def _device(self, name: str, table: dict[str, Any]) -> DeviceEntry:
        path = ("devices", name)
        plain = ("driver", "serial_number", "timeout", "emulator")
        driver = self._text(table, path, "driver", "")
        known = [entry.name for entry in drivers()]
        if "driver" not in table:
            self._mistake(path, f"driver is missing; installed are {', '.join(known)}")
        elif driver and driver not in known:
            self._mistake((*path, "driver"), f"there is no driver {driver!r}; installed are {', '.join(known)}")
        timeout = table.get("timeout", 1.0)
        if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not 0 < timeout <= 3600:
            self._mistake((*path, "timeout"), f"must be a number of seconds, 0 to 3600, not {timeout!r}")
            timeout = 1.0
        names = self._resource_names(driver) if driver in known else None
        resources: dict[str, Resource] = {}
        for key, text in table.items():
            if key in plain:
                continue
            if names is not None and key not in names:
                self._mistake((*path, key), f"unknown key; {driver} takes {', '.join((*plain, *names))}")
            elif not isinstance(text, str):
                self._mistake((*path, key), f'must be a resource such as "serial:/dev/ttyUSB0", not {text!r}')
            else:
                try:
                    resources[key] = Resource.parse(text, self._base)
                except ConfigurationError as error:
                    for mistake in error.mistakes or (str(error),):
                        self._mistake((*path, key), mistake)
        for key in names or ():
            if key not in table and names is not None and names[key]:
                self._mistake(path, f"{key} is missing; {driver} needs it")
        return DeviceEntry(
            name=name,
            driver=driver,
            resources=resources,
            serial_number=self._text(table, path, "serial_number", ""),
            timeout=float(timeout),
            emulator=self._table(table, path, "emulator"),
        )

    def _resource_names(self, driver: str) -> dict[str, bool] | None:
        try:
            kind = load_driver(driver, Device)
        except ConfigurationError as error:
            self.mistakes.append(str(error))
            return None
        self._kinds[driver] = kind
        return {name: name not in kind.optional_resources for name in kind.resource_kinds}

    def _table(self, tables: dict[str, Any], path: tuple[str, ...], key: str) -> dict[str, Any]:
        value = tables.get(key, {})
        if isinstance(value, dict):
            return value
        self._mistake((*path, key), f"must be a table, not {value!r}")
        return {}

    def _text(self, table: dict[str, Any], path: tuple[str, ...], key: str, default: str) -> str:
        value = table.get(key, default)
        if isinstance(value, str):
            return value
        self._mistake((*path, key), f"must be text in quotes, not {value!r}")
        return default

    def _unknown(self, table: dict[str, Any], path: tuple[str, ...], known: tuple[str, ...]) -> None:
        for key in table:
            if key not in known:
                self._mistake((*path, key), f"unknown key; known are {', '.join(known)}")

    def _mistake(self, path: tuple[str, ...], what: str) -> None:
        line = self._line(path)
        self.mistakes.append(f"{f'line {line}, ' if line else ''}{'.'.join(path)}: {what}")

    def _line(self, path: tuple[str, ...]) -> int:
        """Return the line that a key stands in, from 1; that of its table if it cannot be told; 0 if neither."""
        header = re.compile(r"\s*\[\s*([^\]]+?)\s*\]")
        wanted, key = ".".join(path[:-1]), path[-1]
        inside, table_line = wanted == "", 0
        for number, line in enumerate(self._lines, 1):
            if found := header.match(line):
                name = re.sub(r"\s*\.\s*", ".", found[1].replace('"', ""))
                if name == ".".join(path):
                    return number
                inside = name == wanted
                table_line = number if inside else table_line
            elif inside and re.match(rf"\s*\"?{re.escape(key)}\"?\s*=", line):
                return number
        return table_line
