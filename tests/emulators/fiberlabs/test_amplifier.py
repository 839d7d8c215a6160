"""The amplifier against golden transcripts, and what no transcript says of it: gain, saturation, noise and alarms."""

from __future__ import annotations

import pytest

import tokaido.hal as hal
from tokaido.emulators.fiberlabs import AmplifierModel
from tokaido_testing.model_transcripts import for_models, replay
from tokaido_testing.transcripts import load


def say(model: AmplifierModel, *lines: str) -> str:
    model.receive("control", "".join(f"{line}\r" for line in lines).encode())
    return model.take("control").decode().split("\r")[-2]


def gain(model: AmplifierModel) -> float | None:
    way = model.through("in", "clock")
    return None if way is None else -way[1]


@pytest.mark.parametrize("name", for_models("fiberlabs", "fiberlabs.amplifier"))
def test_the_model_answers_as_the_transcript_says(name: str) -> None:
    transcript = load(name)
    replay(AmplifierModel(**transcript["box"]), transcript, "serial")


def test_it_amplifies_classical_light_one_way_and_lets_no_pulse_through() -> None:
    model = AmplifierModel()
    model.note_light({"in": -5.0})
    assert gain(model) is None
    say(model, "ACTIVE,1")
    assert gain(model) == pytest.approx(15.0)
    assert model.through("in", "quantum") is None
    assert model.through("out", "clock") is None
    model.note_light({"in": -8.0})  # power is held
    assert gain(model) == pytest.approx(18.0)
    assert say(model, "MONOUT") == "10.00,N/A,N/A,N/A"


def test_at_constant_current_the_gain_is_held_until_it_saturates() -> None:
    model = AmplifierModel()
    say(model, "SETMOD,1,1", "SETACC,1,400", "ACTIVE,1")
    for lit_dbm in (-20.0, -10.0):
        model.note_light({"in": lit_dbm})
        assert gain(model) == pytest.approx(14.0)
    model.note_light({"in": 10.0})
    assert gain(model) == pytest.approx(6.8, abs=0.1)  # 48 mW are all that 400 mA give
    assert say(model, "MONLDC,1") == "400.0"


def test_what_is_wrong_is_told_as_long_as_it_is() -> None:
    model = AmplifierModel()
    assert say(model, "ALMSTAT") == "ALMSTAT,04"
    model.note_light({"in": -5.0})
    assert say(model, "ALMSTAT") == "ALMSTAT,00"
    say(model, "SETALC,1,20", "ACTIVE,1")
    assert say(model, "ALMSTAT") == "ALMSTAT,00"
    model.note_light({"in": -29.0})
    assert say(model, "ALMSTAT") == "ALMSTAT,03"
    model.add_fault("pump_failed")
    model.note_light({"in": -5.0})
    assert say(model, "ALMSTAT") == "ALMSTAT,01"
    assert gain(model) is None


def test_without_light_its_noise_leaves() -> None:
    model = AmplifierModel()
    say(model, "SETMOD,1,1", "SETACC,1,500", "ACTIVE,1")
    assert say(model, "MONOUT") == "-12.50,N/A,N/A,N/A"
    assert say(model, "ACTIVE,0", "MONOUT") == "-60.00,N/A,N/A,N/A"


def test_another_line_end_is_refused() -> None:
    with pytest.raises(hal.ConfigurationError):
        AmplifierModel(line_end="crlf")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    model = AmplifierModel(line_end="lf")
    model.receive("control", b"ACTIVE\n")
    assert model.take("control") == b"ACTIVE,0\n"
