"""Calibrated values of units: in the telemetry stream, in figures of blocks, and after a reopening."""

from __future__ import annotations

import datetime
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

import tokaido.hal as hal
from tokaido.emulators import launch
from tokaido.hal.driver import Answer

if TYPE_CHECKING:
    from tokaido.emulators import Emulator
    from tokaido_testing.unit_vendors import Vendor

DAY = datetime.date(2026, 1, 2)


def opened(vendor: Vendor, emulator: Emulator, unit: str, path: str, offset: float) -> hal.Transmitter:
    calibration = hal.Calibration(unit, DAY, "bench", offset=offset)
    resources: Any = emulator.resources
    return hal.Transmitter.open(vendor.transmitter, timeout=1, calibrations={path: calibration}, **resources)


def test_the_telemetry_stream_is_corrected_as_telemetry_is(vendor: Vendor, emulator: Emulator) -> None:
    with opened(vendor, emulator, "dB", "attenuation", 1.5) as tx:
        tx.attenuation = 31.5
        event = next(iter(tx.telemetry_stream(0.1, timeout=2)))
        reading = event.readings[hal.Transmitter.attenuation]
        assert (reading.value, reading.raw) == (31.5, 30)
        assert tx.telemetry()[hal.Transmitter.attenuation].raw == 30


def test_a_figure_of_a_block_is_corrected_and_still_says_of_which_block_it_is(
    vendor: Vendor, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(vendor, emulator, "", "qber", 0.01) as tx:
        commands = {name: str(value.command) for name, value in type(tx).values().items()}
        told = {commands["qber"]: Answer("0.03"), commands["last_block"]: Answer("00000000000000aa/7/KEY/256")}
        monkeypatch.setattr(tx, "_ask_all", lambda: told)
        reading = tx.telemetry()[hal.Transmitter.qber]
    assert reading.raw == 0.03
    assert reading.value == pytest.approx(0.04)
    assert reading.block == ("00000000000000aa", 7)
    assert reading.calibration is not None


def test_values_stay_corrected_when_the_port_is_opened_again(vendor: Vendor) -> None:
    with (
        launch(vendor.transmitter, warm=True) as emulator,
        opened(vendor, emulator, "dB", "attenuation", 1.5) as tx,
    ):
        before = tx.attenuation
        emulator.unplug()
        with pytest.raises(hal.TransportError):
            tx.attenuation  # noqa: B018
        emulator.replug()
        with suppress(hal.TransportError):  # the first one may find out that the port is another
            tx.attenuation  # noqa: B018
        assert tx.attenuation == before
        assert tx.telemetry()[hal.Transmitter.attenuation].raw == before - 1.5
