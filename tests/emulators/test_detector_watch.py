"""Detectors that hear unequally, on running pairs of both families: no key of such a block, an alarm at both ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pytest

from tokaido.emulators import QkdLink
from tokaido.emulators.distillation import uneven_limit
from tokaido.emulators.nec import ReceiverModel, TransmitterModel
from tokaido.emulators.optics import Fibre, TimeShift, preset
from tokaido.emulators.units import DETECTOR_RATIO
from tokaido_testing.links import ALIGNING_NS, STEP_NS, Rig
from tokaido_testing.sealed import Instrument

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokaido.emulators.units import UnitModel


class Running(Protocol):
    """Two units that exchange keys, stepped by hand."""

    link: QkdLink

    @property
    def models(self) -> tuple[UnitModel, UnitModel]: ...

    def share_of_ones(self) -> float: ...


class ToshibaPair(Rig):
    """Two Toshiba-style units with blocks of 2e5 bits."""

    def __init__(self) -> None:
        super().__init__()
        self.run()

    @property
    def models(self) -> tuple[UnitModel, UnitModel]:
        return self.tx, self.rx

    def share_of_ones(self) -> float:
        return float(self.programs[1].data("ONES?").partition("@")[0])


class NecPair:
    """Two NEC-style units with two sub-channels and blocks of 3e5 bits."""

    def __init__(self) -> None:
        self.tx = TransmitterModel(sub_channels=2, seed=1, secrets="seeded")
        self.rx = ReceiverModel(sub_channels=2, seed=1, secrets="seeded")
        self.link = QkdLink(
            self.tx,
            self.rx,
            fibre=Fibre(length_km=90.0, loss_db=20.0),
            parameters=preset("nec-sspd", settings="short-block", channel_loss_db=20.0),
            seed=1,
            secrets="seeded",
        )
        self.instruments = Instrument(self.tx), Instrument(self.rx)
        for model, instrument in zip(self.models, self.instruments, strict=True):
            model.warm()
            model.load_psk(bytes(range(256)) * 16)
            instrument.data("KEY:BLOC 300000")
        until(self, lambda: {model.state for model in self.models} == {"STANDBY"}, 60, ALIGNING_NS)
        for instrument in self.instruments:
            instrument.data("KEY:STAR")

    @property
    def models(self) -> tuple[UnitModel, UnitModel]:
        return self.tx, self.rx

    def share_of_ones(self) -> float:
        return float(self.instruments[1].data("FETC:ONES?").split(",")[0])


PAIRS: tuple[Callable[[], Running], ...] = (ToshibaPair, NecPair)
both_families = pytest.mark.parametrize("pair", PAIRS, ids=["toshiba", "nec"])


def until(pair: Running, condition: Callable[[], bool], seconds: float, step_ns: int = STEP_NS) -> None:
    for _ in range(round(seconds * 1e9 / step_ns)):
        if condition():
            return
        pair.link.step(step_ns)
    assert condition(), [(model.state, model.alarms.active()) for model in pair.models]


def waiting(pair: Running) -> list[int]:
    return [model.store.waiting for model in pair.models]


def codes(model: UnitModel) -> set[str]:
    return {alarm.kind.code for alarm in model.alarms.active()}


@both_families
@pytest.mark.parametrize("efficiencies", [(1.0, 0.0), (0.8, 1.0)])
def test_a_time_shift_gives_no_key_and_an_alarm_at_both_ends(
    pair: Callable[[], Running], efficiencies: tuple[float, float]
) -> None:
    running = pair()
    until(running, lambda: min(waiting(running)) >= 1, 10)
    for model in running.models:
        assert not codes(model)
    running.link.add_eavesdropper(TimeShift(efficiencies=efficiencies))
    before = waiting(running)
    until(running, lambda: all(model.state == "SECURITY_HOLD" for model in running.models), 20)
    for model in running.models:
        assert codes(model) == {"DETECTOR_MISMATCH"}
        assert model.session_id is None
    assert abs(running.share_of_ones() - 0.5) > uneven_limit(DETECTOR_RATIO, 200_000)
    # The block in which the attack began may have had room for a little of it, and none after it.
    assert max(after - earlier for after, earlier in zip(waiting(running), before, strict=True)) <= 1


@both_families
@pytest.mark.parametrize(
    "shift",
    [
        pytest.param(TimeShift(efficiencies=(1.0, 0.97)), id="within the ratio, which is charged for"),
        pytest.param(TimeShift(efficiencies=(1.0, 0.0), alternating=True), id="either way by turns: it is not seen"),
    ],
)
def test_keys_go_on_where_the_share_of_ones_is_near_to_a_half(pair: Callable[[], Running], shift: TimeShift) -> None:
    """The second is a limit, not a merit: the protocol pages and the page on the link say so."""
    running = pair()
    until(running, lambda: min(waiting(running)) >= 1, 10)
    running.link.add_eavesdropper(shift)
    before = waiting(running)
    until(running, lambda: min(waiting(running)) >= before[0] + 2, 20)
    for model in running.models:
        assert not codes(model)
    assert abs(running.share_of_ones() - 0.5) < uneven_limit(DETECTOR_RATIO, 150_000)
