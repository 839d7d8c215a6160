"""The motorized paddles against a golden transcript, and what no transcript says of them: time, light and noise."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tokaido.hal as hal
from tokaido.emulators.thorlabs import PaddlesModel
from tokaido_testing.model_transcripts import for_models, replay
from tokaido_testing.transcripts import load

ENABLE = bytes.fromhex("10 02 07 01 50 01")
ASK_1 = bytes.fromhex("90 04 01 00 50 01")


def move(channel: int, counts: int) -> bytes:
    return bytes.fromhex("53 04 06 00 d0 01") + struct.pack("<Hi", channel, counts)


def say(model: PaddlesModel, data: bytes) -> bytes:
    model.receive("control", data)
    return model.take("control")


@pytest.mark.parametrize("name", for_models("thorlabs", "thorlabs.mpc"))
def test_the_model_answers_as_the_transcript_says(name: str) -> None:
    transcript = load(name)
    replay(PaddlesModel(**transcript["box"]), transcript, "hex")


def test_a_paddle_takes_its_time_and_tells_that_it_arrived() -> None:
    model = PaddlesModel(velocity=50)  # 200 degrees/s
    assert say(model, ENABLE + move(1, 1370)) == b""
    model.advance(425_000_000)
    assert model.positions_deg[0] == pytest.approx(85.0, abs=0.2)
    assert model.due_ns() == pytest.approx(850_000_000, abs=10)
    model.advance(2_000_000_000)
    told = model.take("control")
    assert told[:2] == b"\x64\x04"
    assert struct.unpack_from("<Hi", told, 6) == (1, 1370)
    assert model.positions_deg == (170.0, 0.0, 0.0)


@pytest.mark.parametrize(("completion", "begins"), [("short", "64 04 01 00 01 50"), ("status", "91 04 0e 00 81 50")])
def test_the_end_of_a_move_is_told_in_other_ways_too(completion: str, begins: str) -> None:
    model = PaddlesModel(completion=completion)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    say(model, ENABLE + move(1, 100))
    model.advance(1_000_000_000)
    assert model.take("control").hex(" ").startswith(begins)


def test_a_paddle_that_is_not_enabled_or_is_stuck_does_not_move() -> None:
    model = PaddlesModel()
    say(model, move(1, 100))
    model.advance(1_000_000_000)
    assert model.positions_deg[0] == 0.0
    model.add_fault("stuck")
    say(model, ENABLE + move(1, 100))
    model.advance(2_000_000_000)
    assert model.positions_deg[0] == 0.0


def test_light_passes_and_loses_a_little_at_every_paddle() -> None:
    for model, port, loss_db in ((PaddlesModel(), "in", 0.3), (PaddlesModel(model="MPC220"), "out", 0.2)):
        way = model.through(port, "quantum")
        assert way is not None
        assert {port, way[0]} == {"in", "out"}
        assert way[1] == pytest.approx(loss_db)


def test_the_beginning_of_a_message_is_forgotten() -> None:
    model = PaddlesModel()
    assert say(model, ASK_1[:4]) == b""
    model.advance(60_000_000)
    assert len(say(model, ASK_1)) == 20


@given(st.binary(max_size=60))
def test_noise_moves_nothing_and_leaves_it_answering(noise: bytes) -> None:
    model = PaddlesModel()
    say(model, noise)
    model.advance(60_000_000)
    assert len(say(model, ASK_1)) == 20
    assert model.positions_deg == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("options", [{"model": "MPC420"}, {"velocity": 5}, {"completion": "never"}])
def test_an_option_that_does_not_fit_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(hal.ConfigurationError):
        PaddlesModel(**options)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
