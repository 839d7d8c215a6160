"""No classical light onto a single-photon receiver that is not shuttered, unless it is forced with a reason."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import tokaido.hal as hal
from tokaido.hal import LightInterlock
from tokaido_testing.toy_switch import AnsweringPeer, ToySwitch

STATION = """[station]
name = "otemachi"
on_exit = "safe"

[devices.osw]
driver = "thorlabs.osw"
control = "serial:{osw}"

[devices.bob]
driver = "toshiba.receiver"
control = "serial:{bob}"
timeout = 0.3

[interlocks.bright-light]
switch = "osw"
classical_inputs = [1]
single_photon_outputs = {{ 2 = "bob" }}
"""

BAD = """[devices.osw]
driver = "thorlabs.osw"
control = "serial:/dev/ttyUSB0"

[devices.bob]
driver = "toshiba.receiver"
control = "serial:/dev/ttyUSB1"

[interlocks.one]
switch = "bob"
classical_inputs = [0, 1]
single_photon_outputs = { 3 = "osw", x = "bob", 4 = "carol" }
force = true

[interlocks.two]
switch = "oswald"
classical_inputs = 1
single_photon_outputs = {}

[interlocks.three]
"""


def bind(switch: hal.OpticalSwitch, shuttered: bool | Exception) -> list[int]:
    """Give a switch an interlock from inputs 1 and 2 to output 3; return where its readings are counted."""
    asked: list[int] = []

    def is_shuttered() -> bool:
        asked.append(1)
        if isinstance(shuttered, Exception):
            raise shuttered
        return shuttered

    switch.add_interlock(LightInterlock("bright-light", frozenset({1, 2}), {3: is_shuttered}))
    return asked


def classical_light_is_kept_away() -> None:
    """The property itself, as a mutation can break it."""
    switch = ToySwitch()
    bind(switch, shuttered=False)
    with pytest.raises(hal.InterlockError, match="nothing was sent"):
        switch.connect(1, 3)
    with pytest.raises(hal.InterlockError, match="nothing was sent"):
        switch.replace({4: 1, 2: 3})
    with pytest.raises(hal.InterlockError, match="nothing was sent"):
        switch.reroute(disconnect=[4], connect={2: 3})
    assert switch.told == []


def test_classical_light_is_kept_from_an_open_receiver() -> None:
    classical_light_is_kept_away()


@pytest.mark.parametrize(("owner", "name"), [(LightInterlock, "check"), (hal.OpticalSwitch, "_check_interlocks")])
def test_without_the_interlock_that_test_fails(monkeypatch: pytest.MonkeyPatch, owner: type, name: str) -> None:
    monkeypatch.setattr(owner, name, lambda *_: None)
    with pytest.raises(pytest.fail.Exception):
        classical_light_is_kept_away()


def test_a_shuttered_receiver_may_be_connected() -> None:
    switch = ToySwitch()
    asked = bind(switch, shuttered=True)
    switch.connect(1, 3)
    assert switch.connections() == {1: 3}
    assert asked


def test_other_pairs_are_nobody_s_business() -> None:
    switch = ToySwitch()
    asked = bind(switch, shuttered=False)
    switch.connect(4, 3)
    switch.connect(1, 2)
    assert asked == []


def test_a_shutter_that_cannot_be_read_counts_as_open() -> None:
    switch = ToySwitch()
    bind(switch, hal.NotConnectedError("nobody is there", device="bob"))
    with pytest.raises(
        hal.InterlockError, match=r"cannot be read and so counts as open \(nobody is there \[device bob"
    ):
        switch.connect(1, 3)


def test_forcing_needs_a_reason_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    switch = ToySwitch()
    bind(switch, shuttered=False)
    with pytest.raises(hal.InterlockError):
        switch.connect(1, 3, force="  ")
    with caplog.at_level(logging.WARNING, "tokaido.hal.interlock"):
        switch.connect(1, 3, force="the fibre is unplugged at bob")
    assert switch.connections() == {1: 3}
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "FORCED (the fibre is unplugged at bob)" in record.getMessage()
    assert "toy" in record.getMessage()


# --- by a station file ------------------------------------------------------------------------------------------------


class Box:
    """What both peers of a station remember: the switch's state and the receiver's shutter."""

    def __init__(self) -> None:
        self.state = 1
        self.shutter = "OPEN"
        self.receiver_speaks = True

    def switch(self, line: str) -> list[str]:
        if line.startswith("S "):
            self.state = int(line[2:])
            return []
        return [{"I?": "OSW22-1310E V1.2", "S?": str(self.state), "T?": "2"}[line]]

    def receiver(self, line: str) -> list[str]:
        identifier, _, question = line.lstrip("\x18#").rpartition("*")[0].partition(" ")
        if not self.receiver_speaks:
            return []
        serial = "" if question == "IDN?" else "TKRX0001"
        said = {"IDN?": "TOSHIBA-STYLE,T12-RX,TKRX0001,1.0.0,TQC1", "SHT?": self.shutter, "SAFE": ""}[question]
        reply = f"={identifier} OK {said}".rstrip()
        return [f"{reply}*{zlib.crc32((serial + reply).encode('ascii')):08X}"]


@contextmanager
def station_of(box: Box) -> Iterator[tuple[hal.Station, AnsweringPeer]]:
    """Give a station with an OSW22 and a receiver, and the receiver's peer."""
    with (
        AnsweringPeer(box.switch, {"send": "\n", "reply": "\r\n"}) as osw,
        AnsweringPeer(box.receiver, {"send": "\r", "reply": "\r\n"}) as bob,
        hal.Station.from_text(STATION.format(osw=osw.address, bob=bob.address)) as station,
    ):
        yield station, bob


def test_a_station_reads_the_receiver_s_shutter_before_light_is_switched_to_it() -> None:
    box = Box()
    with station_of(box) as (station, bob):
        switch = station.device("osw", hal.OpticalSwitch)
        assert bob.heard == []
        with pytest.raises(hal.InterlockError, match="bright-light"):
            switch.replace({1: 2, 2: 1})
        assert box.state == 1
        box.shutter = "CLOSED"
        switch.replace({1: 2, 2: 1})
        assert box.state == 2
    assert not any("SAFE" in line for line in bob.heard)  # it was opened to be read, and for nothing else


def test_a_receiver_that_is_open_already_is_read_as_it_is() -> None:
    box = Box()
    box.shutter = "CLOSED"
    with station_of(box) as (station, bob):
        receiver = station.device("bob", hal.Receiver)
        station.device("osw", hal.OpticalSwitch).replace({1: 2, 2: 1})
        assert receiver.shutter is hal.Shutter.CLOSED
        assert sum("IDN?" in line for line in bob.heard) == 1
    assert sum("SAFE" in line for line in bob.heard) == 1


def test_a_receiver_that_is_not_there_counts_as_open() -> None:
    box = Box()
    box.shutter, box.receiver_speaks = "CLOSED", False
    with station_of(box) as (station, _):
        switch = station.device("osw", hal.OpticalSwitch)
        with pytest.raises(hal.InterlockError, match=r"counts as open .*bob"):
            switch.replace({1: 2, 2: 1})
        assert box.state == 1


def test_an_interlock_for_ports_that_the_switch_lacks_is_no_protection_and_refused() -> None:
    box = Box()
    with AnsweringPeer(box.switch, {"send": "\n", "reply": "\r\n"}) as osw:
        text = STATION.format(osw=osw.address, bob="/dev/nowhere").replace("{ 2 =", "{ 3 =").replace("[1]", "[1, 5]")
        with hal.Station.from_text(text) as station, pytest.raises(hal.ConfigurationError) as caught:
            station.device("osw", hal.OpticalSwitch)
    assert len(caught.value.mistakes) == 2


def test_all_mistakes_are_reported_at_once_with_their_lines() -> None:
    with pytest.raises(hal.ConfigurationError) as caught:
        hal.Station.from_text(BAD, source="lab.toml")
    mistakes = caught.value.mistakes
    for start, word in (
        ("line 10, interlocks.one.switch:", "bob does not fill the role OpticalSwitch"),
        ("line 11, interlocks.one.classical_inputs:", "such as [1, 2]"),
        ("line 12, interlocks.one.single_photon_outputs:", "osw does not fill the role Receiver"),
        ("line 12, interlocks.one.single_photon_outputs:", "'x' is not an output"),
        ("line 12, interlocks.one.single_photon_outputs:", "there is no device 'carol'; the station has osw, bob"),
        ("line 13, interlocks.one.force:", "unknown key"),
        ("line 16, interlocks.two.switch:", "there is no device 'oswald'"),
        ("line 17, interlocks.two.classical_inputs:", "such as [1, 2]"),
        ("line 18, interlocks.two.single_photon_outputs:", '{ 3 = "bob" }'),
        ("line 20, interlocks.three:", "switch is missing"),
        ("line 20, interlocks.three:", "classical_inputs is missing"),
        ("line 20, interlocks.three:", "single_photon_outputs is missing"),
    ):
        assert any(mistake.startswith(start) and word in mistake for mistake in mistakes), (start, word, mistakes)
    assert len(mistakes) == 12
