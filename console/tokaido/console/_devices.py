"""Which device a command line means, and how it is opened."""

from __future__ import annotations

import re
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tokaido.hal as hal
from tokaido.hal.driver import Query

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokaido.hal import Device
    from tokaido.hal.driver import Measured, Query

_REMEDY = "Write lab.toml#alice, or toshiba.transmitter@serial:/dev/qkd/TKTX0001"
_DIRECT = re.compile(r"(?P<driver>[A-Za-z0-9_.-]+)@(?P<resources>.*)", re.DOTALL)
_NAMED = re.compile(r",(?=[a-z_]+=[a-z][a-z0-9]*:)")


def parse_device(text: str) -> hal.DeviceEntry:
    """Return what is needed to open the device that `text` names.

    `lab.toml#alice` is a device of a station file; `DRIVER@RESOURCE[,NAME=RESOURCE]...` names driver and resources, the
    first of which is `control` if it has no name.

    Raises:
        ConfigurationError: It is neither, or the station file is wrong.
    """
    if direct := _DIRECT.fullmatch(text):
        resources: dict[str, hal.Resource] = {}
        mistakes: list[str] = []
        for item in _NAMED.split(direct["resources"]):
            name, found, address = item.partition("=")
            if not found or not name.isidentifier():
                name, address = "control", item
            if name in resources:
                mistakes.append(f"{name}: given twice")
                continue
            try:
                resources[name] = hal.Resource.parse(address)
            except hal.ConfigurationError as error:
                mistakes += [f"{name}: {mistake}" for mistake in error.mistakes or (str(error),)]
        if mistakes:
            raise hal.ConfigurationError(f"{text!r} cannot be opened", mistakes=tuple(mistakes))
        return hal.DeviceEntry(name=direct["driver"], driver=direct["driver"], resources=resources)
    path, mark, name = text.rpartition("#")
    if not mark or not path or not name:
        raise hal.ConfigurationError(f"{text!r} names no device", remedy=_REMEDY)
    station = hal.Station.from_file(Path(path))
    if name not in station.devices:
        raise hal.ConfigurationError(
            f"{path} has no device {name!r}", remedy=f"It has {', '.join(station.devices) or 'none'}"
        )
    return station.devices[name]


@contextmanager
def opened(text: str, *, trace: bool = False) -> Iterator[Device]:
    """Open the device that `text` names and close it in the end, whatever its station says about a safe state.

    A one-shot command must not switch a laser off by ending. With `trace`, the bytes on the wire go to stderr, those of
    the opening included.
    """
    entry = parse_device(text)
    with hal.Device.open(
        entry.driver,
        name=entry.name,
        serial_number=entry.serial_number,
        timeout=entry.timeout,
        clock=hal.SYSTEM_CLOCK,
        trace=(lambda record: print(record, file=sys.stderr)) if trace else None,
        **entry.resources,
    ) as device:
        yield device


def queries(device: Device) -> dict[str, Query[Any]]:
    """Return the states and flags that a device can be asked for, by name."""
    found: dict[str, Query[Any]] = {}
    for base in reversed(type(device).__mro__):
        found |= {name: member for name, member in vars(base).items() if isinstance(member, Query)}
    return found


def locate(device: Device, path: str) -> tuple[Device | hal.Part, Measured[Any]]:
    """Return who holds the value at `path`, such as `detectors[0].bias`, and its declaration.

    Raises:
        ConfigurationError: The device has no such value.
    """
    prefix, _, name = path.rpartition(".")
    owners: dict[str, Device | hal.Part] = {"": device, **{part.path: part for part in device.parts}}
    owner = owners.get(prefix)
    value = type(owner).values().get(name) if owner is not None else None
    if owner is None or value is None or value.unsupported:
        raise no_such_value(device, path)
    return owner, value


def paths(device: Device) -> list[str]:
    """Return the paths of all values that the device has."""
    found = [name for name, value in type(device).values().items() if not value.unsupported]
    for part in device.parts:
        found += [f"{part.path}.{name}" for name, value in type(part).values().items() if not value.unsupported]
    return found


def no_such_value(device: Device, path: str) -> hal.ConfigurationError:
    """Return the error for a value that the device does not have, with those it may have been."""
    from difflib import get_close_matches  # noqa: PLC0415 - for the mistaken only

    near = get_close_matches(path, [*paths(device), *queries(device)], n=3, cutoff=0.5)
    return hal.ConfigurationError(
        f"{device.name} has no value {path!r}",
        remedy=f"Did you mean {', '.join(near)}?" if near else "`tokaido read` without a value lists them",
    )
