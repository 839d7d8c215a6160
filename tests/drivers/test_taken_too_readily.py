"""Replies that a driver must not take for values: SCPI's "no value", errors of the box, and its own words come back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

import tokaido.hal as hal
from tokaido.drivers.thorlabs import OswSwitch
from tokaido.emulators import launch
from tokaido.emulators.polatis import MatrixSwitchModel
from tokaido.hal.driver import StreamTransport, decode
from tokaido_testing.patience import patient
from tokaido_testing.switch_transcripts import port
from tokaido_testing.toy_switch import AnsweringPeer

ENDINGS = {
    "polatis.matrix": {"send": "\r\n", "reply": "\r"},
    "dicon.selector": {"send": "\r", "start": "\n", "reply": "\r\n"},
    "thorlabs.osw": {"send": "\n", "reply": "\r\n"},
}


@contextmanager
def opened(
    driver: str, answer: Callable[[str], list[str]], **options: Any
) -> Iterator[tuple[hal.OpticalSwitch, AnsweringPeer]]:
    options.setdefault("timeout", patient(1.0))
    with (
        AnsweringPeer(answer, ENDINGS[driver]) as peer,
        hal.OpticalSwitch.open(driver, control=f"serial:{peer.address}", **options) as switch,
    ):
        yield switch, peer


def polatis(**changes: list[str]) -> Callable[[str], list[str]]:
    answers = {
        "*IDN?": ["Polatis,OST-2x4-LU1,002417,6.5.2.18"],
        ":OXC:SWIT:SIZE?": ["2,4"],
        ":SYST:ERR?": ['0, "No error"'],
    } | {key.replace("IDN", "*IDN?").replace("POWERS", ":PMON:POW? (@3,4,5,6)"): said for key, said in changes.items()}
    return lambda line: answers.get(line, [])


# --- no value ---------------------------------------------------------------------------------------------------------

NO_VALUES = ("9.91E37", "9.9E37", "-9.9E+37", "+9.91000000E+037", "NAN", "nan", "INF", "NINF", "-INF", "9.9099998E+37")


@pytest.mark.parametrize("text", NO_VALUES)
def test_what_scpi_has_for_no_value_is_no_value(text: str) -> None:
    for kind in (float, int):
        with pytest.raises(hal.NoDataError, match="no value"):
            decode(kind, text, "power")


@pytest.mark.parametrize("text", NO_VALUES)
def test_one_port_without_a_value_spoils_no_other(text: str) -> None:
    with opened("polatis.matrix", polatis(POWERS=[f"(-12.3,{text},-60.0,-1.5)"])) as (switch, _):
        powers = switch.port_powers()
    assert {str(key): reading.value for key, reading in powers.items()} == {
        "out 1": -12.3,
        "out 2": None,
        "out 3": -60.0,
        "out 4": -1.5,
    }
    bad = powers[port("out 2")]
    assert (bad.quality, bad.unit) == (hal.Quality.BAD, "dBm")
    assert "no value" in bad.error
    assert powers[port("out 1")].quality is hal.Quality.GOOD


def test_one_port_with_a_field_that_is_no_number_spoils_no_other() -> None:
    with opened("polatis.matrix", polatis(POWERS=["(-12.3,---,-60.0,1_5)"])) as (switch, _):
        powers = switch.port_powers()
        record = switch.snapshot()["connections"]["port_powers_dbm"]
    assert [reading.value for reading in powers.values()] == [-12.3, None, -60.0, None]
    assert "'---'" in powers[port("out 2")].error
    assert record == {"out 1": -12.3, "out 2": None, "out 3": -60.0, "out 4": None}


def test_an_emulated_monitor_that_has_failed_gives_no_value() -> None:
    with launch("polatis.matrix", product="OST-2x4-LU1", inputs=2, outputs=4, failed_power="9.91E37") as box:
        assert isinstance(box.model, MatrixSwitchModel)
        with box.lock:
            box.model.optics.failed.add(("out", 2))
        with hal.OpticalSwitch.open("polatis.matrix", timeout=patient(1.0), **box.resources) as switch:
            powers = switch.port_powers()
    assert [reading.value is None for reading in powers.values()] == [False, True, False, False]


# --- the box's own errors ---------------------------------------------------------------------------------------------

ERRORS = ("Error 02,Unknown command", "ERROR 2, unknown", "Error 17,", "Command error CMD_NOT_DEFINED")


@pytest.mark.parametrize("said", ERRORS)
def test_an_error_of_a_thorlabs_switch_is_never_a_board_type_nor_a_model(
    said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OswSwitch, "assumed_model", "OSW12")
    answers = {"I?": ["OSW12-1310E V1.2"], "S?": ["1"], "T?": [said]}
    with opened("thorlabs.osw", lambda line: answers.get(line, [])) as (switch, _):
        assert isinstance(switch, OswSwitch)
        with pytest.raises(hal.DeviceError) as caught:
            _ = switch.board_type
        assert said.strip(",") in str(caught.value).replace(",]", "")
        reading: hal.Reading[str] = switch.telemetry()["board_type"]
        assert (reading.value, reading.quality) == (None, hal.Quality.BAD)
        assert switch.connections() == {1: 1}  # an error is a reply: the line is as good as before
    with pytest.raises(hal.DeviceError), opened("thorlabs.osw", lambda line: [said] if line == "I?" else ["1"]):
        pass


def test_the_code_of_a_thorlabs_error_is_told_apart_from_its_text() -> None:
    answers = {"I?": ["OSW12-1310E V1.2"], "S?": ["1"], "S 2": ["Error 05,not now"]}
    with opened("thorlabs.osw", lambda line: answers.get(line, [])) as (switch, _):
        with pytest.raises(hal.DeviceError, match="not now") as caught:
            switch.replace({1: 2})
        assert caught.value.code == "05"


def test_an_emulated_thorlabs_switch_says_its_error_and_moves_nothing() -> None:
    with (
        launch("thorlabs.osw") as box,
        hal.OpticalSwitch.open("thorlabs.osw", timeout=patient(1.0), **box.resources) as switch,
    ):
        assert isinstance(switch.transport, StreamTransport)
        before = switch.connections()
        for wrong in ("S 3", "X?", "s?"):
            with pytest.raises(hal.DeviceError, match="Error"):
                switch.transport.query(wrong) if wrong.endswith("?") else switch.transport.command(wrong)
        assert switch.connections() == before


# --- what was not asked for -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("driver", "answers"),
    [
        ("dicon.selector", {"ID?": "MEMS 1x16 SN 07081234", "CF?": "1,16", "I1?": "3"}),
        ("thorlabs.osw", {"I?": "OSW12-1310E V1.2", "S?": "1", "T?": "2"}),
        ("polatis.matrix", {"*IDN?": "Polatis,OST-2x4-LU1,2417,6", ":OXC:SWIT:SIZE?": "2,4", ":SYST:ERR?": '0, ""',
                            ":OXC:SWIT:CONN:STAT?": "(@),(@)"}),
    ],
)  # fmt: skip
def test_a_box_that_says_back_what_it_hears_can_be_used_and_its_echo_is_no_identity(
    driver: str, answers: dict[str, str]
) -> None:
    def echoing(line: str) -> list[str]:
        confirmed = ['1;0,"No error"'] if line.endswith(";*OPC?;:SYST:ERR?") else []
        return [line, *([answers[line]] if line in answers else confirmed)]

    with opened(driver, echoing) as (switch, _):
        for _ in range(3):
            assert not switch.identity().model.endswith("?")
        switch.connections()
        with suppress(hal.TokaidoError):
            switch.settle_timeout = 0.05
            switch.replace({1: 2})
        assert not switch.identity().model.endswith("?")


def test_an_emulated_dicon_with_echo_on_is_opened_again_and_again() -> None:
    with launch("dicon.selector", echo=True) as box:
        for _ in range(3):
            with hal.OpticalSwitch.open("dicon.selector", timeout=patient(1.0), **box.resources) as switch:
                assert switch.identity().model.startswith("DiCon")
                switch.connect(1, 5)
                assert switch.connections() == {1: 5}
                switch.disconnect(1)
        with hal.OpticalSwitch.open("dicon.selector", timeout=patient(1.0), **box.resources) as switch:
            assert isinstance(switch.transport, StreamTransport)
            switch.transport.command("EO 0")
            assert switch.transport.query("EO?") == "0"
            switch.transport.command("EO 1")
            switch.connect(1, 2)
            assert switch.connections() == {1: 2}


@pytest.mark.parametrize("said", ["ERROR", "Error 3", "?", "ERR: 7", "unknown command"])
def test_an_error_or_a_question_mark_is_not_who_a_dicon_is(said: str) -> None:
    answers = {"ID?": [said], "CF?": ["1,16"], "I1?": ["3"]}
    with (
        pytest.raises((hal.DeviceError, hal.ProtocolError)),
        opened("dicon.selector", lambda line: answers.get(line, [])),
    ):
        pass
