"""The switches' drivers where a transcript cannot go: late and lost answers, other boxes, many ports, odd replies."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tokaido.hal as hal
from tokaido.drivers.polatis import MatrixSwitch
from tokaido.drivers.polatis._ports import (
    decode_pairs,
    decode_peer,
    decode_powers,
    encode_pairs,
    number_of,
    port_of,
)
from tokaido.drivers.thorlabs import OswSwitch
from tokaido_testing.patience import patient
from tokaido_testing.switch_transcripts import port
from tokaido_testing.toy_switch import AnsweringPeer

ENDINGS = {
    "polatis.matrix": {"send": "\r\n", "reply": "\r"},
    "dicon.selector": {"send": "\r", "start": "\n", "reply": "\r\n"},
    "thorlabs.osw": {"send": "\n", "reply": "\r\n"},
}
Answer = Callable[[str], list[str]]


@contextmanager
def opened(driver: str, answer: Answer, **options: Any) -> Iterator[tuple[hal.OpticalSwitch, AnsweringPeer]]:
    """Open a driver on a peer that answers by a function."""
    options.setdefault("timeout", patient(1.0))
    with (
        AnsweringPeer(answer, ENDINGS[driver]) as peer,
        hal.OpticalSwitch.open(driver, control=f"serial:{peer.address}", **options) as switch,
    ):
        yield switch, peer


class Polatis:
    """As much of a Polatis as a test needs, by answers that a test may change."""

    def __init__(self, size: str = "8,8", model: str = "OST-8x8-LU1") -> None:
        self.answers = {
            "*IDN?": [f"Polatis,{model},002417,6.5.2.18"],
            ":OXC:SWIT:SIZE?": [size],
            ":SYST:ERR?": ['0, "No error"'],
            ":OXC:SWIT:CONN:STAT?": ["(@),(@)"],
        }
        self.command = ['1;0, "No error"']

    def __call__(self, line: str) -> list[str]:
        return self.command if line.endswith(";*OPC?;:SYST:ERR?") else self.answers.get(line, [])


# --- Polatis ----------------------------------------------------------------------------------------------------------


def test_the_switch_s_own_code_and_text_are_in_the_error() -> None:
    box = Polatis()
    box.command = ['1;-222, "Data out of range;port 49"']
    with opened("polatis.matrix", box) as (switch, _), pytest.raises(hal.RefusedError) as caught:
        switch.replace({1: 1})
    assert caught.value.code == "-222"
    for word in ("-222", "Data out of range;port 49", "polatis.matrix", "ONLY (@1),(@9)"):
        assert word in str(caught.value)


def test_a_command_whose_reply_is_lost_is_sent_once_and_says_so() -> None:
    box = Polatis()
    box.command = []
    with opened("polatis.matrix", box) as (switch, peer):
        with pytest.raises(hal.OutcomeUnknownError, match="read the state"):
            switch.connect(1, 1)
        box.answers[":OXC:SWIT:CONN:STAT?"] = ["(@1),(@9)"]
        with suppress(hal.DeviceTimeoutError):  # which waits for the reply that is owed
            switch.connections()
        assert switch.connections() == {1: 1}
    assert sum("ADD" in line for line in peer.heard) == 1


def test_a_switch_that_did_not_do_what_it_confirmed_is_found_out() -> None:
    with opened("polatis.matrix", Polatis()) as (switch, _):
        switch.settle_timeout = 0.05
        with pytest.raises(hal.DeviceError, match=r"was to be \{1: 1\} and is \{\}"):
            switch.connect(1, 1)


def test_powers_are_asked_in_chunks_of_256_ports() -> None:
    box = Polatis("2,600", "OST-2x600-LU1")

    def answer(line: str) -> list[str]:
        if line.startswith(":PMON:POW? (@"):
            return [f"({','.join(f'-{number}.5' for number in line[13:-1].split(','))})"]
        return box(line)

    with opened("polatis.matrix", answer) as (switch, peer):
        powers = switch.port_powers()
    asked = [len(line.split(",")) for line in peer.heard if line.startswith(":PMON")]
    assert asked == [256, 256, 88]
    assert {str(key): reading.value for key, reading in powers.items()} == {
        f"out {number}": -(number + 2.5) for number in range(1, 601)
    }
    reading = powers[port("out 1")]
    assert (reading.unit, reading.quality) == ("dBm", hal.Quality.GOOD)


def test_a_model_without_monitors_says_so_and_is_not_asked() -> None:
    with opened("polatis.matrix", Polatis(model="I-OST-8x8-LU1")) as (switch, peer):
        assert hal.SwitchCapability.POWER_MONITORS not in switch.capabilities
        with pytest.raises(hal.UnsupportedError, match="power monitors"):
            switch.port_powers()
    assert hal.SwitchCapability.POWER_MONITORS in MatrixSwitch.capabilities
    assert not any("PMON" in line for line in peer.heard)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({":OXC:SWIT:SIZE?": ["8,16"]}, "product code"),
        ({"*IDN?": ["ACME,OST-8x8-LU1,002417,1"]}, "not a Polatis"),
        ({"*IDN?": ["Polatis,OST-8x8-LU1,002499,1"]}, "002417 and found"),
    ],
)
def test_another_box_is_refused(change: dict[str, list[str]], said: str) -> None:
    box = Polatis()
    box.answers |= change
    with pytest.raises(hal.WrongDeviceError, match=said), opened("polatis.matrix", box, serial_number="002417"):
        pass


def test_a_box_that_was_exchanged_is_noticed_before_anything_else_is_asked() -> None:
    box = Polatis()
    with opened("polatis.matrix", box) as (switch, peer):
        box.answers |= {":OXC:SWIT:CONN:STAT?": []}
        with pytest.raises(hal.DeviceTimeoutError):
            switch.connections()
        box.answers |= {"*IDN?": ["Polatis,OST-8x8-LU1,002499,1"], ":OXC:SWIT:CONN:STAT?": ["(@1),(@9)"]}
        peer.heard.clear()
        with suppress(hal.DeviceTimeoutError, hal.WrongDeviceError):  # it waits for the reply that is owed, first
            switch.connections()
        with pytest.raises(hal.WrongDeviceError):
            switch.connect(1, 2)
    assert set(peer.heard) == {"*IDN?"}


def test_a_gap_is_left_between_exchanges() -> None:
    with opened("polatis.matrix", Polatis()) as (switch, _):
        assert isinstance(switch, MatrixSwitch)
        start = time.monotonic()
        switch.connections()
        switch.connections()
        unhurried = time.monotonic() - start
        switch.min_gap = 0.05
        switch.connections()
        start = time.monotonic()
        switch.connections()
        switch.connections()
        assert time.monotonic() - start >= 0.1
        assert unhurried < patient(0.1)


def test_opening_a_port_shutter_is_watched_by_the_interlocks() -> None:
    box = Polatis()
    box.answers |= {":OXC:SWIT:CONN:STAT?": ["(@1),(@11)"], ":OXC:SWIT:PORT:STAT? (@11)": ["(E)"]}
    with opened("polatis.matrix", box) as (switch, peer):
        switch.add_interlock(hal.LightInterlock("bright-light", frozenset({1}), {3: lambda: False}))
        with pytest.raises(hal.InterlockError):
            switch.set_port_enabled(port("out 3"), True)
        assert not any("ENAB" in line for line in peer.heard)
        switch.set_port_enabled(port("out 3"), True, force="the laser is off")


def test_a_snapshot_has_map_states_powers_and_boot_mode() -> None:
    box = Polatis("2,2", "OST-2x2-LU1")
    box.answers |= {
        ":OXC:SWIT:CONN:STAT?": ["(@1),(@4)"],
        ":OXC:SWIT:PORT:STAT?": ["(E,D,E,F)"],
        ":PMON:POW? (@3,4)": ["(-60.0,-12.3)"],
        ":OXC:BOOT:MODE?": ["AUTOSAVE"],
    }
    with opened("polatis.matrix", box) as (switch, _):
        record = switch.snapshot()
    assert record["connections"] == {
        "size": {"inputs": 2, "outputs": 2},
        "outputs_by_input": {"1": 2},
        "port_states": {"in 1": "ENABLED", "in 2": "DISABLED", "out 1": "ENABLED", "out 2": "FAILED"},
        "port_powers_dbm": {"out 1": -60.0, "out 2": -12.3},
        "boot_mode": "AUTOSAVE",
    }
    assert record["identity"]["serial_number"] == "002417"
    assert record["errors"] == []


# --- DiCon and Thorlabs -----------------------------------------------------------------------------------------------


class Silent:
    """A box that is silent to commands; `lag` answers after each are stale, and `deaf` ones do not come."""

    def __init__(self, driver: str, start: int) -> None:
        self.driver, self.now, self.told = driver, start, start
        self.lag = self.deaf = 0
        self._stale = self._lost = 0

    def __call__(self, line: str) -> list[str]:
        fixed = {"I?": "OSW22-1310E V1.2", "T?": "2", "ID?": "MEMS 1x16 SN 07081234", "CF?": "1,16"}
        if line in fixed:
            return [fixed[line]]
        if not line.endswith("?"):
            self.told = 0 if line == "PK" else int(line.split()[1])
            self._stale, self._lost = self.lag, self.deaf
            return []
        if self._lost:
            self._lost -= 1
            return []
        if self._stale:
            self._stale -= 1
        else:
            self.now = self.told
        return [str(self.now)]


BOTH = pytest.mark.parametrize(("driver", "before", "after"), [
    ("dicon.selector", {1: 3}, {1: 9}),
    ("thorlabs.osw", {1: 1, 2: 2}, {1: 2, 2: 1}),
])  # fmt: skip


@BOTH
def test_stale_answers_are_waited_out(driver: str, before: dict[int, int], after: dict[int, int]) -> None:
    box = Silent(driver, 3 if driver == "dicon.selector" else 1)
    box.lag = 6
    with opened(driver, box) as (switch, _):
        assert switch.connections() == before
        switch.replace(after)
        assert switch.connections() == after


@BOTH
def test_a_change_that_never_shows_is_an_error(driver: str, before: dict[int, int], after: dict[int, int]) -> None:
    box = Silent(driver, 3 if driver == "dicon.selector" else 1)
    box.lag = 10_000
    with opened(driver, box) as (switch, _):
        switch.settle_timeout = 0.1
        with pytest.raises(hal.DeviceError, match=r"is \{.*\} after 0\.[1-9]"):
            switch.replace(after)
        assert switch.connections() == before


@BOTH
def test_after_a_lost_answer_the_map_that_is_read_back_decides(
    driver: str, before: dict[int, int], after: dict[int, int]
) -> None:
    box = Silent(driver, 3 if driver == "dicon.selector" else 1)
    box.deaf = 1
    with opened(driver, box, timeout=patient(0.2)) as (switch, peer):
        switch.replace(after)
        assert switch.connections() == after
        box.deaf = 1000
        switch.settle_timeout = 0.3
        with pytest.raises(hal.OutcomeUnknownError, match="may or may not"):
            switch.replace(before)
    assert sum(line.startswith(("I1 ", "S ")) for line in peer.heard) == 2


def test_a_dicon_s_serial_number_must_stand_in_its_identity() -> None:
    with opened("dicon.selector", Silent("dicon.selector", 0), serial_number="07081234") as (switch, _):
        assert switch.size() == hal.SwitchSize(1, 16)
        with pytest.raises(hal.RangeError, match="1 to 16"):
            switch.connect(1, 17)
    with (
        pytest.raises(hal.WrongDeviceError, match=r"expected .* 0708 and found"),
        opened("dicon.selector", Silent("dicon.selector", 0), serial_number="0708"),
    ):
        pass


def test_a_dicon_that_does_not_admit_that_it_parked_is_not_believed() -> None:
    box = Silent("dicon.selector", 3)

    def answer(line: str) -> list[str]:
        return [] if line == "PK" else box(line)

    with opened("dicon.selector", answer) as (switch, _):
        switch.settle_timeout = 0.05
        with pytest.raises(hal.DeviceError, match=r"was to be \{\} and is \{1: 3\}"):
            switch.disconnect(1)


def test_an_osw_has_two_maps_and_no_serial_number() -> None:
    with opened("thorlabs.osw", Silent("thorlabs.osw", 1)) as (switch, peer):
        with pytest.raises(hal.UnsupportedError, match="nothing was sent"):
            switch.replace({1: 2})
        with pytest.raises(hal.UnsupportedError):
            switch.disconnect_all()
        assert not any(line.startswith("S ") for line in peer.heard)
        assert switch.telemetry()["board_type"].value == "2"
    with (
        pytest.raises(hal.ConfigurationError, match="by-id"),
        opened("thorlabs.osw", Silent("thorlabs.osw", 1), serial_number="07081234"),
    ):
        pass


def test_an_osw_that_does_not_say_which_it_is_can_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    box = Silent("thorlabs.osw", 2)

    def answer(line: str) -> list[str]:
        return ["Optical Switch v1.0"] if line == "I?" else box(line)

    with pytest.raises(hal.WrongDeviceError, match="assumed_model"), opened("thorlabs.osw", answer):
        pass
    monkeypatch.setattr(OswSwitch, "assumed_model", "OSW12")
    with opened("thorlabs.osw", answer) as (switch, _):
        assert switch.connections() == {1: 2}
        assert switch.identity() == hal.Identity("Thorlabs", "Optical Switch", "", "v1.0")


@pytest.mark.parametrize(
    ("driver", "resource", "expected"),
    [
        ("thorlabs.osw", "serial:/dev/x", {"baudrate": "115200", "rtscts": "1"}),
        ("thorlabs.osw", "serial:/dev/x?rtscts=0", {"baudrate": "115200", "rtscts": "0"}),
        ("thorlabs.osw", "visa:ASRL/dev/x::INSTR", {"baud_rate": "115200", "flow_control": "rts_cts"}),
        ("dicon.selector", "visa:ASRL/dev/x::INSTR?baud_rate=9600", {"baud_rate": "9600"}),
        ("polatis.matrix", "serial:/dev/x", {"baudrate": "38400"}),
        ("polatis.matrix", "serial:socket://192.0.2.7:5025", {}),
        ("polatis.matrix", "visa:TCPIP::192.0.2.7::5025::SOCKET", {}),
    ],
)
def test_a_serial_line_is_set_as_the_box_needs_it(driver: str, resource: str, expected: dict[str, str]) -> None:
    kind = {"thorlabs.osw": OswSwitch, "polatis.matrix": MatrixSwitch}.get(driver) or _selector()
    device: hal.OpticalSwitch = kind({"control": hal.Resource.parse(resource)}, name="osw")
    assert device.transport.resource.options == expected
    device.close()


def _selector() -> Any:
    from tokaido.drivers.dicon import Selector

    return Selector


# --- the map on the wire ----------------------------------------------------------------------------------------------


@st.composite
def maps(draw: st.DrawFn) -> tuple[hal.SwitchSize, dict[int, int]]:
    """Draw a size and a map that fits it."""
    size = hal.SwitchSize(draw(st.integers(1, 400)), draw(st.integers(1, 400)))
    count = draw(st.integers(0, min(size.inputs, size.outputs, 12)))
    sources = draw(st.lists(st.integers(1, size.inputs), min_size=count, max_size=count, unique=True))
    targets = draw(st.lists(st.integers(1, size.outputs), min_size=count, max_size=count, unique=True))
    return size, dict(zip(sources, targets, strict=True))


@given(maps())
def test_a_map_comes_back_from_the_wire_as_it_went(drawn: tuple[hal.SwitchSize, dict[int, int]]) -> None:
    size, pairs = drawn
    text = encode_pairs(pairs, size)
    assert decode_pairs(text, size) == pairs
    targets = text.partition("),(@")[2].rstrip(")").split(",")
    assert all(size.inputs < int(number) <= size.inputs + size.outputs for number in targets if number)


@given(st.integers(1, 500), st.integers(1, 500), st.data())
def test_every_port_has_one_number_and_every_number_one_port(inputs: int, outputs: int, data: st.DataObject) -> None:
    size = hal.SwitchSize(inputs, outputs)
    number = data.draw(st.integers(1, inputs + outputs))
    assert number_of(port_of(number, size), size) == number
    with pytest.raises(hal.ProtocolError):
        port_of(inputs + outputs + 1, size)
    with pytest.raises(hal.RangeError):
        number_of(hal.SwitchPort(hal.Side.OUTPUT, outputs + 1), size)


@given(st.text(alphabet='()@,:;0123456789-."EDF \t'))
def test_nothing_that_a_switch_could_say_is_guessed_at(text: str) -> None:
    size = hal.SwitchSize(4, 4)
    for decode in (
        lambda: decode_pairs(text, size),
        lambda: decode_peer(text, size),
        lambda: decode_powers(text, 2),
    ):
        with suppress(hal.ProtocolError, ValueError):  # which a transport turns into a ProtocolError
            decode()
