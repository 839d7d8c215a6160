"""The attenuator against golden transcripts, and what no transcript says of it: its light and its limits."""

from __future__ import annotations

import pytest

import tokaido.hal as hal
from tokaido.emulators.keysight import AttenuatorModel
from tokaido_testing.model_transcripts import for_models, replay
from tokaido_testing.transcripts import load


def say(model: AttenuatorModel, line: str) -> str:
    model.receive("control", f"{line}\n".encode())
    return model.take("control").decode().strip()


def loss(model: AttenuatorModel) -> float | None:
    way = model.through("in", "quantum")
    return None if way is None else way[1]


@pytest.mark.parametrize("name", for_models("keysight", "keysight.attenuator"))
def test_the_model_answers_as_the_transcript_says(name: str) -> None:
    transcript = load(name)
    replay(AttenuatorModel(**transcript["box"]), transcript, "tcp")


def test_the_filter_takes_its_time_and_what_waits_for_it_waits() -> None:
    model = AttenuatorModel()
    assert say(model, ":INP1:ATT:SPE 10;:INP1:ATT 20;*OPC?") == ""
    model.advance(1_000_000_000)
    assert loss(model) == pytest.approx(1.2 + 10)
    say(model, ":INP1:ATT:SPE 5")  # from where it stands
    assert loss(model) == pytest.approx(1.2 + 10)
    model.advance(3_000_000_000)
    assert loss(model) == pytest.approx(1.2 + 20)
    assert model.take("control") == b"1\n"


def test_light_goes_both_ways_in_both_bands_and_not_through_a_shutter() -> None:
    model = AttenuatorModel()
    assert model.through("in", "clock") == ("out", 1.2)
    assert model.through("out", "quantum") == ("in", 1.2)
    say(model, "OUTP1 OFF")
    assert model.through("in", "clock") is None
    assert model.through("out", "quantum") is None


def test_the_monitor_sees_the_light_behind_the_filter() -> None:
    model = AttenuatorModel()
    model.note_light({"in": -3.0})
    say(model, ":INP1:ATT 10")
    model.advance(1_000_000_000)
    assert float(say(model, ":READ1:POW?")) == pytest.approx(-14.2)
    say(model, ":OUTP1:POW:UN WATT")
    assert float(say(model, ":READ1:POW?")) == pytest.approx(10 ** (-14.2 / 10) / 1000)
    model.note_light({})
    assert float(say(model, ":READ1:POW?")) == 0.0


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (":INP1:ATT 40.1", "-222"),
        (":INP1:ATT -0.1", "-222"),
        (":INP1:ATT nan", "-104"),
        (":INP1:ATT 3NM", "-104"),
        (":INP3:ATT 3", "-114"),
        (":INP1:WAV 1550", "-222"),
        (":INP1:WAV 1.5UM", "+0"),
        (":OUTP1:POW:UN MILE", "-224"),
        (":OUTP1:STAT", "-109"),
    ],
)
def test_a_mistake_has_its_number_and_changes_nothing(line: str, code: str) -> None:
    model = AttenuatorModel()
    say(model, line)
    assert say(model, ":SYST:ERR?").startswith(f"{code},")
    assert loss(model) == 1.2


def test_a_stuck_filter_says_so() -> None:
    model = AttenuatorModel()
    model.add_fault("stuck")
    say(model, ":INP1:ATT 3")
    assert say(model, ":SYST:ERR?").startswith("-240,")
    assert loss(model) == 1.2


@pytest.mark.parametrize("options", [{"model": "N77"}, {"power_unit": "mW"}])
def test_an_option_that_does_not_fit_is_refused(options: dict[str, str]) -> None:
    with pytest.raises(hal.ConfigurationError):
        AttenuatorModel(**options)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
