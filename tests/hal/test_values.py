"""Values: a declaration of one line is typed, checked, read back, reported and refused."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tokaido.hal as hal
from tokaido.hal import LimitStatus, Quality, units_of_measure
from tokaido.hal.driver import Answer, Measured, decode, encode, is_no_value, measured, setting
from tokaido_testing.toys import Toy

ANSWERS: dict[str, str | None] = {
    "POW": "-0.52",
    "CNT": "17",
    "LAB": "west",
    "ATT": "12.5",
    "SHT": "OPEN",
    "RDY": "1",
    "STP": "ALIGN,PHASE",
    "P0:LEV": "1.5",
    "P1:LEV": None,
}


@pytest.fixture
def toy() -> Toy:
    return Toy(dict(ANSWERS))


def test_a_value_is_read_as_its_declared_kind(toy: Toy) -> None:
    assert toy.power == -0.52
    assert toy.count == 17
    assert toy.label == "west"
    assert toy.shutter is hal.Shutter.OPEN
    assert toy.ready() is True
    assert toy.step() == "PHASE"
    assert toy.parts[0].level == 1.5


def test_the_declared_values_of_a_class_are_its_own_and_no_caller_changes_them() -> None:
    class Narrower(Toy):
        count = measured(int, "N", unit="")
        extra = measured(float, "X", unit="V")

    before = Toy.values()
    assert list(Narrower.values()) == [*before, "extra"]
    assert Narrower.values()["count"] is Narrower.count
    assert Toy.values()["count"] is Toy.count
    Toy.values().clear()
    assert Toy.values() == before


def test_a_setting_is_checked_before_anything_is_sent(toy: Toy) -> None:
    with pytest.raises(hal.RangeError, match="0 to 60 dB"):
        toy.attenuation = 60.01
    with pytest.raises(hal.RangeError):
        toy.attenuation = math.nan
    with pytest.raises(hal.ValueTypeError):
        toy.attenuation = "12"  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(hal.ValueTypeError):
        toy.attenuation = True
    assert toy._sent == []
    toy.attenuation = 12
    assert toy._sent == ["ATT 12"]


def test_a_setting_that_reads_back_otherwise_is_an_error() -> None:
    toy = Toy({"ATT!": "12.4"})
    with pytest.raises(hal.DeviceError, match="reads back"):
        toy.attenuation = 12.5


def test_what_is_read_only_or_misspelt_cannot_be_set(toy: Toy) -> None:
    with pytest.raises(AttributeError, match="read-only"):
        toy.power = 1.0  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(AttributeError, match="attenuaton"):
        toy.attenuaton = 1.0  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]


def test_what_a_vendor_lacks_is_never_made_up(toy: Toy) -> None:
    with pytest.raises(hal.UnsupportedError, match="no amplifier"):
        _ = toy.gain
    assert "gain" not in toy.telemetry()


def test_telemetry_gives_each_reading_its_quality_and_limits() -> None:
    toy = Toy({**ANSWERS, "POW": "2.0@30", "CNT": "many"})
    telemetry = toy.telemetry()
    power = telemetry[Toy.power]
    assert (power.value, power.unit, power.quality, power.age_s) == (2.0, "dBm", Quality.STALE, 30.0)
    assert power.limit_status is LimitStatus.OUTSIDE_OPERATIONAL
    assert telemetry["count"].quality is Quality.BAD
    assert "many" in telemetry["count"].error
    assert telemetry["parts[1].level"].quality is Quality.BAD
    assert telemetry["parts[1].level"].value is None
    assert telemetry.part("parts[0]")["level"].value == 1.5
    assert telemetry[Toy.attenuation].limit_status is LimitStatus.UNKNOWN


def test_a_snapshot_records_errors_and_never_aborts() -> None:
    snapshot = Toy({"POW": "-0.5", "RDY": None, "STP": "X"}).snapshot()
    assert snapshot["values"]["power"]["value"] == -0.5
    assert snapshot["values"]["label"]["quality"] == "bad"
    assert snapshot["states"] == {"ready": None, "step": ""}
    assert any("ready" in error for error in snapshot["errors"])


def test_a_driver_must_not_narrow_a_setting_of_its_role() -> None:
    with pytest.raises(TypeError, match="must be a setting"):

        class Narrow(Toy):
            attenuation = measured(float, "ATT", unit="dB")  # pyright: ignore[reportAssignmentType, reportIncompatibleVariableOverride]


def test_a_driver_that_forgets_a_value_cannot_be_made() -> None:
    class Forgetful(hal.Part):
        level: Measured[float] = measured(float, unit="dB")

    with pytest.raises(TypeError, match="abstract"):
        Forgetful(Toy({}), "x", "X:")


@given(st.floats(allow_nan=False, allow_infinity=False).filter(lambda value: not is_no_value(encode(value))))
def test_a_float_survives_its_text(value: float) -> None:
    assert decode(float, encode(value), "x") == value


@given(st.text(max_size=20))
def test_no_text_makes_a_decoder_raise_anything_but_its_own_error(text: str) -> None:
    for kind in (float, int, bool, hal.Shutter):
        try:
            decode(kind, text, "x")
        except (hal.ProtocolError, hal.NoDataError):  # "INF" stands for a missing value
            continue


@pytest.mark.parametrize("text", ["1e999", "", "12 dB", "0x10", "nano", "1_0"])
def test_what_is_no_finite_number_is_no_reading(text: str) -> None:
    with pytest.raises(hal.ProtocolError):
        decode(float, text, "x")


def test_our_units_of_measure_are_constants_and_every_role_keeps_to_them() -> None:
    ours = {value for name, value in vars(units_of_measure).items() if name.isupper()}
    roles = (
        hal.Transmitter,
        hal.Receiver,
        hal.Detector,
        hal.SubChannel,
        hal.VariableAttenuator,
        hal.PowerMeter,
        hal.SinglePhotonDetector,
        hal.TimeTagger,
        hal.Retarder,
        hal.OpticalAmplifier,
        hal.RepeaterNode,
        hal.NeighbourOfRepeater,
        hal.LinkOfRepeater,
        hal.PairOfRepeater,
    )
    used = {value.unit for role in roles for value in role.values().values()}
    assert used <= ours
    assert len(used) > 8


def test_a_power_is_told_in_dbm_or_in_watts() -> None:
    assert units_of_measure.to_dbm(1e-3) == 0.0
    assert units_of_measure.to_dbm(2e-3) == pytest.approx(3.0103, abs=1e-4)
    for dbm in (-110.0, -3.0, 0.0, 23.5):
        assert units_of_measure.to_dbm(units_of_measure.to_watts(dbm)) == pytest.approx(dbm)
    for watts in (0.0, -1e-12, math.inf, math.nan):
        with pytest.raises(ValueError, match="has no level in dBm"):
            units_of_measure.to_dbm(watts)


def test_a_flag_is_written_in_the_words_of_its_device() -> None:
    flag = setting(bool, "LAS:EN", words=("OFF", "ON"))
    assert [flag.encode(value) for value in (False, True)] == ["OFF", "ON"]
    assert [flag.decode(text) for text in ("OFF", "ON")] == [False, True]
    with pytest.raises(hal.ProtocolError, match="not a flag"):
        flag.decode("1")


def test_what_a_device_has_is_found_by_its_path_and_a_near_miss_is_named() -> None:
    toy = Toy({})
    assert {"power", "label"} <= set(toy.value_paths())
    assert list(toy.queries()) == ["ready", "step"]
    owner, value = toy.find("power")
    assert (owner, value) == (toy, Toy.power)
    with pytest.raises(hal.ConfigurationError, match=r"has no value 'powr'.*Did you mean power\?"):
        toy.find("powr")


def test_a_reading_is_recorded_with_its_limits() -> None:
    reading = hal.Reading(hal.Shutter.OPEN, "", 7, 0.5, hal.Quality.GOOD, operational=(1, 2))
    assert reading.record() == {
        "value": "OPEN",
        "unit": "",
        "quality": "good",
        "age_s": 0.5,
        "limits": "unknown",
        "operational": (1, 2),
        "absolute": None,
    }


class Guarded(Toy):
    attenuation = setting(float, "ATT", unit="dB", range=(0, 60), states=hal.SETUP)

    def _order(self, command: str, text: str) -> Answer:
        super()._order(command, text)
        raise hal.StateError("STATE RUN", command=command)


def test_a_setting_is_sent_in_any_state_and_a_refusal_says_which_states_allow_it() -> None:
    toy = Guarded(dict(ANSWERS))
    with pytest.raises(hal.StateError, match=r"STATE RUN.*attenuation can be set in OFF, WARMUP, AUTH, STANDBY$"):
        toy.attenuation = 12
    assert toy._sent == ["ATT 12"]
    with pytest.raises(hal.StateError, match=r"\[command SHT\]$"):
        toy.shutter = hal.Shutter.OPEN
