"""One emulated unit on its wires, and its driver."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import tokaido.hal as hal
from tokaido.emulators import launch
from tokaido.emulators._launch import Emulator

TIMEOUT_S = 0.4


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """A warm transmitter, alone."""
    with launch("toshiba.transmitter", serial_number="TKTX0001", seed=3, warm=True) as emulator:
        yield emulator


@pytest.fixture
def tx(emulator: Emulator) -> Iterator[hal.Transmitter]:
    """Its driver."""
    with hal.Transmitter.open("toshiba.transmitter", timeout=TIMEOUT_S, **emulator.resources) as tx:
        yield tx
