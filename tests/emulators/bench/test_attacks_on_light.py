"""What units tell of each eavesdropper in a fibre, by their own console, and what they cannot tell apart."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from tokaido.emulators.optics import (
    DetectorBlinding,
    InterceptResend,
    PhotonNumberSplitting,
    TimeShift,
    TrojanHorse,
)
from tokaido.hal import ConfigurationError
from tokaido_testing.bench import Yard
from tokaido_testing.console import Program

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokaido.emulators.bench import FibreOnBench


def after(mishap: Callable[[FibreOnBench], None], seconds: float = 1.0) -> Yard:
    """Return a bench on which this happened to the fibre of a running link some time ago."""
    yard = Yard().run("alice", "bob")
    mishap(yard.bench.fibres["A"])
    yard.pass_time(seconds)
    return yard


def told(yard: Yard, name: str = "bob") -> dict[str, str]:
    """Return every field that a unit tells, without ages."""
    fields = (item.partition("=") for item in Program(yard.units[name]).data("TEL?").split(" "))
    return {field: value.partition("@")[0] for field, _, value in fields}


def nothing(_fibre: FibreOnBench) -> None:
    pass


def by(eavesdropper: object) -> Callable[[FibreOnBench], None]:
    def place(fibre: FibreOnBench) -> None:
        fibre.add_eavesdropper(eavesdropper)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    return place


@pytest.fixture(scope="module")
def undisturbed() -> dict[str, str]:
    yard = after(nothing)
    assert not yard.alarms("bob")
    return told(yard)


def test_split_pulses_cost_the_key_and_not_the_error_rate(undisturbed: dict[str, str]) -> None:
    """Near to the source not even a line without loss makes up for all the single photons."""
    yard = after(by(PhotonNumberSplitting(fraction=0.3)))
    seen = told(yard)
    assert not yard.alarms("bob")
    assert float(seen["QBER"]) == pytest.approx(float(undisturbed["QBER"]), rel=0.07)
    assert float(seen["RATE:SEC"]) < 0.4 * float(undisturbed["RATE:SEC"])
    assert float(seen["RATE:SIFT"]) > 0.85 * float(undisturbed["RATE:SIFT"])


def test_no_single_photons_no_key() -> None:
    yard = after(by(PhotonNumberSplitting(fraction=1.0)))
    assert yard.alarms("alice") == yard.alarms("bob") == {"NO_KEY"}
    assert told(yard)["RATE:SEC"] == "!NO_DATA"


def test_a_time_shift_shows_in_the_counts_of_the_two_detectors(undisturbed: dict[str, str]) -> None:
    """As much of it as is charged for, and no alarm: 0.95 of the light, less in the counts for noise."""
    yard = after(by(TimeShift(efficiencies=(0.9, 0.855))))
    assert not yard.alarms("bob")
    seen = told(yard)
    ratio = float(seen["DET1:CNT"]) / float(seen["DET0:CNT"])
    assert ratio == pytest.approx(0.953, abs=0.008)
    assert float(undisturbed["DET1:CNT"]) / float(undisturbed["DET0:CNT"]) == pytest.approx(1, abs=0.008)
    assert float(seen["ONES"]) == pytest.approx(1 / 2.05, abs=0.006)
    assert float(undisturbed["ONES"]) == pytest.approx(0.5, abs=0.006)
    assert seen["DET0:EFF"] == undisturbed["DET0:EFF"]  # which the unit knows from its bias


def test_a_time_shift_beyond_what_is_charged_for_is_an_alarm_at_both_ends() -> None:
    yard = after(by(TimeShift(efficiencies=(0.9, 0.5))))
    assert yard.alarms("alice") == yard.alarms("bob") == {"DETECTOR_MISMATCH"}
    assert (yard.states["alice"], yard.states["bob"]) == ("SECURITY_HOLD", "SECURITY_HOLD")
    assert float(told(yard)["ONES"]) < 0.4


def test_a_detector_at_less_bias_counts_less_than_the_other() -> None:
    yard = Yard().run("alice", "bob")
    bob = yard.receivers["bob"]
    with_bias = bob.efficiency(1)
    bob.settings["detectors[1].bias"] -= 0.5
    assert 0 < bob.efficiency(1) < with_bias
    share = bob.efficiency(1) / with_bias
    yard.pass_time(0.5)
    seen = told(yard)
    assert float(seen["DET1:CNT"]) / float(seen["DET0:CNT"]) == pytest.approx(share, abs=0.06)


def test_blinding_light_is_noticed_at_the_detectors_that_it_blinds() -> None:
    yard = after(by(DetectorBlinding()), 0.5)
    assert (yard.states["bob"], yard.alarms("bob")) == ("SECURITY_HOLD", {"DETECTOR_BLINDING"})
    assert not yard.alarms("alice") | yard.alarms("dave")


def test_trojan_light_is_noticed_at_the_input_and_as_long_as_it_is_there() -> None:
    yard = after(by(TrojanHorse()), 0.5)
    bob = Program(yard.units["bob"])
    assert (yard.states["bob"], yard.alarms("bob")) == ("SECURITY_HOLD", {"TROJAN_LIGHT"})
    assert bob.ask("SEC ACK").startswith("ERR 32 REFUSED")
    yard.bench.fibres["A"].remove_eavesdropper()
    yard.pass_time(0.2)
    assert bob.ask("SEC ACK").startswith("OK")
    assert not yard.alarms("bob")


def test_trojan_light_in_a_fibre_that_leads_elsewhere_harms_nobody() -> None:
    yard = Yard().run("alice", "bob")
    yard.bench.fibres["B"].add_eavesdropper(TrojanHorse())
    yard.pass_time(0.5)
    assert not yard.alarms("bob")
    assert "TROJAN_LIGHT" in yard.alarms("dave")


def test_no_unit_tells_misalignment_from_weak_interception(undisturbed: dict[str, str]) -> None:
    """The same states, alarms and fields on both sides, the same values as far as counts allow: QBER is up, and why?"""
    one = after(lambda fibre: fibre.add_misalignment(0.01))
    other = after(by(InterceptResend(fraction=0.04)))
    assert one.states == other.states
    for name in ("alice", "bob"):
        assert one.alarms(name) == other.alarms(name) == set()
        first, second = told(one, name), told(other, name)
        assert first.keys() == second.keys()
        scatter = {"RATE:SEC": 0.15, "QBER": 0.05, "QBER:CHK": 0.06, "EC:EFF": 0.03}  # of a block of 2e5 bits
        for field, value in first.items():
            if not is_number(value) or field in ("KEYS", "AUTH:LEFT"):
                assert is_number(value) == is_number(second[field]), field
                continue
            spread = scatter.get(field, 0.02)
            assert float(value) == pytest.approx(float(second[field]), rel=spread, abs=1e-3), field
    assert float(told(one)["QBER"]) > float(undisturbed["QBER"])
    assert float(told(one)["RATE:SEC"]) < float(undisturbed["RATE:SEC"])


def test_misalignments_of_fibres_in_a_row_multiply_their_contrasts() -> None:
    yard = Yard().run("alice", "bob")
    path = yard.bench.path("alice", "bob")
    assert path is not None
    assert yard.bench._lighting.misalignment(path) == 0
    yard.bench.fibres["A"].add_misalignment(0.1)
    yard.bench.fibres["B"].add_misalignment(0.4)  # not on the way
    assert yard.bench._lighting.misalignment(path) == pytest.approx(0.1)
    with pytest.raises(ConfigurationError, match=r"0 to 0\.5"):
        yard.bench.fibres["A"].add_misalignment(0.6)


def is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
