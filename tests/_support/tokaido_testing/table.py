"""An optical table: a transmitter's light through an attenuator into a power meter, in a time that is told to pass."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

import tokaido.hal as hal
from tokaido.emulators import Bench
from tokaido_testing.bench import ALIGNING_NS, BLOCK_BITS, PARAMETERS, STEP_NS

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

POWER_DBM = -1.0 - 4.0 - 3 * 0.3 - 1.2
"""At the meter: the clock light less the fibre, three connectors and the attenuator at 0 dB."""


class Table:
    """alice, 20 km of fibre, voa, pm: on their wires, and opened. alice stands by, aligned with bob before."""

    def __init__(self, folder: Path, *, timeout: float = 10.0) -> None:
        with ExitStack() as stack:
            self.bench = stack.enter_context(Bench(seed=7, directory=folder))
            tx = self.bench.device("alice", "toshiba.transmitter", serial_number="TKTX0001", warm=True)
            rx = self.bench.device("bob", "toshiba.receiver", serial_number="TKRX0001", warm=True)
            self.voa_end = self.bench.device("voa", "keysight.attenuator")
            self.pm_end = self.bench.device("pm", "thorlabs.pm100")
            self.bench.fibre("A", length_km=20, loss_db=4.0)
            for one, other in (("alice", "A.a"), ("A.b", "voa.in"), ("voa.out", "bob")):
                self.bench.join(one, other)
            self.bench.set_up("alice", "bob", PARAMETERS, block_bits=BLOCK_BITS)
            self.bob_end = rx
            self.bench.preshared_key("alice", "bob", load=True)
            self.alice = stack.enter_context(hal.Transmitter.open("toshiba.transmitter", timeout=10, **tx.resources))
            self.bob = stack.enter_context(hal.Receiver.open("toshiba.receiver", timeout=10, **rx.resources))
            self.voa = stack.enter_context(
                hal.VariableAttenuator.open("keysight.attenuator", timeout=timeout, **self.voa_end.resources)
            )
            self.pm = stack.enter_context(
                hal.PowerMeter.open("thorlabs.pm100", timeout=timeout, **self.pm_end.resources)
            )
            for _ in range(120):
                if self.bob.state() is self.alice.state() is hal.UnitState.STANDBY:
                    break
                self.bench.step(ALIGNING_NS)
            self.bench.unjoin("bob")
            self.bench.join("voa.out", "pm.in")
            self.settle()
            self._stack = stack.pop_all()

    def settle(self) -> None:
        """Let the light follow what was set."""
        for _ in range(3):
            self.bench.step(STEP_NS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
