"""Which device a command line means, and how it is opened."""

from __future__ import annotations

import re
import sys
from contextlib import contextmanager, nullcontext
from os import urandom
from pathlib import Path
from typing import TYPE_CHECKING

import tokaido.hal as hal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from tokaido.hal import Device, TraceRecord

_REMEDY = "Write lab.toml#alice, or toshiba.transmitter@serial:/dev/qkd/TKTX0001"
_DIRECT = re.compile(r"(?P<driver>[A-Za-z0-9_.-]+)@(?P<resources>.*)", re.DOTALL)
SERVER = "zmq:"
_NAMED = re.compile(r",(?=[a-z_]+=[a-z][a-z0-9]*:)")


def parse_device(text: str) -> hal.DeviceEntry:
    """Return what is needed to open the device that `text` names.

    `lab.toml#alice` is a device of a station file, `zmq:tcp://HOST:PORT?...#alice` of a device server;
    `DRIVER@RESOURCE[,NAME=RESOURCE]...` names driver and resources, the first of which is `control` if it has no name.

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
    station, name = _station_of(text)
    with station:
        return station.entry(name)


def _station_of(text: str) -> tuple[hal.Station, str]:
    """Return the station of `lab.toml#alice` or of `zmq:tcp://HOST:PORT?...#alice`, and the name behind it.

    Raises:
        ConfigurationError: It is something else, or the station file is wrong.
        TransportError: The device server could not be reached.
    """
    path, mark, name = text.rpartition("#")
    if not mark or not path or not name:
        raise hal.ConfigurationError(f"{text!r} names no device", remedy=_REMEDY)
    return station_at(path), name


def station_at(place: str) -> hal.Station:
    """Return the station of a file, or of a device server: `zmq:tcp://HOST:PORT?server_key_file=...`.

    Raises:
        ConfigurationError: The file is wrong, or a key file of the server.
        TransportError: The server could not be reached.
    """
    return hal.Station.connect(place) if place.startswith(SERVER) else hal.Station.from_file(Path(place))


def to_station(text: str) -> bool:
    """Return whether a text names a whole station: its file, and no device behind it."""
    return "#" not in text and _DIRECT.fullmatch(text) is None


@contextmanager
def opened_station(path: str, *, trace: bool = False) -> Iterator[hal.Station]:
    """Give the station of a file or of a device server; its devices are closed in the end, and left as they are."""
    station = station_at(path)
    station.on_exit = "keep"
    station.trace = _print_record if trace else None
    with station:
        yield station


@contextmanager
def named(
    text: str, *, trace: bool = False, sink: Callable[[TraceRecord], None] | None = None
) -> Iterator[tuple[hal.Station, str]]:
    """Give the station of `lab.toml#NAME` and the name; its devices are closed in the end, and left as they are.

    A one-shot command must not switch a laser off by ending, whatever the station says about a safe state.
    """
    station, name = _station_of(text)
    station.on_exit = "keep"
    station.trace = sink or (_print_record if trace else None)
    with station:
        yield station, name


@contextmanager
def opened(text: str, *, trace: bool = False, sink: Callable[[TraceRecord], None] | None = None) -> Iterator[Device]:
    """Open the device that `text` names, under the interlocks of its station, and close it in the end as it is.

    The bytes on the wire, those of the opening included, go to `sink`; with `trace`, to stderr.
    """
    sink = sink or (_print_record if trace else None)
    if _DIRECT.fullmatch(text) is None:
        with named(text, sink=sink) as (station, name):
            yield station.device(name, hal.Device)
        return
    entry = parse_device(text)
    with hal.Device.open(
        entry.driver,
        name=entry.name,
        serial_number=entry.serial_number,
        timeout=entry.timeout,
        clock=hal.SYSTEM_CLOCK,
        nonces=urandom,
        trace=sink,
        on_exit="keep",
        calibrations=entry.calibrations,
        **entry.resources,
    ) as device:
        yield device


def forced(device: Device, why: str) -> AbstractContextManager[None]:
    """Overrule the interlocks of a receiver for a reason; there are none to overrule if it is empty, or elsewhere."""
    return device.interlocks_forced(why) if isinstance(device, hal.Receiver) else nullcontext()


def _print_record(record: object) -> None:
    print(record, file=sys.stderr)
