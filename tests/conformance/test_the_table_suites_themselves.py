"""The suites of the optical table see what they are there to see: each change breaks a driver, and a rule notices."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import tokaido.hal as hal
from tokaido.drivers.fiberlabs import Amplifier
from tokaido.drivers.idquantique import Detector
from tokaido.drivers.keysight import Attenuator
from tokaido.drivers.sfifteen import Tagger
from tokaido.drivers.thorlabs import Paddle, PolarizationController, PowerMeter
from tokaido.emulators.conformance import Rig, suite
from tokaido.hal.driver import Measured, Setting, measured, setting, unsupported
from tokaido_testing import apt
from tokaido_testing.amplifiers import amplifier_only_asks
from tokaido_testing.patience import slowness

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokaido.hal.tags import Tags

FOUND_OUT = (AssertionError, pytest.fail.Exception, hal.TokaidoError)
"""How a rule notices: it fails, or the driver that was broken says itself that something is wrong."""


def only_asks(text: str) -> bool:
    """Return whether every statement of a text of SCPI is a question."""
    return all("?" in statement for statement in text.removesuffix("\\n").split(";") if statement)


def put_to(driver: str, rule: str, end: str) -> None:
    """Hold a driver to one rule of its suite."""
    own = {"thorlabs.mpc": apt.only_asks, "fiberlabs.amplifier": amplifier_only_asks}
    asks = own.get(driver, only_asks)
    made = suite(driver, wire_ends=[end], slowness=slowness, is_query=asks, virtual_time=True)
    with Rig(made.plan, end) as rig:
        getattr(made(), rule)(rig)


def value(owner: type[Any], name: str, other: Measured[Any] | Setting[Any]) -> Callable[[pytest.MonkeyPatch], None]:
    """Declare a value of a driver otherwise."""

    def change(monkeypatch: pytest.MonkeyPatch) -> None:
        owner.values()  # kept by the class from now on, and put back at the end
        other.__set_name__(owner, name)
        monkeypatch.setattr(owner, name, other)
        monkeypatch.delattr(owner, "_values_by_name")

    return change


def member(owner: type[Any], name: str, other: object) -> Callable[[pytest.MonkeyPatch], None]:
    """Give a driver another method or fact."""
    return lambda monkeypatch: monkeypatch.setattr(owner, name, other)


class Shifted(Setting[float]):
    """A value that is set and read with the same mistake."""

    def encode(self, value: float) -> str:
        return super().encode(value - 1)

    def decode(self, text: str) -> float:
        return super().decode(text) + 1


BASE_MOVE = PolarizationController.move_to


class Kept(Measured[float]):
    """A value that is told again when there is none."""

    def __get__(self, obj: Any, owner: Any = None) -> Any:
        if obj is None:
            return self
        try:
            vars(self)["last"] = obj.read(self)
        except hal.NoDataError:
            return vars(self)["last"]
        return vars(self)["last"]


class ModesExchanged(Setting[hal.AmplifierMode]):
    """Takes constant power for constant current, and the other way round."""

    def encode(self, value: hal.AmplifierMode) -> str:
        return super().encode(self._other(value))

    def decode(self, text: str) -> hal.AmplifierMode:
        return self._other(super().decode(text))

    @staticmethod
    def _other(mode: hal.AmplifierMode) -> hal.AmplifierMode:
        pair = hal.AmplifierMode.CONSTANT_POWER, hal.AmplifierMode.CONSTANT_CURRENT
        return pair[pair.index(mode) - 1]


class Longer(Setting[float]):
    """A dead time that is set and read one step too long."""

    def encode(self, value: float) -> str:
        return super().encode(value + 40_000)

    def decode(self, text: str) -> float:
        return super().decode(text) - 40_000


class Shown(Measured[float]):
    """A count rate that is told as the diode never saw it: a third more."""

    def decode(self, text: str) -> float:
        return super().decode(text) * 4 / 3


ATTENUATOR = {
    "test_what_was_set_is_in_force": value(
        Attenuator, "attenuation", Shifted(float, ":INP1:ATT", unit="dB", range=(1, 40), resolution=0.005)
    ),
    "test_it_attenuates_over_its_whole_range": value(
        Attenuator, "attenuation", setting(float, ":INP1:ATT", unit="dB", range=(0, 45), resolution=0.005)
    ),
    "test_its_shutter_lets_no_light_through": value(Attenuator, "blocked", setting(bool, ":OUTP1:STAT")),
    "test_its_safe_state_lets_no_light_through": member(Attenuator, "apply_safe_state", lambda _: None),
    "test_a_power_monitor_sees_what_leaves": value(
        Attenuator, "output_power", measured(float, ":INP1:ATT", unit="dBm")
    ),
    "test_a_wavelength_is_set_and_moves_no_filter": value(
        Attenuator, "wavelength", setting(float, ":INP1:ATT", unit="nm", range=(10, 30))
    ),
    "test_an_insertion_loss_is_told_or_unsupported": member(
        Attenuator, "capabilities", Attenuator.capabilities | {hal.AttenuatorCapability.INSERTION_LOSS}
    ),
}
POWER_METER = {
    "test_what_was_set_is_in_force": value(
        PowerMeter, "wavelength", Shifted(float, ":SENS:CORR:WAV", unit="nm", range=(185, 25_000))
    ),
    "test_it_tells_the_light_that_enters": value(
        PowerMeter, "power", measured(float, ":SENS:POW:RANG:UPP", unit="dBm")
    ),
    "test_in_the_dark_it_tells_no_light": value(PowerMeter, "power", Kept(float, ":MEAS:POW", unit="dBm")),
    "test_its_safe_state_is_the_one_it_is_in": member(PowerMeter, "apply_safe_state", PowerMeter.zero),
    "test_a_range_is_held_or_unsupported": member(PowerMeter, "set_range", lambda meter, power: power),
    "test_a_range_that_is_none_is_refused_before_anything_is_sent": member(
        PowerMeter, "set_range", lambda meter, power: meter._command(f":SENS:POW:RANG:UPP {power}")
    ),
    "test_averaging_is_set_or_unsupported": value(PowerMeter, "averaging", Shifted(float, ":SENS:AVER", unit="")),
    "test_a_zero_adjustment_ends_or_is_unsupported": member(
        PowerMeter, "zero", lambda meter: meter._command(":SENS:CORR:COLL:ZERO:INIT")
    ),
}


def started_wrongly(paddle: Any, position: float) -> None:
    """Send a paddle to another place than it was told."""
    paddle._device._command("MOD_SET_CHANENABLESTATE 7 1")
    paddle._device._command(f"MOT_MOVE_ABSOLUTE {paddle._prefix} {round(position * 7)}")


def moved_unchecked(controller: Any, *positions: float | None) -> None:
    """Send whatever position was asked for."""
    for paddle, position in zip(controller.retarders, positions, strict=False):
        paddle._start(position or 0.0)


POLARIZATION = {
    "test_what_was_set_is_in_force": member(Paddle, "_start", started_wrongly),
    "test_what_is_out_of_range_is_never_sent": member(PolarizationController, "move_to", moved_unchecked),
    "test_it_reaches_both_limits_of_every_retarder": member(Paddle, "limits", (0.0, 180.0)),
    "test_a_retarder_that_is_not_named_stays": member(
        PolarizationController, "move_to", lambda it, *to: BASE_MOVE(it, *(at or 0.0 for at in to))
    ),
    "test_it_says_whether_it_moves": member(PolarizationController, "moving", lambda _: True),
    "test_it_stops_or_cannot": member(PolarizationController, "stop", lambda _: None),
    "test_it_goes_home_or_has_none": member(PolarizationController, "home", lambda _: None),
    "test_a_scrambler_is_there_or_unsupported": member(
        PolarizationController,
        "capabilities",
        PolarizationController.capabilities | {hal.PolarizationCapability.SCRAMBLE},
    ),
    "test_its_safe_state_is_the_one_it_is_in": member(
        PolarizationController, "apply_safe_state", PolarizationController.stop
    ),
}
AMPLIFIER = {
    "test_what_was_set_is_in_force": value(
        Amplifier, "target_power", Shifted(float, "SETALC,1", unit="dBm", range=(-20, 33), resolution=0.1)
    ),
    "test_it_holds_what_each_mode_says": value(Amplifier, "mode", ModesExchanged(hal.AmplifierMode, "SETMOD,1")),
    "test_it_is_off_when_it_says_so": value(Amplifier, "enabled", setting(bool, "ACTIVE", words=("1", "0"))),
    "test_its_safe_state_is_off": member(Amplifier, "apply_safe_state", lambda _: None),
    "test_it_tells_the_light_at_its_input": member(Amplifier, "alarms", lambda _: frozenset()),
    "test_an_interlock_is_enforced_before_anything_is_sent": member(
        Amplifier, "add_interlock", lambda amplifier, interlock: None
    ),
}
DETECTOR = {
    "test_what_was_set_is_in_force": value(
        Detector, "dead_time", Longer(float, "DEADTIME:TIME", unit="ns", range=(40_000, 1_000_000), resolution=40_000)
    ),
    "test_it_counts_the_photons_that_come": value(
        Detector, "count_rate", Shown(float, "COUNTERS:DETECTION_FREQ", unit="1/s")
    ),
    "test_a_longer_dead_time_leaves_fewer_clicks": value(
        Detector, "dead_time", setting(float, "BIAS:VOLTAGE", unit="ns", range=(0, 250), resolution=0.08)
    ),
    "test_what_is_off_detects_nothing": value(Detector, "enabled", setting(bool, "REG:RUN", words=("TRUE", "FALSE"))),
    "test_its_safe_state_is_off": member(Detector, "apply_safe_state", lambda _: None),
    "test_a_bias_decides_what_it_detects_or_is_unsupported": value(
        Detector, "bias", setting(float, "REG:TEMP_SET_POINT", unit="V", range=(-50, 0))
    ),
    "test_an_efficiency_is_set_or_unsupported": member(
        Detector, "capabilities", Detector.capabilities | {hal.PhotonDetectorCapability.EFFICIENCY}
    ),
    "test_a_mode_is_set_or_unsupported": member(
        Detector, "capabilities", Detector.capabilities | {hal.PhotonDetectorCapability.GATING}
    ),
    "test_dark_counts_are_told_or_unsupported": value(
        Detector, "dark_count_rate", measured(float, "COUNTERS:DETECTION_FREQ", unit="1/s")
    ),
    "test_a_counting_time_is_set_or_unsupported": value(
        Detector, "counting_time", setting(float, "REG:TEMP_SET_POINT", unit="s", range=(-50, 50))
    ),
    "test_it_is_cooled_or_cannot_be_told_to_be": value(
        Detector, "temperature", measured(float, "BIAS:VOLTAGE", unit="degC")
    ),
}
BASE_TAGS = Tagger._tags


def other_tags(**changes: Any) -> Callable[..., Tags]:
    """Return what makes an acquisition whose tags are told otherwise."""
    return lambda it, duration, most: dataclasses.replace(BASE_TAGS(it, duration, most), **changes)


def told_later(it: Tagger, duration: float, most: int) -> Tags:
    """Tell every tag of the second channel where the first channel's is."""
    tags = BASE_TAGS(it, duration, most)
    return dataclasses.replace(tags, channels=np.ones_like(tags.channels))


def in_nanoseconds(it: Tagger, duration: float, most: int) -> Tags:
    """Tell times in ns."""
    tags = BASE_TAGS(it, duration, most)
    return dataclasses.replace(tags, times=tags.times // np.uint64(1000))


TAGGER = {
    "test_what_was_set_is_in_force": value(Tagger, "threshold", Shifted(float, "level", unit="V", range=(-2, 3))),
    "test_it_counts_each_channel": member(Tagger, "_count", lambda it, duration: (100, 0, 0, 0)),
    "test_its_tags_are_the_pulses": member(Tagger, "_tags", in_nanoseconds),
    "test_delays_and_coincidences_come_from_its_tags": member(Tagger, "_tags", told_later),
    "test_a_long_silence_hides_no_time": lambda monkeypatch: monkeypatch.setattr(
        "tokaido.drivers.sfifteen._gathering.ROLLOVER", 1 << 26
    ),
    "test_what_is_not_kept_is_counted": member(Tagger, "_tags", other_tags(lost=0)),
    "test_too_many_pulses_are_said": member(Tagger, "_tags", other_tags(overflowed=False)),
    "test_a_stream_is_piece_by_piece": member(
        Tagger, "stream", lambda it, piece, most=10: iter([it.tags(piece)] + [it.tags(piece / 10)] * 2)
    ),
    "test_a_duration_that_is_none_is_refused_before_anything_is_sent": member(
        Tagger, "_checked", lambda it, duration: 0.01
    ),
    "test_a_threshold_is_set_or_unsupported": value(
        Tagger, "threshold", setting(float, "level", unit="V", range=(0, 3))
    ),
    "test_its_safe_state_is_the_one_it_is_in": member(Tagger, "apply_safe_state", lambda it: it.count(0.01)),
}
SUITES = {
    ("sfifteen.tagger", "emu"): TAGGER,
    ("idquantique.detector", "emu"): DETECTOR,
    ("fiberlabs.amplifier", "emu"): AMPLIFIER,
    ("keysight.attenuator", "visa"): ATTENUATOR,
    ("thorlabs.mpc", "emu"): POLARIZATION,
    ("thorlabs.pm100", "visa"): POWER_METER,
}
BROKEN = [
    pytest.param(driver, end, rule, change, id=f"{driver}-{rule}")
    for (driver, end), changes in SUITES.items()
    for rule, change in changes.items()
]


@pytest.mark.parametrize(("driver", "end", "rule", "change"), BROKEN)
def test_a_broken_driver_is_found_out(
    driver: str, end: str, rule: str, change: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    put_to(driver, rule, end)
    change(monkeypatch)
    with pytest.raises(FOUND_OUT):
        put_to(driver, rule, end)


def test_a_capability_that_is_hidden_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Attenuator, "capabilities", frozenset())
    for rule in ("test_a_power_monitor_sees_what_leaves", "test_a_wavelength_is_set_and_moves_no_filter"):
        with pytest.raises(AssertionError):
            put_to("keysight.attenuator", rule, "visa")
    value(Attenuator, "output_power", unsupported(float, "hidden"))(monkeypatch)
    put_to("keysight.attenuator", "test_a_power_monitor_sees_what_leaves", "visa")
