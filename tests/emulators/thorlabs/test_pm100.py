"""The power meter against golden transcripts, and what no transcript says of it: light, ranges and its zero."""

from __future__ import annotations

import pytest

import tokaido.hal as hal
from tokaido.emulators.thorlabs import PowerMeterModel
from tokaido.hal.units_of_measure import to_watts
from tokaido_testing.model_transcripts import for_models, replay
from tokaido_testing.transcripts import load


def say(model: PowerMeterModel, line: str) -> str:
    model.receive("control", f"{line}\n".encode())
    return model.take("control").decode().strip()


@pytest.mark.parametrize("line", ["tcp", "serial"])
@pytest.mark.parametrize("name", for_models("thorlabs", "thorlabs.pm100"))
def test_the_model_answers_as_the_transcript_says(name: str, line: str) -> None:
    transcript = load(name)
    replay(PowerMeterModel(**transcript["box"]), transcript, line)


def test_light_ends_in_it_and_is_what_it_reads() -> None:
    model = PowerMeterModel(dark_w=0.0)
    assert model.through("in", "quantum") is model.through("in", "clock") is None
    model.note_light({"in": -42.5})
    assert float(say(model, "MEAS:POW?")) == pytest.approx(to_watts(-42.5))
    assert float(say(model, "SENS:POW:UNIT DBM;:MEAS:POW?")) == pytest.approx(-42.5)
    model.note_light({})
    assert say(model, "MEAS:POW?") == "-9.900000E+37"


def test_a_range_is_the_smallest_that_holds_and_beyond_it_is_no_reading() -> None:
    model = PowerMeterModel()
    model.note_light({"in": -20.0})
    assert float(say(model, "SENS:POW:RANG?")) == 5.5e-5
    assert float(say(model, "SENS:POW:RANG 1E-7;RANG?")) == 5.5e-7
    assert say(model, "SENS:POW:RANG:AUTO?") == "0"
    assert say(model, "MEAS:POW?") == "9.900000E+37"
    assert float(say(model, "SENS:POW:RANG:AUTO ON;:MEAS:POW?")) == pytest.approx(1e-5, rel=1e-4)
    assert float(say(model, "SENS:POW:RANG:AUTO OFF;:SENS:POW:RANG?")) == 5.5e-5  # it stays where it was


def test_an_adjustment_takes_what_the_dark_tells_for_zero_when_it_ends() -> None:
    model = PowerMeterModel(dark_w=3e-10)
    assert float(say(model, "MEAS:POW?")) == pytest.approx(3e-10)
    assert say(model, "SENS:CORR:COLL:ZERO:INIT;STAT?") == "1"
    model.advance(400_000_000)
    assert say(model, "SENS:CORR:COLL:ZERO:STAT?") == "0"
    assert float(say(model, "MEAS:POW?")) == 0.0
    assert float(say(model, "SENS:CORR:COLL:ZERO:MAGN?")) == pytest.approx(3e-10)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("SENS:CORR:WAV 799", "-222"),
        ("SENS:CORR:WAV 1M", "-104"),
        ("SENS:AVER 0", "-222"),
        ("SENS:POW:UNIT MW", "-224"),
    ],
)
def test_a_mistake_has_its_number_and_changes_nothing(line: str, code: str) -> None:
    model = PowerMeterModel()
    say(model, line)
    assert say(model, "SYST:ERR?").startswith(f"{code},")
    assert (model.wavelength_nm, model.samples, model.unit) == (1550.0, 1, "W")


def test_without_a_sensor_nothing_is_told_of_light() -> None:
    model = PowerMeterModel()
    model.add_fault("no_sensor")
    assert say(model, "MEAS:POW?") == ""
    assert say(model, "SYST:ERR?").startswith("-240,")
    assert say(model, "SYST:SENS:IDN?").startswith('"no sensor"')


@pytest.mark.parametrize("options", [{"model": "S154C"}, {"power_unit": "mW"}])
def test_an_option_that_does_not_fit_is_refused(options: dict[str, str]) -> None:
    with pytest.raises(hal.ConfigurationError):
        PowerMeterModel(**options)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
