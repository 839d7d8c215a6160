"""Two transmitters, two receivers and two fibres between two 4x4 switches, on a bench whose time is told to pass."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Literal

from tokaido.emulators.bench import Bench
from tokaido.emulators.optics import preset
from tokaido.emulators.polatis import MatrixSwitchModel
from tokaido.emulators.toshiba import ReceiverModel, TransmitterModel
from tokaido.emulators.units import UnitLink

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokaido.emulators.units import OrderName

STEP_NS = 100_000_000
ALIGNING_NS = 500_000_000
"""Steps of a time in which nothing is made: longer ones cost the processor less."""
BLOCK_BITS = 200_000
LOSS_DB = 4.0
PARAMETERS = dataclasses.replace(
    preset("t12", settings="short-block", channel_loss_db=6.0),
    intensities=(0.35, 0.13, 0.001),
    probabilities=(0.20, 0.50, 0.30),
    key_basis_probability_transmitter=0.55,
    key_basis_probability_receiver=0.55,
)
"""Settings that leave some 50 kbit of key in a block of 2e5 bits."""
Where = Literal["west", "east"]


class Yard:
    """alice and carol at the western switch, bob and dave at the eastern one, fibres A and B between them.

    alice and bob have the link over "main", carol and dave another one; each has a key of its own.
    """

    def __init__(self, *, seed: int = 5, bench: Bench | None = None) -> None:
        self.bench = bench or Bench(seed=seed, secrets="seeded")
        self.transmitters = {
            "alice": TransmitterModel("TKTX0001", seed=seed, secrets="seeded"),
            "carol": TransmitterModel("TKTX0002", seed=seed, secrets="seeded"),
        }
        self.receivers = {
            "bob": ReceiverModel("TKRX0001", seed=seed, secrets="seeded"),
            "dave": ReceiverModel("TKRX0002", seed=seed, secrets="seeded"),
        }
        self.units = {**self.transmitters, **self.receivers}
        self.switches = {
            "west": MatrixSwitchModel("1", inputs=4, outputs=4),
            "east": MatrixSwitchModel("2", inputs=4, outputs=4),
        }
        for name, model in {**self.units, **self.switches}.items():
            self.bench.add(name, model)
        for number, (fibre, tx, rx) in enumerate((("A", "alice", "bob"), ("B", "carol", "dave")), 1):
            self.bench.fibre(fibre, length_km=20, loss_db=LOSS_DB)
            self.bench.join(tx, f"west.in{number}")
            self.bench.join(f"west.out{number}", f"{fibre}.a")
            self.bench.join(f"{fibre}.b", f"east.in{number}")
            self.bench.join(f"east.out{number}", rx)
            self.bench.set_up(tx, rx, PARAMETERS, block_bits=BLOCK_BITS)
            self.bench.load_preshared_key(tx, rx, bytes([number]) * 4096, "main")
            for name, peer in ((tx, rx), (rx, tx)):
                self.units[name].orders.select_link(
                    UnitLink(self.units[peer].serial_number, "main"), None, called="LNK"
                )
        for unit in self.units.values():
            unit.warm()

    def order(self, order: OrderName, *names: str) -> None:
        for name in names or self.units:
            self.units[name].orders.obey(order, called=order)

    def switch(self, where: Where, pairs: Mapping[int, int]) -> None:
        """Make this the whole map of a switch, as a message on its wire would."""
        inputs, outputs = (",".join(map(str, numbers)) for numbers in (pairs, [o + 4 for o in pairs.values()]))
        text = f":OXC:SWIT:CONN:ONLY (@{inputs}),(@{outputs})" if pairs else ":OXC:SWIT:DISC:ALL"
        self.switches[where].receive("control", f"{text}\n".encode())

    def pass_time(self, seconds: float, step_ns: int = STEP_NS) -> None:
        for _ in range(round(seconds * 1e9 / step_ns)):
            self.bench.step(step_ns)

    def until(self, condition: Callable[[], bool], limit_s: float, step_ns: int = STEP_NS) -> None:
        for _ in range(round(limit_s * 1e9 / step_ns)):
            if condition():
                return
            self.bench.step(step_ns)
        assert condition(), self.states

    @property
    def states(self) -> dict[str, str]:
        return {name: str(unit.state) for name, unit in self.units.items()}

    def run(self, *names: str) -> Yard:
        """Join straight through, align, and exchange keys."""
        self.switch("west", {1: 1, 2: 2})
        self.switch("east", {1: 1, 2: 2})
        names = names or tuple(self.units)
        self.until(lambda: all(self.states[name] == "STANDBY" for name in names), 60, ALIGNING_NS)
        self.order("start", *names)
        self.until(lambda: all(self.units[name].session_id is not None for name in names), 5)
        return self

    def alarms(self, name: str) -> set[str]:
        unit = self.units[name]
        return {code for code in unit.ALARMS if code in unit.alarms}

    def draw(self, name: str) -> dict[tuple[str, int], str]:
        """Take every key block out of a unit's store, and return digests."""
        unit = self.units[name]
        drawn: dict[tuple[str, int], str] = {}
        for info, key in unit.store.oldest(64):
            block = info.session, info.number
            drawn[block] = key.digest(bytes(16))
            unit.store.ack(block)
            unit.store.commit(block)
        return drawn
