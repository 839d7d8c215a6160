"""Calibrations of a device server's station: told to its clients, and applied once, there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import tokaido.hal as hal
from tokaido.emulators import launch
from tokaido.hal.driver import LineDevice
from tokaido.lab.sharing import DeviceServer
from tokaido_testing.patience import patient
from tokaido_testing.served import address, create_keys, server_of, station_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tokaido.emulators import Emulator

VOA = "keysight.attenuator"


def corrected(offset: float, path: str = "attenuation", unit: str = "dB") -> str:
    """Return the table of a calibration."""
    facts = f'unit = "{unit}"\noffset = {offset}\ndate = 2026-01-02\nsource = "certificate 4711"\n'
    return f"[devices.voa.calibrations.{path}]\n{facts}"


@pytest.fixture
def box() -> Iterator[Emulator]:
    with launch(VOA) as box:
        yield box


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    create_keys(tmp_path)
    return tmp_path


@pytest.fixture
def server(box: Emulator, keys: Path) -> Iterator[DeviceServer]:
    with server_of(station_of({"voa": (VOA, box.resources["control"])}, corrected(1.5)), keys) as serving:
        yield serving


def told(voa: hal.VariableAttenuator) -> float:
    """Return what the box itself is set to, asked past the driver."""
    assert isinstance(voa, LineDevice)
    return float(voa.transport.query(":INP1:ATT?"))


def test_a_client_reads_and_sets_what_is_so_really(server: DeviceServer, keys: Path) -> None:
    with hal.Station.connect(address(server, keys), timeout=patient(2)) as lab:
        voa = lab.device("voa", hal.VariableAttenuator)
        voa.attenuation = 11.5
        assert told(voa) == pytest.approx(10)
        assert voa.attenuation == pytest.approx(11.5)
        reading = voa.telemetry()[hal.VariableAttenuator.attenuation]
        assert reading.raw == pytest.approx(10)
        assert str(reading.calibration) == "offset +1.5 dB, 2026-01-02, certificate 4711"
        assert list(voa.calibrations) == ["attenuation"]
        with pytest.raises(hal.RangeError):
            voa.attenuation = 1.0


def test_a_station_file_with_served_resources_has_them_from_the_server(server: DeviceServer, keys: Path) -> None:
    served = address(server, keys).replace("zmq:", "served:", 1) + "&device=voa"
    with station_of({"voa": (VOA, served)}, corrected(-3, "wavelength", "nm")) as lab:
        lab.on_exit = "keep"
        voa = lab.device("voa", hal.VariableAttenuator)
        assert set(voa.calibrations) == {"attenuation", "wavelength"}
        readings = voa.telemetry()
        for path, offset in (("attenuation", 1.5), ("wavelength", -3)):
            told_of = readings[path].record()
            assert told_of["value"] == told_of["raw"] + offset


def test_no_value_is_corrected_twice(server: DeviceServer, keys: Path) -> None:
    served = address(server, keys).replace("zmq:", "served:", 1) + "&device=voa"
    with (
        station_of({"voa": (VOA, served)}, corrected(1.5)) as lab,
        pytest.raises(hal.ConfigurationError, match="attenuation of voa is calibrated by the device server already"),
    ):
        lab.device("voa", hal.VariableAttenuator)


def test_a_server_that_comes_back_with_another_table_is_believed(box: Emulator, keys: Path) -> None:
    devices = {"voa": (VOA, box.resources["control"])}
    first = server_of(station_of(devices, corrected(1.5)), keys)
    first.start()
    with hal.Station.connect(address(first, keys), timeout=patient(2)) as lab:
        voa = lab.device("voa", hal.VariableAttenuator)
        before = voa.attenuation
        first.close()
        with server_of(station_of(devices, corrected(2.5)), keys, endpoint=first.endpoint):
            deadline = hal.Deadline(hal.SYSTEM_CLOCK, patient(8))
            while voa.attenuation != pytest.approx(before + 1):
                assert not deadline.passed
        first.close()
