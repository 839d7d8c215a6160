"""More light than the set mean photon numbers: the transmitter notices it, and no key is made of it, in each family."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tokaido.emulators import QkdLink
from tokaido.emulators.nec import ReceiverModel as NecReceiver
from tokaido.emulators.nec import TransmitterModel as NecTransmitter
from tokaido.emulators.optics import Fibre, preset
from tokaido.emulators.toshiba import ReceiverModel as ToshibaReceiver
from tokaido.emulators.toshiba import TransmitterModel as ToshibaTransmitter
from tokaido.emulators.units import Refusal
from tokaido_testing.bench import PARAMETERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokaido.emulators.units import UnitModel

FAMILIES = "toshiba", "nec"
STEP_NS = 100_000_000


class Pair:
    """A transmitter and a receiver of one family over a fibre, stepped by hand, with blocks of half a second."""

    def __init__(self, family: str) -> None:
        options: dict[str, Any] = {"seed": 3, "secrets": "seeded"}
        toshiba = family == "toshiba"
        self.tx = ToshibaTransmitter(**options) if toshiba else NecTransmitter(**options, sub_channels=1)
        self.rx = ToshibaReceiver(**options) if toshiba else NecReceiver(**options, sub_channels=1)
        loss_db = 6.0 if toshiba else 20.0
        optics = PARAMETERS if toshiba else preset("nec-sspd", settings="short-block", channel_loss_db=loss_db)
        self.link = QkdLink(
            self.tx,
            self.rx,
            fibre=Fibre(length_km=20, loss_db=loss_db),
            parameters=optics,
            seed=3,
            secrets="seeded",
        )
        self.bench = self.link.bench
        self.bench.set_up("transmitter", "receiver", optics, block_bits=200_000)
        self.exposed = 0
        """Pulses that were exposed."""
        self.bench.on_exposure = self._note
        for model in self.units:
            model.warm()
            model.load_psk(bytes(range(256)) * 16)
        self.until(lambda: self.states == ("STANDBY", "STANDBY"), 60)

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

    def until(self, done: Callable[[], bool], limit_s: float) -> None:
        for _ in range(round(limit_s * 1e9 / STEP_NS)):
            if done():
                return
            self.link.step(STEP_NS)
        assert done(), (self.states, self.alarms, self.blocks)

    def start(self) -> None:
        for unit in self.units:
            unit.orders.obey("start", called="start")

    def run(self) -> Pair:
        self.start()
        self.until(lambda: min(self.blocks) > 0, 10)
        return self


@pytest.fixture(params=FAMILIES)
def pair(request: pytest.FixtureRequest) -> Pair:
    return Pair(request.param)


def test_an_attenuator_that_is_set_by_hand_is_calibrated_before_any_key(pair: Pair) -> None:
    pair.run()
    before = pair.clicks
    for unit in pair.units:
        unit.orders.obey("stop", called="stop")
    drawn, exposed = pair.blocks, pair.exposed
    pair.tx.orders.set("attenuation", pair.tx.settings["attenuation"] - 10, called="attenuation")
    assert not pair.tx.aligned
    pair.start()
    assert pair.tx.state == "REALIGN"
    pair.pass_time(5)
    assert pair.exposed == exposed
    assert pair.blocks == drawn
    pair.until(lambda: pair.blocks > drawn, 60)
    assert pair.clicks == pytest.approx(before, rel=0.05)
    assert pair.alarms == (set(), set())


def test_light_that_seeds_the_laser_ends_a_running_session_and_no_block_is_made_of_it(pair: Pair) -> None:
    pair.run()
    pair.pass_time(0.3)
    drawn, exposed = pair.blocks, pair.exposed
    pair.tx.add_fault("laser_seeding")
    pair.pass_time(2)
    assert (pair.tx.state, pair.alarms[0]) == ("FAULT", {"PHOTON_NUMBER"})
    assert (pair.exposed, pair.blocks) == (exposed, drawn)
    assert pair.tx.session_id is pair.rx.session_id is None
    with pytest.raises(Refusal, match="the cause of PHOTON_NUMBER lasts"):
        pair.tx.orders.obey("clear_fault", called="clear")
    pair.tx.faults.remove("laser_seeding")
    pair.tx.orders.obey("clear_fault", called="clear")
    assert pair.tx.state == "SELFTEST"


def test_light_that_seeds_the_laser_in_standby_lets_nothing_start(pair: Pair) -> None:
    pair.tx.add_fault("laser_seeding")
    pair.pass_time(0.1)
    assert (pair.tx.state, pair.alarms[0]) == ("FAULT", {"PHOTON_NUMBER"})
    with pytest.raises(Refusal, match="FAULT: start is allowed in STANDBY"):
        pair.tx.orders.obey("start", called="start")


@pytest.mark.parametrize("excess_db", [-0.3, 0.3])
def test_the_light_is_watched_in_both_directions(pair: Pair, excess_db: float) -> None:
    """However the light came to differ: what the receiver gets and what the monitor shows are one and the same."""
    pair.run()
    shown = float(pair.tx.reading("output_power").value)
    drawn, exposed = pair.blocks, pair.exposed
    pair.tx.settings["attenuation"] -= excess_db  # as no order can
    assert float(pair.tx.reading("output_power").value) == pytest.approx(shown + excess_db, abs=0.1)
    pair.pass_time(0.5)
    assert pair.alarms[0] == {"PHOTON_NUMBER"}
    assert (pair.exposed, pair.blocks) == (exposed, drawn)


def test_light_within_the_tolerance_raises_nothing_for_an_hour(pair: Pair) -> None:
    pair.tx.settings["attenuation"] -= 0.09
    for _ in range(3600):
        pair.tx.advance(pair.tx.now_ns + 1_000_000_000)
    assert "PHOTON_NUMBER" not in pair.alarms[0]
