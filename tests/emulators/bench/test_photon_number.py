"""More light than the set mean photon numbers: the transmitter notices it, and no key is made of it, in each family."""

from __future__ import annotations

import pytest

from tokaido.emulators import nec, toshiba
from tokaido.emulators.units import Refusal, TransmitterUnit
from tokaido_testing.pairs import FAMILIES, Pair


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
    pair.until(lambda: pair.blocks > drawn, 60, 500_000_000)
    assert pair.clicks == pytest.approx(before, rel=0.05)
    assert pair.alarms == (set(), set())


def test_light_that_seeds_the_laser_ends_a_running_session_and_no_block_is_made_of_it(pair: Pair) -> None:
    pair.run()
    pair.pass_time(0.1)
    drawn, exposed = pair.blocks, pair.exposed
    pair.tx.add_fault("laser_seeding")
    pair.pass_time(2, 500_000_000)
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


@pytest.mark.parametrize("model", [toshiba.TransmitterModel, nec.TransmitterModel])
def test_the_noise_of_the_monitor_never_raises_the_alarm(model: type[TransmitterUnit]) -> None:
    """It is accurate to 0.05 dB: 1,000 readings of light that is 0.1 dB off, which the limit of 0.15 dB allows."""
    tx = model()
    tx.prepare("RUN")
    tx.settings["attenuation"] -= 0.1
    tx.advance(100_000_000_000)
    assert "PHOTON_NUMBER" not in tx.alarms
