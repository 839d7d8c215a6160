"""A calibrated quantity: corrected when it is read, turned back when it is set, and shown as such."""

from __future__ import annotations

import datetime
import itertools
import logging
from typing import TYPE_CHECKING, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tokaido.hal as hal
from tokaido.emulators import SteppedClock, launch
from tokaido.hal.driver import LineDevice, Setting, setting
from tokaido_testing.toys import Toy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tokaido.emulators import Emulator

DRIVERS = [entry.name for entry in hal.drivers() if entry.name != "etsi014.source"]  # which only counts
POINTS = [[0, 0.5], [10, 10.5], [20, 21.5]]
"""What the attenuator tells, and what it really takes away."""


def tap(offset: float, **more: Any) -> hal.Calibration:
    return hal.Calibration(unit="dBm", date=datetime.date(2026, 1, 2), source="bench", offset=offset, **more)


def calibrated(calibrations: dict[str, hal.Calibration], answers: dict[str, str | None] | None = None) -> Toy:
    """Return a device without a wire that goes by calibrations."""
    toy = Toy(answers or {})
    toy._given = calibrations
    toy._calibrate()
    return toy


def table(path: str, **facts: object) -> str:
    """Return the table of a calibration, as TOML."""
    given = {"unit": "dB", "date": "2026-01-02", "source": '"certificate 4711"', **facts}
    shown = {key: f'"{value}"' if key in ("unit", "outside") else value for key, value in given.items()}
    lines = "\n".join(f"{key} = {value}" for key, value in shown.items() if value is not None)
    return f"[devices.box.calibrations.{path}]\n{lines}\n"


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
def station(clock: SteppedClock) -> Iterator[Callable[..., hal.Station]]:
    opened: list[Emulator | hal.Station] = []

    def of(driver: str, *tables: str, **options: Any) -> hal.Station:
        box = launch(driver, clock=clock, model_options=options)
        opened.append(box)
        text = f"[devices.box]\ndriver = '{driver}'\ncontrol = '{box.resources['control']}'\n" + "".join(tables)
        found = hal.Station.from_text(text, clock=clock)
        opened.append(found)
        return found

    yield of
    for one in reversed(opened):
        one.close()


def attenuator(station: hal.Station) -> hal.VariableAttenuator:
    return station.device("box", hal.VariableAttenuator)


def told(box: hal.VariableAttenuator) -> float:
    """Return what the box itself is set to, asked past its driver."""
    assert isinstance(box, LineDevice)
    return float(box.transport.query(":INP1:ATT?"))


# --- what is read -----------------------------------------------------------------------------------------------------


def test_a_meter_at_a_tap_reads_the_power_in_the_fibre(station: Callable[..., hal.Station]) -> None:
    meter = station("thorlabs.pm100", table("power", unit="dBm", offset=20), dark_w=1e-6).device("box", hal.PowerMeter)
    assert meter.power == pytest.approx(-10)
    reading = meter.telemetry()[hal.PowerMeter.power]
    assert reading.value == pytest.approx(-10)
    assert reading.raw == pytest.approx(-30)
    assert reading.quality is hal.Quality.GOOD
    assert str(reading.calibration) == "offset +20 dBm, 2026-01-02, certificate 4711"
    record = reading.record()
    assert record["raw"] == pytest.approx(-30)
    assert record["calibration"]["source"] == "certificate 4711"
    assert meter.snapshot()["values"]["power"]["calibration"]["offset"] == 20
    other = meter.telemetry()[hal.PowerMeter.wavelength]
    assert (other.raw, other.calibration) == (None, None)
    assert "raw" not in other.record()


@pytest.mark.parametrize("driver", DRIVERS)
def test_every_quantity_of_every_driver_can_be_calibrated(driver: str, clock: SteppedClock) -> None:
    with launch(driver, clock=clock) as box:
        at: Any = {"control": box.resources["control"]}
        with hal.Device.open(driver, clock=clock, **at) as device:
            found = {path: device.find(path) for path in device.value_paths()}
            wanted = {
                path: hal.Calibration(unit=value.unit, date=datetime.date(2026, 1, 2), source="all", offset=1000.0)
                for path, (owner, value) in found.items()
                if value.kind is float and value.name not in owner.own_scale
            }
        with hal.Device.open(driver, clock=clock, calibrations=wanted, **at) as device:
            for path, reading in device.telemetry().items():
                assert (reading.calibration is not None) == (path in wanted)
                if reading.raw is None:
                    continue
                assert reading.value == reading.raw + 1000
                owner, value = device.find(path)
                assert owner.read(value) == pytest.approx(reading.value, abs=20)  # noise goes on
                if isinstance(value, Setting) and value.range is not None:
                    assert value.range[0] >= 900


def test_limits_are_corrected_with_the_value() -> None:
    declared = Toy({"POW": "-2"}).telemetry()[Toy.power]
    assert declared.operational is not None
    toy = calibrated({"power": tap(20)}, {"POW": "-2"})
    reading = toy.telemetry()[Toy.power]
    assert reading.value == 18
    assert reading.operational == (declared.operational[0] + 20, declared.operational[1] + 20)
    assert reading.limit_status is declared.limit_status is hal.LimitStatus.INSIDE


def test_a_value_beyond_the_table_is_refused_and_a_longer_line_is_taken_on_request(
    station: Callable[..., hal.Station],
) -> None:
    box = attenuator(station("keysight.attenuator", table("attenuation", points=POINTS)))
    box.write_uncalibrated(type(box).attenuation, 30)
    with pytest.raises(hal.NoDataError, match=r"tells 30 dB, .* of 2026-01-02 covers 0 to 20 dB"):
        _ = box.attenuation
    reading = box.telemetry()[hal.VariableAttenuator.attenuation]
    assert (reading.value, reading.raw, reading.quality) == (None, 30, hal.Quality.BAD)
    longer = attenuator(station("keysight.attenuator", table("attenuation", points=POINTS, outside="extend")))
    longer.write_uncalibrated(type(longer).attenuation, 30)
    assert longer.attenuation == pytest.approx(32.5)


# --- what is set ------------------------------------------------------------------------------------------------------


def test_a_setting_is_turned_back_into_what_the_device_is_told(station: Callable[..., hal.Station]) -> None:
    box = attenuator(station("keysight.attenuator", table("attenuation", points=POINTS)))
    for real, own in ((0.5, 0), (5.5, 5), (10.5, 10), (16.0, 15), (21.5, 20)):
        box.attenuation = real
        assert told(box) == pytest.approx(own, abs=1e-3)
        assert box.attenuation == pytest.approx(real, abs=1e-3)
    for outside in (0.4, 21.6, 30.0):
        with pytest.raises(hal.RangeError, match=r"takes 0\.5 to 21\.5 dB.*Nothing was sent.*itself is set to 0 to 20"):
            box.attenuation = outside
    assert told(box) == pytest.approx(20)


def test_the_limits_of_a_setting_are_those_of_the_device_itself(station: Callable[..., hal.Station]) -> None:
    box = attenuator(station("keysight.attenuator", table("attenuation", offset=1.5)))
    box.attenuation = 41.5
    assert told(box) == pytest.approx(40)
    for outside in (1.4, 41.6):
        with pytest.raises(hal.RangeError):
            box.attenuation = outside


def test_what_reads_back_otherwise_is_told_in_the_devices_own_scale() -> None:
    class Stubborn(Toy):
        level = setting(float, "LEV", unit="dBm")
        """Control nothing."""

        def _order(self, command: str, text: str) -> Any:
            assert (command, text) == ("LEV", "-15")
            return self._ask("LEV")

    toy = Stubborn({"LEV": "-14"})
    toy._given = {"level": tap(20)}
    toy._calibrate()
    with pytest.raises(hal.DeviceError, match="set to -15 and reads back -14"):
        toy.level = 5.0


def test_a_safe_state_does_not_depend_on_a_table(station: Callable[..., hal.Station]) -> None:
    points = "[[2, 2.1], [5, 5.5]]"
    driver, at = "idquantique.detector", hal.SinglePhotonDetector
    box: Any = station(driver, table("bias", unit=bias_unit(driver), points=points)).device("box", at)
    box.bias = 5.5
    box.apply_safe_state()
    assert box.telemetry()["bias"].raw == 0


def bias_unit(driver: str) -> str:
    return hal.load_driver(driver, hal.Device).values()["bias"].unit


rising = st.lists(st.floats(0.01, 30), min_size=2, max_size=8).map(lambda steps: list(itertools.accumulate(steps)))


@given(told=rising, real=rising, offset=st.floats(-50, 50), outside=st.sampled_from(["refuse", "extend"]))
def test_what_is_set_is_read_back_and_is_never_more_than_the_device_takes(
    told: list[float], real: list[float], offset: float, outside: Literal["refuse", "extend"]
) -> None:
    day = datetime.date(2026, 1, 2)
    found = hal.Calibration("dB", day, "any", points=tuple(zip(told, real, strict=False)), outside=outside)
    for calibration in (found, hal.Calibration("dB", day, "any", offset=offset)):
        toy = calibrated({"attenuation": calibration})
        _, value = toy.find("attenuation")
        assert isinstance(value, Setting)
        assert value.range is not None
        low, high = value.range
        declared = Toy.attenuation.range or (0, 0)
        for to in (low, high, (low + high) / 2):
            text = value.encode(value.check(to))
            assert declared[0] <= float(text) <= declared[1]
            assert value.decode(text) == pytest.approx(to, rel=1e-9, abs=1e-9)


# --- parts ------------------------------------------------------------------------------------------------------------


def test_a_part_has_a_calibration_of_its_own(station: Callable[..., hal.Station]) -> None:
    path = '"detectors[1].temperature"'
    unit = hal.Detector.values()["temperature"].unit
    bob = station("toshiba.receiver", table(path, unit=unit, offset=1000)).device("box", hal.Receiver)
    readings = bob.telemetry()
    assert readings["detectors[0].temperature"].raw is None
    own = readings["detectors[1].temperature"].record()
    assert own["value"] == own["raw"] + 1000
    assert bob.detectors[1].temperature - bob.detectors[0].temperature == pytest.approx(1000, abs=10)


# --- expiry -----------------------------------------------------------------------------------------------------------


def test_an_expired_calibration_makes_readings_uncertain_and_is_logged(
    station: Callable[..., hal.Station], clock: SteppedClock, caplog: pytest.LogCaptureFixture
) -> None:
    until = table("power", unit="dBm", offset=20, date="2025-01-01", valid_until="2026-01-01")
    with caplog.at_level(logging.WARNING, "tokaido.hal.calibration"):
        meter = station("thorlabs.pm100", until, dark_w=1e-6).device("box", hal.PowerMeter)
        assert meter.telemetry()["power"].quality is hal.Quality.GOOD  # the emulated day is 1 January 2026
        assert not caplog.records
        clock.wait(86_400)
        reading = meter.telemetry()[hal.PowerMeter.power]
        assert reading.quality is hal.Quality.UNCERTAIN
        assert reading.value == meter.power == pytest.approx(-10)
        station("thorlabs.pm100", until, dark_w=1e-6).device("box", hal.PowerMeter)
    assert "calibration of power expired after 2026-01-01" in caplog.text


# --- bad tables -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "facts", "why"),
    [
        ("attenuation", {"unit": "dBm", "offset": 1}, "unit: attenuation is in dB, not 'dBm'"),
        ("attenuation", {}, "must have an offset or points"),
        ("attenuation", {"offset": 1, "points": POINTS}, "must have an offset or points, one of them"),
        ("attenuation", {"points": []}, "points: must be 2 to 200 pairs"),
        ("attenuation", {"points": [[0, 1]]}, "points: must be 2 to 200 pairs"),
        ("attenuation", {"points": "[[0, 1], [10, nan]]"}, "points: point 2 must be two numbers"),
        ("attenuation", {"points": "[[0, 1], [10, inf]]"}, "points: point 2 must be two numbers"),
        ("attenuation", {"points": "[[0, 1], [10]]"}, "points: point 2 must be two numbers"),
        ("attenuation", {"points": [[0, 1], [10, 0.5]]}, "the true values must rise from point to point"),
        (
            "attenuation",
            {"points": [[0, 1], [0, 2]]},
            "the values that the device tells must rise from point to point; point 2",
        ),
        ("attenuation", {"points": [[50, 51], [60, 62]]}, "takes 0 to 40 dB, and the table covers 50 to 60 dB"),
        ("attenuation", {"offset": "nan"}, "offset: must be a number"),
        ("attenuation", {"offset": 1, "date": None}, "date: is missing; write date = 2026-03-01"),
        ("attenuation", {"offset": 1, "date": '"March"'}, "date: must be a date such as 2026-03-01, not 'March'"),
        ("attenuation", {"offset": 1, "date": 4}, "date: must be a date such as 2026-03-01, not 4"),
        ("attenuation", {"offset": 1, "source": '""'}, "source: must be one line of text"),
        ("attenuation", {"offset": 1, "source": None}, "source: is missing"),
        ("attenuation", {"offset": 1, "valid_until": "2025-12-31"}, "valid_until: 2025-12-31 lies before the date"),
        ("attenuation", {"offset": 1, "outside": "hold"}, 'outside: must be "refuse" or "extend"'),
        ("attenuation", {"offset": 1, "colour": 7}, "colour: unknown key; known are unit, offset"),
        ("blocked", {"offset": 1}, "blocked is a bool, and only a float can be calibrated"),
        ("atenuation", {"offset": 1}, "no value atenuation; it has attenuation, "),
        ("insertion_loss", {"offset": 1}, "no value insertion_loss"),
    ],
)
def test_a_wrong_calibration_is_told_with_its_place(path: str, facts: dict[str, Any], why: str) -> None:
    text = "[devices.box]\ndriver = 'keysight.attenuator'\ncontrol = 'visa:TCPIP::192.0.2.7::INSTR'\n"
    with pytest.raises(hal.ConfigurationError) as caught:
        hal.Station.from_text(text + table(path, **facts))
    (mistake,) = caught.value.mistakes
    assert mistake.startswith("line ")
    assert f"devices.box.calibrations.{path}" in mistake
    assert why in mistake


def test_a_calibration_of_a_part_that_is_not_there_is_told_when_the_device_is_opened(
    station: Callable[..., hal.Station],
) -> None:
    lab = station("toshiba.receiver", table('"detectors[9].temperature"', unit="K", offset=1))
    with pytest.raises(hal.ConfigurationError, match=r"detectors\[9\]\.temperature: .*has no value"):
        lab.device("box", hal.Receiver)


def test_what_a_method_sets_in_the_devices_own_scale_cannot_be_calibrated(
    station: Callable[..., hal.Station],
) -> None:
    with pytest.raises(hal.ConfigurationError, match="range_limit cannot be calibrated, since a method sets it"):
        station("thorlabs.pm100", table("range_limit", unit="dBm", offset=20))


def test_a_calibration_made_in_a_program_is_checked_as_one_of_a_file_is() -> None:
    with pytest.raises(hal.ConfigurationError) as caught:
        hal.Calibration(unit="dB", date=datetime.date(2026, 1, 2), source="", points=((1.0, float("nan")), (0.0, 1.0)))
    assert len(caught.value.mistakes) == 2
