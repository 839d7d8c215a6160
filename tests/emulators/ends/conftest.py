"""Shared by tests of wire ends: plain PyVISA to reach an attenuator, and raw HiSLIP to reach an instrument."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import pyvisa

from tokaido_testing.hislip import Client, Rig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tokaido.emulators import InstrumentEmulator


@pytest.fixture(scope="module")
def managers() -> Iterator[dict[str, pyvisa.ResourceManager]]:
    found = {backend: pyvisa.ResourceManager(backend) for backend in ("@py", "@tokaido")}
    yield found
    for manager in found.values():
        manager.close()


@pytest.fixture
def open_visa(managers: dict[str, pyvisa.ResourceManager]) -> Iterator[Callable[[InstrumentEmulator], Any]]:
    opened: list[Any] = []

    def open_it(voa: InstrumentEmulator) -> Any:
        address, _, options = voa.resources["control"].removeprefix("visa:").partition("?")
        manager = managers["@tokaido" if "backend=@tokaido" in options else "@py"]
        instrument: Any = manager.open_resource(address, read_termination="\n", write_termination="\n")
        instrument.timeout = 2000
        opened.append(instrument)
        return instrument

    yield open_it
    for instrument in opened:
        instrument.close()


@pytest.fixture
def rig() -> Iterator[Rig]:
    with Rig() as made:
        yield made


@pytest.fixture
def client(rig: Rig) -> Iterator[Client]:
    with rig.client() as opened:
        yield opened
