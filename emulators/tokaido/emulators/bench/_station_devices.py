"""What a station file says of emulated devices: how each is built, and where it has to appear."""

from __future__ import annotations

import math
import re
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tokaido.emulators._model import DeviceModel
from tokaido.emulators._options import ModelOptions, model_class
from tokaido.emulators._plugs import choose_end, is_taken
from tokaido.hal import ConfigurationError
from tokaido.hal.tables import Check, Mistakes, number, of_kind, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokaido.hal import DeviceEntry, Resource

TIME: Final[dict[str, Check]] = {
    "seed": Check(whole(0), "a whole number from 0"),
    "speed": Check(number(0.001, 1000), "a number of emulated s per s, from 0.001 to 1000"),
}
"""What all devices of a bench have between them."""
_DEVICE: Final[dict[str, Check]] = {"serial_number": Check(of_kind(str), 'text such as "TKTX0001"')}
_WARM: Final[dict[str, Check]] = {"warm": Check(of_kind(bool), "true or false")}
_OF_TYPE: Final[dict[type, Check]] = {
    bool: Check(of_kind(bool), "true or false"),
    int: Check(of_kind(int), "a whole number"),
    float: Check(number(-math.inf), "a number"),
    str: Check(of_kind(str), "text in quotes"),
}
_LISTENERS: Final = (
    re.compile(r"TCPIP\d*::(?P<host>[^:]+)::(?P<port>\d+)::SOCKET", re.IGNORECASE),
    re.compile(r"TCPIP\d*::(?P<host>[^:]+)::hislip0(,(?P<port>\d+))?(::INSTR)?", re.IGNORECASE),
    re.compile(r"socket://(?P<host>[^:]+):(?P<port>\d+)/?"),
    re.compile(r"tcp://(?P<host>[^:]+):(?P<port>\d+)"),
)
_HISLIP_PORT: Final = 4880
_LOOPBACK: Final = ("127.0.0.1", "localhost")


@dataclass(frozen=True, slots=True)
class EmulatedDevice:
    """One device of the station, and where its emulator has to appear."""

    driver: str
    model: DeviceModel
    """How it will be, without wires."""
    resources: Mapping[str, str]
    serial_number: str | None
    warm: bool
    options: Mapping[str, Any]
    """What else its model is given."""
    key_files: tuple[Path, ...] = ()
    """Secret CURVE key files of the device and of its host; the public ones lie beside them."""


class DeviceReader:
    """Reads tables `devices.NAME` of a station file, and sees that each device can be where it is said to be.

    Args:
        mistakes: Where mistakes go.
        own_time: Whether the tables of the devices, and no other one, say seed and speed.
        for_others: Whether other programs are to open the devices.
        at_resources: Whether the devices are to be at the station's resources; else the places are not looked at.
    """

    def __init__(self, mistakes: Mistakes, *, own_time: bool, for_others: bool, at_resources: bool) -> None:
        self.said: dict[str, dict[Any, str]] = {key: {} for key in TIME}
        """Seeds and speeds, each with the first device that has it."""
        self._mistakes = mistakes
        self._own_time = own_time
        self._for_others = for_others
        self._at_resources = at_resources
        self._places: dict[object, str] = {}

    def device(self, entry: DeviceEntry) -> EmulatedDevice | None:
        """Return what is asked for; None if nobody can emulate it."""
        where = f"devices.{entry.name}"
        try:
            build = model_class(entry.driver)
        except ConfigurationError:
            self._mistakes.note(f"{where}.driver", f"{entry.driver} has no emulator")
            return None
        found = self._options(f"{where}.emulator", entry, build)
        serial = found.pop("serial_number", entry.serial_number) or None
        if entry.serial_number and serial != entry.serial_number:
            self._mistakes.note(
                f"{where}.emulator.serial_number", f"is {serial}, and the station expects {entry.serial_number}"
            )
        warm = found.pop("warm", False)
        try:
            model = build(serial, **found)
        except (ValueError, LookupError) as error:
            self._mistakes.note(f"{where}.emulator", str(error))
            model = build(None)  # for the other mistakes
        key_files: tuple[Path, ...] = ()
        if self._at_resources:
            control = entry.resources.get("control")
            if "control" in model.MESSAGE_PORTS:
                key_files = self._key_files(f"{where}.control", control)
            else:
                self._check_control(f"{where}.control", control, model)
            if "keys" in model.MESSAGE_PORTS:
                key_files = self._key_files(f"{where}.keys", entry.resources.get("keys"))
        places = entry.resources if self._at_resources else {}
        return EmulatedDevice(
            driver=entry.driver,
            model=model,
            resources={key: str(resource) for key, resource in places.items()},
            serial_number=serial,
            warm=warm,
            options=found,
            key_files=key_files,
        )

    def _options(self, where: str, entry: DeviceEntry, build: Callable[..., DeviceModel]) -> dict[str, Any]:
        can_be_warm = getattr(build, "warm", DeviceModel.warm) is not DeviceModel.warm
        keys = {**_DEVICE, **(_WARM if can_be_warm else {}), **(TIME if self._own_time else {}), **model_options(build)}
        table = dict(entry.emulator)
        for key in TIME:
            if key in table and not self._own_time:
                self._mistakes.note(
                    f"{where}.{key}", f"is one for all devices; put it into [bench]: {table.pop(key)!r}"
                )
        found = self._mistakes.checked(where, table, keys)
        for key in TIME:
            if key in found:
                self.said[key].setdefault(found.pop(key), entry.name)
        return found

    # --- places -----------------------------------------------------------------------------------------------------

    def _check_control(self, where: str, resource: Resource | None, model: DeviceModel) -> None:
        if resource is None:
            self._mistakes.note(where, "an emulator needs a place, such as serial:/tmp/lab/alice")
            return
        try:
            end = choose_end(model, None, str(resource))
        except ConfigurationError as error:
            self._mistakes.note(where, str(error))
            return
        address = resource.address
        if end in ("pty", "asrl"):
            path = address[4:].partition("::")[0] if end == "asrl" else address
            if not path.startswith("/"):
                self._mistakes.note(
                    where, f"an emulator needs an absolute path, such as serial:/tmp/lab/alice, not {path}"
                )
            elif self._claims(where, path, path) and is_taken(Path(path)):
                self._mistakes.note(
                    where, f"{path} is there already; another emulation may run. Remove it, if none does"
                )
        elif end in ("tcp", "hislip"):
            self._check_listener(where, resource)
        elif self._for_others:
            self._mistakes.note(where, f"{resource} is a place within one program; no other one can open it")
        else:
            self._claims(where, address, address)

    def _check_listener(self, where: str, resource: Resource) -> None:
        """See that a device can listen there: on the loopback interface, at a port that is free."""
        address = resource.address
        found = next((match for pattern in _LISTENERS if (match := pattern.fullmatch(address))), None)
        if found is None:
            self._mistakes.note(where, f"no emulated device can be at {address}")
            return
        if found["host"] not in _LOOPBACK:
            self._mistakes.note(where, f"{address} is another host's address; an emulator listens at 127.0.0.1 alone")
            return
        port = int(found["port"] or _HISLIP_PORT)
        if not self._claims(where, port, address):
            return
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                probe.listen(1)
            except (OSError, OverflowError) as error:
                why = error.strerror if isinstance(error, OSError) else "there is no such port"
                self._mistakes.note(where, f"{address} cannot be bound: {why}. End what uses it, or name another port")

    def _claims(self, where: str, place: object, address: str) -> bool:
        if place in self._places:
            self._mistakes.note(where, f"{address} belongs to {self._places[place]} already")
            return False
        self._places[place] = where.split(".")[1]
        return True

    def _key_files(self, where: str, resource: Resource | None) -> tuple[Path, ...]:
        if resource is None or resource.address.startswith("inproc:"):
            self._mistakes.note(where, "an emulator needs an endpoint, such as zmq:tcp://127.0.0.1:5560?...")
            return ()
        if resource.address.startswith("tcp:"):
            self._check_listener(where, resource)
        else:
            self._claims(where, resource.address, resource.address)
        files: list[Path] = []
        for key, suffix in (("server_key_file", ".key"), ("client_key_file", ".key_secret")):
            file = Path(resource.options[key])
            if file.suffix != suffix:
                self._mistakes.note(where, f"{key} should end in {suffix}, so that its other half can be found")
            elif file.with_suffix(".key").exists() != file.with_suffix(".key_secret").exists():
                self._mistakes.note(where, f"{file} has lost its other half; remove it, or bring the other back")
            files.append(file.with_suffix(".key_secret"))
        return tuple(files)


def model_options(build: Callable[..., DeviceModel]) -> dict[str, Check]:
    """Return the options of a model that a file can give."""
    defaults = ModelOptions.of(build).defaults
    checks = {name: _OF_TYPE.get(str if default is None else type(default)) for name, default in defaults.items()}
    return {name: check for name, check in checks.items() if check is not None}
