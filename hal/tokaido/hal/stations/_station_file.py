"""What a station file says, and every mistake in it, each with its line or key and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tokaido.hal._device import Device, OnExit
from tokaido.hal._errors import ConfigurationError
from tokaido.hal._near import did_you_mean
from tokaido.hal._registry import drivers, load_driver
from tokaido.hal.stations._entries import AnyInterlockEntry, DeviceEntry, HalfLinkEntry, LinkEntry
from tokaido.hal.stations._interlock_file import read_interlock
from tokaido.hal.stations._link_file import LinkReader
from tokaido.hal.tables import Mistakes
from tokaido.hal.transports._resources import Resource

if TYPE_CHECKING:
    from pathlib import Path

    from tokaido.hal._calibrations import Calibration
    from tokaido.hal.stations._alarm_hooks import AlarmHook


class StationTables(NamedTuple):
    """The tables of a station file."""

    name: str
    on_exit: OnExit
    devices: dict[str, DeviceEntry]
    links: dict[str, LinkEntry]
    half_links: dict[str, HalfLinkEntry]
    interlocks: tuple[AnyInterlockEntry, ...]
    alarm_hooks: tuple[AlarmHook, ...]
    bench: dict[str, Any]
    server: dict[str, Any]


class StationReader:
    """Reads the tables of a station file and collects every mistake."""

    def __init__(self, text: str, base: Path | None) -> None:
        self._base = base
        self._kinds: dict[str, type[Device]] = {}
        self.mistakes = Mistakes(text)

    def station(self, tables: dict[str, Any]) -> StationTables:
        """Return what the tables say."""
        self.mistakes.only((), tables, ("station", "devices", "links", "interlocks", "alarms", "bench", "server"))
        head = self.mistakes.table((), tables, "station")
        self.mistakes.only(("station",), head, ("name", "on_exit"))
        name = self.mistakes.text(("station",), head, "name", "station")
        on_exit = self.mistakes.text(("station",), head, "on_exit", "safe")
        if on_exit not in ("safe", "keep"):
            self.mistakes.note(("station", "on_exit"), f'must be "safe" or "keep", not {on_exit!r}')
        devices = {
            key: self._device(key, self.mistakes.table(("devices",), self.mistakes.table((), tables, "devices"), key))
            for key in self.mistakes.table((), tables, "devices")
        }
        if not devices and "devices" not in tables:
            self.mistakes.note(("devices",), "there is none; add a table [devices.NAME] with driver and control")
        kinds = {key: self._kinds.get(entry.driver) for key, entry in devices.items()}
        links = {
            key: LinkReader(key, kinds, self._base, self.mistakes).entry(
                self.mistakes.table(("links",), self.mistakes.table((), tables, "links"), key)
            )
            for key in self.mistakes.table((), tables, "links")
        }
        interlocks = tuple(
            read_interlock(
                key,
                self.mistakes.table(("interlocks",), self.mistakes.table((), tables, "interlocks"), key),
                kinds,
                self.mistakes,
            )
            for key in self.mistakes.table((), tables, "interlocks")
        )
        return StationTables(
            name=name,
            on_exit="keep" if on_exit == "keep" else "safe",
            devices=devices,
            links={key: entry for key, entry in links.items() if isinstance(entry, LinkEntry)},
            half_links={key: entry for key, entry in links.items() if isinstance(entry, HalfLinkEntry)},
            interlocks=interlocks,
            alarm_hooks=self._alarm_hooks(self.mistakes.table((), tables, "alarms")) if "alarms" in tables else (),
            bench=self.mistakes.table((), tables, "bench"),
            server=self.mistakes.table((), tables, "server"),
        )

    def _alarm_hooks(self, alarms: dict[str, Any]) -> tuple[AlarmHook, ...]:
        from tokaido.hal.stations._alarm_file import read_hooks  # noqa: PLC0415 - for files that have some

        return read_hooks(alarms, self._base, self.mistakes)

    def _device(self, name: str, table: dict[str, Any]) -> DeviceEntry:
        path = ("devices", name)
        plain = ("driver", "serial_number", "timeout", "emulator", "calibrations")
        driver = self.mistakes.text(path, table, "driver", "")
        known = [entry.name for entry in drivers()]
        if "driver" not in table:
            self.mistakes.note(path, f"driver is missing; installed are {', '.join(known)}")
        elif driver and driver not in known:
            near = did_you_mean(str(driver), known)
            self.mistakes.note(
                (*path, "driver"), f"there is no driver {driver!r}. {near}Installed are {', '.join(known)}"
            )
        timeout = table.get("timeout", 1.0)
        if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not 0 < timeout <= 3600:
            self.mistakes.note((*path, "timeout"), f"must be a number of seconds, 0 to 3600, not {timeout!r}")
            timeout = 1.0
        names = self._resource_names(driver) if driver in known else None
        resources: dict[str, Resource] = {}
        for key, text in table.items():
            if key in plain:
                continue
            if names is not None and key not in names:
                self.mistakes.note((*path, key), f"unknown key; {driver} takes {', '.join((*plain, *names))}")
            elif not isinstance(text, str):
                self.mistakes.note((*path, key), f'must be a resource such as "serial:/dev/ttyUSB0", not {text!r}')
            else:
                try:
                    resources[key] = Resource.parse(text, self._base)
                except ConfigurationError as error:
                    for mistake in error.mistakes or (str(error),):
                        self.mistakes.note((*path, key), mistake)
        for key in names or ():
            if key not in table and names is not None and names[key]:
                self.mistakes.note(path, f"{key} is missing; {driver} needs it")
        if driver in self._kinds:
            for mistake in self._kinds[driver].complaints(resources):
                self.mistakes.note(path, mistake)
        return DeviceEntry(
            name=name,
            driver=driver,
            resources=resources,
            serial_number=self.mistakes.text(path, table, "serial_number", ""),
            timeout=float(timeout),
            emulator=self.mistakes.table(path, table, "emulator"),
            calibrations=self._calibrations(path, table, driver) if "calibrations" in table else {},
        )

    def _calibrations(self, path: tuple[str, ...], table: dict[str, Any], driver: str) -> dict[str, Calibration]:
        from tokaido.hal.stations._calibration_file import read_calibrations  # noqa: PLC0415 - for files that have some

        tables = self.mistakes.table(path, table, "calibrations")
        return read_calibrations((*path, "calibrations"), tables, self._kinds.get(driver), self.mistakes)

    def _resource_names(self, driver: str) -> dict[str, bool] | None:
        try:
            kind = load_driver(driver, Device)
        except ConfigurationError as error:
            self.mistakes.append(str(error))
            return None
        self._kinds[driver] = kind
        return {name: name not in kind.optional_resources for name in kind.resource_kinds}
