"""What happens to light on its way, and what the formulas say of it; who hears whom."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, ClassVar

import pytest

from tokaido.emulators.bench import Bench
from tokaido.emulators.optics import InterceptResend, expected_gains, preset
from tokaido.emulators.toshiba import ReceiverModel, TransmitterModel
from tokaido_testing.bench import ALIGNING_NS, PARAMETERS, Yard

if TYPE_CHECKING:
    from collections.abc import Iterable


@pytest.fixture
def yard() -> Yard:
    return Yard().run("alice", "bob")


def expected_qber(yard: Yard, background: float = 0.0) -> float:
    """Return the error rate in the key basis over all intensities (Ma 2005, with background as more dark counts)."""
    path = yard.bench.path("alice", "bob")
    assert path is not None
    dark = 1 - (1 - PARAMETERS.dark_count_probability) * math.sqrt(1 - background)
    expected = expected_gains(
        dataclasses.replace(PARAMETERS, channel_loss_db=path.loss_db, dark_count_probability=dark)
    )
    weights = [p * q for p, q in zip(PARAMETERS.probabilities, expected.gains, strict=True)]
    return sum(w * e for w, e in zip(weights, expected.error_rates_key, strict=True)) / sum(weights)


def last_block(yard: Yard) -> int:
    """Return the number of the block that ended last, or -1."""
    if not yard.units["bob"].store.waiting:
        return -1
    return int(str(yard.receivers["bob"].reading("last_block").value).split("/")[1])


def measured_qber(yard: Yard) -> float:
    """Return the error rate of a block that was begun and ended from now on."""
    ended = last_block(yard)  # the next one may be distilled already, and the one after it be open
    yard.until(lambda: last_block(yard) >= ended + 3, 10)
    return float(yard.receivers["bob"].reading("qber").value)


def test_undisturbed_light_has_the_error_rate_that_the_formulas_say(yard: Yard) -> None:
    assert measured_qber(yard) == pytest.approx(expected_qber(yard), rel=0.05)


def test_a_bend_takes_clicks_and_adds_errors_as_the_formulas_say(yard: Yard) -> None:
    before, rate = expected_qber(yard), yard.receivers["bob"].light
    assert rate is not None
    yard.bench.fibres["A"].add_bend(5.0)
    measured = measured_qber(yard)
    assert measured == pytest.approx(expected_qber(yard), rel=0.05)
    assert measured > 1.005 * before
    light = yard.receivers["bob"].light
    assert light is not None
    assert sum(light.count_rates) < 0.5 * sum(rate.count_rates)
    assert light.loss_db == pytest.approx(rate.loss_db + 5, abs=0.05)  # connectors drift meanwhile
    yard.bench.fibres["A"].remove_bend()
    assert measured_qber(yard) == pytest.approx(before, rel=0.05)


def test_stray_light_adds_errors_as_the_formulas_say_until_it_is_gone(yard: Yard) -> None:
    before = expected_qber(yard)
    yard.bench.fibres["A"].add_light(1.5e-4)
    measured = measured_qber(yard)
    assert measured == pytest.approx(expected_qber(yard, 1.5e-4), rel=0.05)
    assert measured > 1.15 * before
    yard.bench.fibres["A"].remove_light()
    assert measured_qber(yard) == pytest.approx(before, rel=0.05)


def test_stray_light_in_a_fibre_that_leads_elsewhere_harms_nobody(yard: Yard) -> None:
    yard.bench.fibres["B"].add_light(0.01)
    assert measured_qber(yard) == pytest.approx(expected_qber(yard), rel=0.05)
    carol, dave = yard.bench._transmitters["carol"], yard.bench._receivers["dave"]
    assert yard.bench._lighting.background(dave, carol) == pytest.approx(0.01)
    assert yard.bench._lighting.background(dave, None) > 0.011  # to whom carol's light was not sent


def test_bright_light_blinds_the_receiver_it_leads_to_also_through_a_fibre_that_is_cut(yard: Yard) -> None:
    yard.bench.fibres["A"].add_cut()
    yard.bench.fibres["A"].add_light(0.0, bright=True)
    yard.pass_time(0.3)
    assert yard.states["bob"] == "SECURITY_HOLD"
    assert "DETECTOR_BLINDING" in yard.alarms("bob")
    assert yard.states["dave"] != "SECURITY_HOLD"


def test_who_listens_in_a_fibre_is_caught(yard: Yard) -> None:
    yard.bench.fibres["A"].add_eavesdropper(InterceptResend(fraction=1.0))
    yard.until(lambda: yard.states["bob"] == "SECURITY_HOLD", 10)
    assert "QBER_ABORT" in yard.alarms("bob")


def test_detectors_count_light_also_before_there_is_a_session() -> None:
    yard = Yard()
    yard.switch("west", {1: 1})
    yard.switch("east", {1: 1})
    yard.until(lambda: yard.states["bob"] == "STANDBY", 60, ALIGNING_NS)
    lit = float(yard.receivers["bob"].reading("detectors[0].count_rate").value)
    yard.bench.fibres["A"].add_bend(3.0)
    yard.pass_time(0.2)
    bent = float(yard.receivers["bob"].reading("detectors[0].count_rate").value)
    assert lit > 1e6
    assert bent == pytest.approx(lit / 2, rel=0.05)


def test_separate_fibres_for_pulses_and_clock_and_what_a_move_of_the_pulses_alone_does() -> None:
    """The receiver's clock sees nothing of it, yet no pulse of the other fibre enters the session."""
    bench = Bench(seed=2, secrets="seeded")
    alice, bob = TransmitterModel(seed=2, secrets="seeded"), ReceiverModel(seed=2, secrets="seeded")
    bench.add("alice", alice)
    bench.add("bob", bob)
    for name in "ABC":
        bench.fibre(name, length_km=20, loss_db=4.0)
    for one, other in (("alice.quantum", "A.a"), ("A.b", "bob.quantum"), ("alice.clock", "C.a"), ("C.b", "bob.clock")):
        bench.join(one, other, 0)
    bench.set_up("alice", "bob", PARAMETERS, block_bits=200_000)
    bench.load_preshared_key("alice", "bob", bytes(4096))
    paths: list[str] = []
    bench.on_exposure = lambda _token, path, _pulses: paths.append(path)
    for unit in (alice, bob):
        unit.warm()
    for _ in range(90):
        bench.step(ALIGNING_NS)
    for unit in (alice, bob):
        unit.orders.obey("start", called="start")
    for _ in range(5):
        bench.step(100_000_000)
    sessions = [bob.session_id]
    assert set(paths) == {"A"}
    for port in ("A.a", "A.b"):
        bench.unjoin(port)
    bench.join("alice.quantum", "B.a", 0)
    bench.join("B.b", "bob.quantum", 0)
    bench.step(100_000_000)
    assert str(bob.state) == "REALIGN"
    sessions.append(bob.session_id)
    for _ in range(100):
        bench.step(ALIGNING_NS)
        if bob.session_id is not None:
            break
    bench.step(100_000_000)
    sessions.append(bob.session_id)
    assert None not in (sessions[0], sessions[2])
    assert sessions[0] != sessions[2]
    assert sessions[1] is None
    assert set(paths) == {"A", "B"}


class OtherPulses(TransmitterModel):
    """A transmitter of another kind."""

    PULSES = "acme"


class OtherRate(TransmitterModel):
    """A transmitter of another pulse rate."""

    CLOCK_RATE_HZ: ClassVar[float] = 5e8  # type: ignore[misc]


@pytest.mark.parametrize("kind", [OtherPulses, OtherRate])
def test_light_of_another_kind_is_no_clock_and_never_correlates(kind: type[TransmitterModel]) -> None:
    bench = Bench(seed=2, secrets="seeded")
    alice, bob = kind(seed=2, secrets="seeded"), ReceiverModel(seed=2, secrets="seeded")
    bench.add("alice", alice)
    bench.add("bob", bob)
    bench.join("alice", "bob")
    bench.load_preshared_key("alice", "bob", bytes(4096))
    for unit in (alice, bob):
        unit.warm()
    for _ in range(120):
        bench.step(ALIGNING_NS)
    assert alice.sends_light
    assert bob.incoming is None
    assert (str(bob.state), bob.step) == ("ALIGN", "POL")
    assert preset(bob.OPTICS, channel_loss_db=0).clock_rate_hz == 1e9


# --- the classical channel -------------------------------------------------------------------------------------------


def test_a_unit_speaks_to_the_peer_of_its_link_whatever_its_light_does(yard: Yard) -> None:
    heard: set[str] = set()

    def listen(sender: str, message: bytes) -> Iterable[bytes]:
        heard.add(sender)
        return [message]

    yard.bench.add_tamper(listen)
    yard.switch("west", {})
    yard.pass_time(1)
    assert heard == {"alice", "bob", "carol", "dave"}
    assert yard.units["alice"].peer.reachable
    assert yard.units["bob"].peer.reachable


def test_a_unit_that_is_cut_off_is_unreachable_until_it_is_put_back(yard: Yard) -> None:
    yard.bench.add_isolation("bob")
    yard.pass_time(4)
    assert "PEER_UNREACHABLE" in yard.alarms("alice")
    assert "PEER_UNREACHABLE" in yard.alarms("bob")
    yard.bench.remove_isolation("bob")
    yard.pass_time(1)
    assert "PEER_UNREACHABLE" not in yard.alarms("alice") | yard.alarms("bob")


def test_a_unit_without_a_named_link_speaks_to_the_other_end_of_its_light() -> None:
    bench = Bench(seed=2, secrets="seeded")
    units = {
        "alice": TransmitterModel("TKTX0001"),
        "bob": ReceiverModel("TKRX0001"),
        "dave": ReceiverModel("TKRX0002"),
    }
    for name, unit in units.items():
        bench.add(name, unit)
        unit.warm()
    bench.join("alice", "dave")
    for _ in range(5):
        bench.step(100_000_000)
    assert units["dave"].peer.status["from"] == "TKTX0001"
    assert units["bob"].peer.status == {}
    assert units["alice"].peer.reachable
