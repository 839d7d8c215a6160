"""Values of the roles that some families lack: a capability says so, and asking for one is an error of its own."""

from __future__ import annotations

import pytest

import tokaido.hal as hal
from tokaido.emulators import launch
from tokaido_testing.unit_vendors import Vendor

OPTIONAL = {
    "laser_cooler_current": hal.Capability.LASER_COOLER,
    "modulator_bias": hal.Capability.MODULATOR_BIAS,
}


def test_a_transmitter_has_its_cooler_and_modulator_or_says_that_it_has_none(
    vendor: Vendor, tx: hal.Transmitter
) -> None:
    has = {name for name, capability in OPTIONAL.items() if capability in tx.capabilities}
    assert has == (set(OPTIONAL) if vendor.name == "toshiba" else set())
    for name in OPTIONAL:
        value = getattr(hal.Transmitter, name)
        if name in has:
            assert isinstance(getattr(tx, name), float)
            assert name in tx.telemetry()
        else:
            with pytest.raises(hal.UnsupportedError, match=name):
                tx.read(value)


def test_detectors_say_what_their_clicks_are_for(vendor: Vendor) -> None:
    with (
        launch(vendor.receiver, serial_number=vendor.serial_numbers[1], warm=True) as unit,
        hal.Receiver.open(vendor.receiver, **unit.resources) as rx,
    ):
        assert {detector.purpose for detector in rx.detectors} == {"data"}
