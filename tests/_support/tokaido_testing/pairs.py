"""A transmitter and a receiver of either family over one fibre, stepped by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from tokaido.emulators import QkdLink
from tokaido.emulators.nec import ReceiverModel as NecReceiver
from tokaido.emulators.nec import TransmitterModel as NecTransmitter
from tokaido.emulators.optics import Fibre, preset
from tokaido.emulators.toshiba import ReceiverModel as ToshibaReceiver
from tokaido.emulators.toshiba import TransmitterModel as ToshibaTransmitter
from tokaido_testing.bench import BLOCK_BITS, PARAMETERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokaido.emulators.optics import LinkParameters
    from tokaido.emulators.units import UnitModel

FAMILIES: Final = "toshiba", "nec"
STEP_NS: Final = 100_000_000


def optics(family: str) -> LinkParameters:
    """Return parameters that give key in small blocks, and so in little time."""
    return PARAMETERS if family == "toshiba" else preset("nec-sspd", settings="short-block", channel_loss_db=20.0)


class Pair:
    """A transmitter and a receiver of one family over a fibre, stepped by hand, with blocks of half a second."""

    def __init__(self, family: str, *, secrets: Literal["os", "seeded"] = "seeded") -> None:
        options: dict[str, Any] = {"seed": 3, "secrets": secrets}
        toshiba = family == "toshiba"
        self.tx = ToshibaTransmitter(**options) if toshiba else NecTransmitter(**options, sub_channels=1)
        self.rx = ToshibaReceiver(**options) if toshiba else NecReceiver(**options, sub_channels=1)
        loss_db = 6.0 if toshiba else 20.0
        self.link = QkdLink(
            self.tx,
            self.rx,
            fibre=Fibre(length_km=20, loss_db=loss_db),
            parameters=optics(family),
            seed=3,
            secrets=secrets,
        )
        self.bench = self.link.bench
        self.bench.set_up("transmitter", "receiver", optics(family), block_bits=BLOCK_BITS)
        self.exposed = 0
        """Pulses that were exposed."""
        self.bench.on_exposure = self._note
        for model in self.units:
            model.warm()
            model.load_psk(bytes(range(256)) * 16)
        self.until(lambda: self.states == ("STANDBY", "STANDBY"), 60, 500_000_000)

    def _note(self, _token: str, _path: str, pulses: int) -> None:
        self.exposed += pulses

    @property
    def units(self) -> tuple[UnitModel, UnitModel]:
        return self.tx, self.rx

    @property
    def states(self) -> tuple[str, str]:
        return str(self.tx.state), str(self.rx.state)

    @property
    def blocks(self) -> tuple[int, int]:
        """Key blocks that each unit accepted."""
        return self.tx.store.waiting, self.rx.store.waiting

    @property
    def alarms(self) -> tuple[set[str], set[str]]:
        first, second = ({code for code in unit.ALARMS if code in unit.alarms} for unit in self.units)
        return first, second

    @property
    def clicks(self) -> float:
        light = self.rx.light
        assert light is not None
        return sum(light.count_rates)

    def pass_time(self, seconds: float, step_ns: int = STEP_NS) -> None:
        for _ in range(round(seconds * 1e9 / step_ns)):
            self.link.step(step_ns)

    def until(self, done: Callable[[], bool], limit_s: float, step_ns: int = STEP_NS) -> None:
        for _ in range(round(limit_s * 1e9 / step_ns)):
            if done():
                return
            self.link.step(step_ns)
        assert done(), (self.states, self.alarms, self.blocks)

    def start(self) -> None:
        for unit in self.units:
            unit.orders.obey("start", called="start")

    def run(self) -> Pair:
        self.start()
        self.until(lambda: min(self.blocks) > 0, 10)
        return self
