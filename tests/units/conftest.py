"""One emulated unit on its wires, and its driver, for every vendor."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import tokaido.hal as hal
from tokaido.emulators import Emulator, launch
from tokaido_testing.patience import patient
from tokaido_testing.unit_vendors import VENDORS, Vendor

TIMEOUT_S = 0.4


@pytest.fixture(params=VENDORS, ids=[vendor.name for vendor in VENDORS])
def vendor(request: pytest.FixtureRequest) -> Vendor:
    """Whose units are tried."""
    found: Vendor = request.param
    return found


@pytest.fixture
def emulator(vendor: Vendor) -> Iterator[Emulator]:
    """A warm transmitter, alone."""
    serial_number, _ = vendor.serial_numbers
    with launch(vendor.transmitter, serial_number=serial_number, seed=3, warm=True) as emulator:
        yield emulator


@pytest.fixture
def tx(vendor: Vendor, emulator: Emulator) -> Iterator[hal.Transmitter]:
    """Its driver."""
    with hal.Transmitter.open(vendor.transmitter, timeout=patient(TIMEOUT_S), **emulator.resources) as tx:
        yield tx
