"""What a station file asks to be emulated, checked whole before anything is started."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import tokaido.hal as hal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROLES: Final = {"transmitter": "toshiba.transmitter", "receiver": "toshiba.receiver"}
SETTINGS: Final = ("published", "short-block")


@dataclass(frozen=True, slots=True)
class EmulatedDevice:
    """One device of the station, and where its emulator has to appear."""

    name: str
    driver: str
    port: Path
    """Where its console is to be found."""
    endpoint: str
    """Where its key channel is bound."""
    server_keys: Path
    """Public key file of the device; the secret one lies beside it."""
    client_keys: Path
    """Secret key file of the host; the public one lies beside it."""
    options: dict[str, Any] = field(default_factory=dict)
    """`serial_number`, `warm`, `seed` and `speed`, those that the file names."""


@dataclass(frozen=True, slots=True)
class EmulatedLink:
    """Two devices that a fibre joins."""

    name: str
    transmitter: EmulatedDevice
    receiver: EmulatedDevice
    length_km: float
    loss_db: float
    settings: str
    load_preshared_key: bool

    def option(self, name: str, default: Any) -> Any:
        """Return what both units of the link have in common: `warm`, `seed` or `speed`."""
        return self.transmitter.options.get(name, self.receiver.options.get(name, default))


@dataclass(slots=True)
class Plan:
    """All that a station file asks to be emulated."""

    devices: dict[str, EmulatedDevice] = field(default_factory=dict)
    """Every device that is emulated, those of links included."""
    links: list[EmulatedLink] = field(default_factory=list)

    @property
    def alone(self) -> list[EmulatedDevice]:
        """The devices that no link joins."""
        joined = {unit.name for link in self.links for unit in (link.transmitter, link.receiver)}
        return [device for name, device in self.devices.items() if name not in joined]


def read_plan(path: Path) -> Plan:
    """Read a station file and return what to emulate: devices and links with a table `emulator`, and their units.

    Raises:
        ConfigurationError: With every mistake in it.
    """
    station = hal.Station.from_file(path)
    reader = _Reader(station)
    plan = reader.plan()
    if not plan.devices and not reader.mistakes:
        reader.mistakes.append(
            "devices: none is emulated; add a table [devices.NAME.emulator], or [links.NAME.emulator]"
        )
    if reader.mistakes:
        count = len(reader.mistakes)
        raise hal.ConfigurationError(
            f"{path} cannot be emulated; it has {count} mistake{'s' if count > 1 else ''}",
            mistakes=tuple(reader.mistakes),
        )
    return plan


def _number(low: float) -> Callable[[object], bool]:
    return lambda value: (
        isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value and math.isfinite(value)
    )


_DEVICE_KEYS: Final[dict[str, tuple[Callable[[object], bool], str]]] = {
    "serial_number": (lambda value: isinstance(value, str), 'text such as "TKTX0001"'),
    "warm": (lambda value: isinstance(value, bool), "true or false"),
    "seed": (lambda value: type(value) is int and value >= 0, "a whole number from 0"),
    "speed": (_number(0.001), "a number of emulated s per s, from 0.001"),
}
_LINK_KEYS: Final[dict[str, tuple[Callable[[object], bool], str]]] = {
    "length_km": (_number(0), "a number of km"),
    "loss_db": (_number(0), "a number of dB"),
    "settings": (lambda value: value in SETTINGS, f"one of {', '.join(SETTINGS)}"),
    "load_preshared_key": (lambda value: isinstance(value, bool), "true or false"),
}


class _Reader:
    """Reads what concerns emulation out of a station, and collects every mistake."""

    def __init__(self, station: hal.Station) -> None:
        self._station = station
        self._emulators = {entry.name for entry in hal.emulators()}
        self.mistakes: list[str] = []

    def plan(self) -> Plan:
        """Return the plan, as far as it could be read."""
        links = [link for link in self._station.links.values() if link.emulator]
        in_links = {name for link in links for name in (link.transmitter, link.receiver)}
        plan = Plan()
        for name, entry in self._station.devices.items():
            if (entry.emulator or name in in_links) and (device := self._device(entry)) is not None:
                plan.devices[name] = device
        for link in links:
            self._link(plan, link)
        self._check_places(plan)
        return plan

    def _device(self, entry: hal.DeviceEntry) -> EmulatedDevice | None:
        where = f"devices.{entry.name}"
        if entry.driver not in self._emulators:
            self.mistakes.append(f"{where}.driver: {entry.driver} has no emulator")
            return None
        options = self._checked(f"{where}.emulator", entry.emulator, _DEVICE_KEYS)
        serial = options.get("serial_number", entry.serial_number)
        if entry.serial_number and serial != entry.serial_number:
            self.mistakes.append(
                f"{where}.emulator.serial_number: is {serial}, and the station expects {entry.serial_number}"
            )
        control, keys = entry.resources.get("control"), entry.resources.get("keys")
        if control is None or "://" in control.address or not control.address.startswith("/"):
            self.mistakes.append(f"{where}.control: an emulator needs an absolute path, such as serial:/tmp/lab/alice")
        if keys is None or keys.address.startswith("inproc:"):
            self.mistakes.append(f"{where}.keys: an emulator needs an endpoint, such as zmq:tcp://127.0.0.1:5560?...")
        if control is None or keys is None or keys.address.startswith("inproc:"):
            return None
        server, client = Path(keys.options["server_key_file"]), Path(keys.options["client_key_file"])
        for key, file, suffix in (("server_key_file", server, ".key"), ("client_key_file", client, ".key_secret")):
            if file.suffix != suffix:
                self.mistakes.append(f"{where}.keys: {key} should end in {suffix}, so that its other half can be found")
            elif file.with_suffix(".key").exists() != file.with_suffix(".key_secret").exists():
                self.mistakes.append(
                    f"{where}.keys: {file} has lost its other half; remove it, or bring the other back"
                )
        if serial:
            options["serial_number"] = serial
        return EmulatedDevice(entry.name, entry.driver, Path(control.address), keys.address, server, client, options)

    def _link(self, plan: Plan, link: hal.LinkEntry) -> None:
        name, where = link.name, f"links.{link.name}"
        found = self._checked(f"{where}.emulator", link.emulator, _LINK_KEYS)
        self.mistakes += [
            f"{where}.emulator: {key} is missing" for key in ("length_km", "loss_db") if key not in link.emulator
        ]
        units: list[EmulatedDevice] = []
        for (side, driver), unit in zip(ROLES.items(), (link.transmitter, link.receiver), strict=True):
            if self._station.devices[unit].driver != driver:
                self.mistakes.append(f"{where}.{side}: {unit} is no {driver}")
            elif any(unit in (other.transmitter.name, other.receiver.name) for other in plan.links):
                self.mistakes.append(f"{where}.{side}: {unit} is in another link already")
            elif unit in plan.devices:
                units.append(plan.devices[unit])
        if len(units) != 2 or "length_km" not in found or "loss_db" not in found:
            return
        for key in ("warm", "seed", "speed"):
            first, second = (unit.options.get(key) for unit in units)
            if None not in (first, second) and first != second:
                self.mistakes.append(f"{where}: its units have one {key} between them, not {first} and {second}")
        plan.links.append(
            EmulatedLink(
                name=name,
                transmitter=units[0],
                receiver=units[1],
                length_km=float(found["length_km"]),
                loss_db=float(found["loss_db"]),
                settings=found.get("settings", "short-block"),
                load_preshared_key=found.get("load_preshared_key", False),
            )
        )

    def _check_places(self, plan: Plan) -> None:
        """See that no two devices claim one place, and that none is taken."""
        places: dict[object, str] = {}
        for device in plan.devices.values():
            for key, place in (("control", device.port), ("keys", device.endpoint)):
                if place in places:
                    self.mistakes.append(f"devices.{device.name}.{key}: {place} belongs to {places[place]} already")
                places[place] = device.name
            if device.port.exists():  # a link that leads nowhere was left by somebody who was killed
                self.mistakes.append(
                    f"devices.{device.name}.control: {device.port} is there already; another emulation may run"
                )

    def _checked(
        self, where: str, table: Mapping[str, Any], keys: Mapping[str, tuple[Callable[[object], bool], str]]
    ) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in table.items():
            if key not in keys:
                self.mistakes.append(f"{where}.{key}: unknown key; known are {', '.join(keys)}")
            elif not keys[key][0](value):
                self.mistakes.append(f"{where}.{key}: must be {keys[key][1]}, not {value!r}")
            else:
                found[key] = value
        return found
