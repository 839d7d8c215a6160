"""An attenuator on wire ends, and plain PyVISA to reach it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import pyvisa

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
