"""The devices of one place, as a TOML file and as an object."""

from __future__ import annotations

import re
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, cast

from tokaido.hal._clock import SYSTEM_CLOCK, Clock
from tokaido.hal._device import Device
from tokaido.hal._errors import ConfigurationError, TokaidoError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from tokaido.hal._resources import Resource

D = TypeVar("D", bound=Device)

OnExit = Literal["safe", "keep"]


@dataclass(frozen=True, slots=True)
class DeviceEntry:
    """One device of a station: what is needed to open it."""

    name: str
    driver: str
    resources: Mapping[str, Resource]
    serial_number: str = ""
    """If given, any other box is refused."""
    timeout: float = 1.0
    """Deadline of one exchange, in s."""
    emulator: Mapping[str, Any] = field(default_factory=dict)
    """The table `emulator`, for whoever emulates this station."""


class Station:
    """The devices of one place. Each is opened on first use and closed with the station.

    A station file has a table `station` (`name`, and `on_exit` = "safe" or "keep") and a table `devices.NAME` for each
    device (`driver`, `control`, `keys`, `serial_number`, `timeout`). Files named in resources are taken relative to it.
    """

    def __init__(
        self,
        name: str,
        devices: Mapping[str, DeviceEntry],
        *,
        on_exit: OnExit = "safe",
        links: Mapping[str, Mapping[str, Any]] | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.name = name
        self.devices = dict(devices)
        self.on_exit: OnExit = on_exit
        self.links = dict(links or {})
        """The tables `links`, for whoever emulates this station."""
        self._clock = clock
        self._open: dict[str, Device] = {}

    @classmethod
    def from_file(cls, path: str | Path, *, clock: Clock = SYSTEM_CLOCK) -> Self:
        """Read a station file.

        Raises:
            ConfigurationError: With every mistake in it, each with its line or key and what to do.
        """
        path = Path(path)
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"the station file {path} cannot be read: {error}") from error
        return cls.from_text(text, source=str(path), base=path.parent, clock=clock)

    @classmethod
    def from_text(
        cls, text: str, *, source: str = "station", base: Path | None = None, clock: Clock = SYSTEM_CLOCK
    ) -> Self:
        """Read a station from the text of its file.

        Raises:
            ConfigurationError: With every mistake in it.
        """
        import tomllib  # noqa: PLC0415 - 11 to 20 ms that only stations need

        try:
            tables = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ConfigurationError(f"{source} is not TOML: {error}") from error
        reader = _Reader(text, base)
        station = reader.station(tables)
        if reader.mistakes:
            count = len(reader.mistakes)
            raise ConfigurationError(
                f"{source} has {count} mistake{'s' if count > 1 else ''}", mistakes=tuple(reader.mistakes)
            )
        name, on_exit, devices, links = station
        return cls(name, devices, on_exit=on_exit, links=links, clock=clock)

    def device(self, name: str, role: Callable[..., D]) -> D:
        """Return a device, opened on first use, as its role: `station.device("alice", hal.Transmitter)`.

        Raises:
            ConfigurationError: The station has none of that name, or it fills another role.
            TransportError: It could not be reached.
        """
        entry = self.devices.get(name)
        if entry is None:
            raise ConfigurationError(
                f"station {self.name} has no device {name!r}", remedy=f"It has {', '.join(self.devices) or 'none'}"
            )
        device = self._open.get(name)
        if device is None:
            device = Device.open(
                entry.driver,
                name=name,
                serial_number=entry.serial_number,
                timeout=entry.timeout,
                clock=self._clock,
                trace=None,
                **entry.resources,
            )
            self._open[name] = device
        if not isinstance(role, type) or not isinstance(device, role):
            raise ConfigurationError(f"{name} is a {type(device).__name__}, not a {getattr(role, '__name__', role)}")
        return cast("D", device)

    def close(self) -> None:
        """Close the devices that were opened, each after its safe state if the station says so.

        Every device gets its turn; what failed is raised together in the end.

        Raises:
            TokaidoError: A device could not be brought to its safe state.
        """
        failed: list[str] = []
        with ExitStack() as stack:
            while self._open:
                name, device = self._open.popitem()
                stack.callback(device.close)
                if self.on_exit == "safe":
                    try:
                        device.apply_safe_state()
                    except TokaidoError as error:
                        failed.append(f"{name}: {error}")
        if failed:
            raise TokaidoError(
                "not every device is known to be in its safe state: " + "; ".join(failed),
                remedy="Look at them; a unit with a lease goes there by itself",
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Reader:
    """Reads the tables of a station file and collects every mistake."""

    def __init__(self, text: str, base: Path | None) -> None:
        self._lines = text.splitlines()
        self._base = base
        self.mistakes: list[str] = []

    def station(self, tables: dict[str, Any]) -> tuple[str, OnExit, dict[str, DeviceEntry], dict[str, Any]]:
        """Return name, exit policy, devices and links."""
        self._unknown(tables, (), ("station", "devices", "links"))
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
        links = self._table(tables, (), "links")
        return name, "keep" if on_exit == "keep" else "safe", devices, links

    def _device(self, name: str, table: dict[str, Any]) -> DeviceEntry:
        from tokaido.hal._registry import drivers  # noqa: PLC0415 - entry points cost 28 ms
        from tokaido.hal._resources import Resource  # noqa: PLC0415

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
        from tokaido.hal._registry import load_driver  # noqa: PLC0415

        try:
            kind = load_driver(driver, Device)
        except ConfigurationError as error:
            self.mistakes.append(str(error))
            return None
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
                name = found[1].replace('"', "").replace(" ", "")
                if name == ".".join(path):
                    return number
                inside = name == wanted
                table_line = number if inside else table_line
            elif inside and re.match(rf"\s*\"?{re.escape(key)}\"?\s*=", line):
                return number
        return table_line
