"""A device that is forgotten, or bound to another name's device, is gone at once: no cycle keeps its port."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

import tokaido.hal as hal
from tokaido.emulators import launch
from tokaido_testing.patience import patient

WAYS = [
    ("toshiba.transmitter", "pty"),
    ("toshiba.receiver", "emu"),
    ("nec.transmitter", "tcp"),
    ("nec.receiver", "hislip"),
    ("nec.receiver", "visa"),
    ("polatis.matrix", "tcp"),
    ("polatis.matrix", "hislip"),
    ("polatis.matrix", "pty"),
    ("polatis.matrix", "asrl"),
    ("dicon.selector", "pty"),
    ("thorlabs.osw", "emu"),
]


@pytest.fixture(autouse=True)
def no_collection() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def use(device: hal.Device, *, draw: bool) -> None:
    """Do what leaves traces: exchanges, errors, a snapshot, parts, the key channel and its stream."""
    device.identity()
    device.snapshot()
    for part in device.parts:
        part.values()
    if isinstance(device, hal.Unit):
        device.alarms()
        if draw:  # a unit takes nobody else's draw for a while
            list(device.key_blocks(0.0, limit=1))
        stream = device.telemetry_stream(1.0, patient(5.0))
        next(stream)
        stream.close()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    if isinstance(device, hal.OpticalSwitch):
        device.connections()


@pytest.mark.parametrize(("driver", "wire_end"), WAYS)
def test_a_forgotten_device_leaves_its_port_without_any_collection(driver: str, wire_end: str) -> None:
    options: dict[str, Any] = {"terminator": "\r"} if driver == "polatis.matrix" and wire_end in ("pty", "asrl") else {}
    with launch(driver, wire_end=wire_end, **options) as box:
        for first in (True, False):  # the second opening would find the port busy
            device = hal.Device.open(driver, timeout=patient(1.0), **box.resources)
            use(device, draw=first)
            gone = weakref.ref(device), weakref.ref(device.transport)
            del device
            assert [ref() for ref in gone] == [None, None]
        device = hal.Device.open(driver, timeout=patient(1.0), **box.resources)
        del device
        device = hal.Device.open(driver, timeout=patient(1.0), **box.resources)
        device.close()


def test_a_transport_whose_device_is_gone_says_so_and_hands_out_nothing_unchecked() -> None:
    with launch("dicon.selector") as box:
        device = hal.OpticalSwitch.open("dicon.selector", timeout=patient(1.0), **box.resources)
        transport = device.transport
        del device
        transport._trusted = transport._sound = (
            False  # as after any failure: the box is to be looked at before anything else
        )
        with pytest.raises(hal.ClosedError, match="keep the device"):
            transport.open()
        transport.close()


def test_a_station_that_is_forgotten_leaves_its_ports(tmp_path: Any) -> None:
    with launch("polatis.matrix", wire_end="pty", terminator="\r") as box:
        (tmp_path / "lab.toml").write_text(
            f'[devices.west]\ndriver = "polatis.matrix"\ncontrol = "{box.resources["control"]}"\n'
            f"timeout = {patient(1.0)}\n"
        )
        for _ in range(2):
            station = hal.Station.from_file(tmp_path / "lab.toml")
            station.device("west", hal.OpticalSwitch).connections()
            gone = weakref.ref(station)
            del station
            assert gone() is None
