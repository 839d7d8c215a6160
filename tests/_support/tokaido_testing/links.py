"""What joins units: a QKD link that is stepped by hand, and a classical channel that several units share."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from tokaido.emulators import QkdLink
from tokaido.emulators.optics import Fibre, preset
from tokaido.emulators.toshiba import ReceiverModel, TransmitterModel
from tokaido_testing.console import Program

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokaido.emulators.units import UnitModel

STEP_NS = 100_000_000
ALIGNING_NS = 500_000_000
"""Steps of a time in which nothing is made: longer ones cost the processor less."""
FIBRE = Fibre(length_km=20, loss_db=6.0)
BLOCK_BITS = 200_000
PARAMETERS = dataclasses.replace(
    preset("t12", settings="short-block", channel_loss_db=FIBRE.total_loss_db),
    intensities=(0.35, 0.13, 0.001),
    probabilities=(0.20, 0.50, 0.30),
    key_basis_probability_transmitter=0.55,
    key_basis_probability_receiver=0.55,
)
"""Settings that leave about 60 kbit of key in a block of 2e5 bits: see the finite-key functions of the optics."""


class Rig:
    """A link whose time passes when it is told to, and a program at either console."""

    def __init__(self, *, psk: tuple[bytes, bytes] | None = None, fibre: Fibre = FIBRE, **options: Any) -> None:
        options = {"seed": 11, "secrets": "seeded", **options}
        self.tx = TransmitterModel(seed=options["seed"], secrets=options["secrets"])
        self.rx = ReceiverModel(seed=options["seed"], secrets=options["secrets"])
        self.programs = Program(self.tx), Program(self.rx)
        self.order("BLK 200000", "BAS 0.55")
        for command in ("MU:SIG 0.35", "MU:DEC 0.13", "PRB:DEC 0.5", "PRB:VAC 0.3"):
            self.programs[0].data(command)
        self.link = QkdLink(self.tx, self.rx, fibre=fibre, parameters=PARAMETERS, **options)
        keys = psk or (bytes(range(256)) * 16,) * 2
        for unit, key in zip((self.tx, self.rx), keys, strict=True):
            unit.warm()
            unit.load_psk(key)

    def order(self, *commands: str) -> None:
        for command in commands:
            for program in self.programs:
                program.data(command)

    def pass_time(self, seconds: float, step_ns: int = STEP_NS) -> None:
        for _ in range(round(seconds * 1e9 / step_ns)):
            self.link.step(step_ns)

    def until(self, condition: Callable[[], bool], limit_s: float, step_ns: int = STEP_NS) -> None:
        for _ in range(round(limit_s * 1e9 / step_ns)):
            if condition():
                return
            self.link.step(step_ns)
        assert condition(), (self.states, [program.active() for program in self.programs])

    @property
    def states(self) -> tuple[str, str]:
        return str(self.tx.state), str(self.rx.state)

    @property
    def waiting(self) -> tuple[int, int]:
        return self.tx.store.waiting, self.rx.store.waiting

    def run(self) -> Rig:
        self.until(lambda: self.states == ("STANDBY", "STANDBY"), 60, ALIGNING_NS)
        self.order("KEY START")
        self.until(lambda: self.tx.session_id is not None and self.rx.session_id is not None, 5)
        return self

    def digests(self, unit: TransmitterModel | ReceiverModel) -> dict[tuple[str, int], str]:
        nonce = bytes(16)
        return {(info.session, info.number): key.digest(nonce) for info, key in unit.store.oldest(64)}


class ClassicalChannel:
    """What every one of some units says, all others hear."""

    def __init__(self, *units: UnitModel) -> None:
        self.units = units
        self.tamper: Callable[[bytes], bytes] = lambda message: message
        self.heard: list[bytes] = []
        """All that was said."""

    def pass_time(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.05)):
            for unit in self.units:
                unit.advance(unit.now_ns + 50_000_000)
                for message in map(self.tamper, unit.peer.take()):
                    self.heard.append(message)
                    for other in self.units:
                        if other is not unit:
                            other.peer.receive(message)

    def until(self, condition: Callable[[], bool], limit_s: float) -> None:
        for _ in range(round(limit_s / 0.05)):
            if condition():
                return
            self.pass_time(0.05)
        assert condition(), [(unit.serial_number, unit.state, unit.step) for unit in self.units]
