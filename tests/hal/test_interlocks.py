"""No classical light onto a single-photon receiver that is not shuttered, unless it is forced with a reason."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import pytest

import tokaido.hal as hal
from tokaido.drivers import nec, toshiba
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
        self.unit_state = "STANDBY"
        self.receiver_speaks = True
        self.switch_speaks = True

    def switch(self, line: str) -> list[str]:
        if not self.switch_speaks:
            return []
        if line.startswith("S "):
            self.state = int(line[2:])
            return []
        return [{"I?": "OSW22-1310E V1.2", "S?": str(self.state), "T?": "2"}[line]]

    def receiver(self, line: str) -> list[str]:
        identifier, _, question = line.lstrip("\x18#").rpartition("*")[0].partition(" ")
        if not self.receiver_speaks:
            return []
        serial = "" if question == "IDN?" else "TKRX0001"
        if question.startswith("SHT "):
            self.shutter = question[4:]
        said = {
            "IDN?": "TOSHIBA-STYLE,T12-RX,TKRX0001,1.0.0,TQC1",
            "SHT?": self.shutter,
            "SHT OPEN": self.shutter,
            "STAT?": self.unit_state,
            "SAFE": "",
        }[question]
        reply = f"={identifier} OK {said}".rstrip()
        return [f"{reply}*{zlib.crc32((serial + reply).encode('ascii')):08X}"]


@contextmanager
def station_of(box: Box, text: str = STATION) -> Iterator[tuple[hal.Station, AnsweringPeer]]:
    """Give a station with an OSW22 and a receiver, and the receiver's peer."""
    with (
        AnsweringPeer(box.switch, {"send": "\n", "reply": "\r\n"}) as osw,
        AnsweringPeer(box.receiver, {"send": "\r", "reply": "\r\n"}) as bob,
        hal.Station.from_text(text.format(osw=osw.address, bob=bob.address)) as station,
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


# --- the other end: a receiver that opens its shutter -----------------------------------------------------------------

RECEIVERS: dict[str, Callable[[], hal.Receiver]] = {
    "toshiba": lambda: toshiba.Receiver({"control": hal.Resource.parse("serial:/dev/none")}, name="bob"),
    "nec": lambda: nec.Receiver({"control": hal.Resource.parse("visa:TCPIP::127.0.0.1::1::SOCKET")}, name="bob"),
}
"""Of both families, and without a wire: an order that reaches for it ends in a `NotConnectedError`."""
FAMILIES = pytest.mark.parametrize("family", list(RECEIVERS))


def open_by_hand(receiver: hal.Receiver) -> None:
    receiver.shutter = hal.Shutter.OPEN


OPENS: dict[str, Callable[[hal.Receiver], object]] = {
    "shutter": open_by_hand,
    "power_on": lambda receiver: receiver.power_on(),
    "start": lambda receiver: receiver.start(),
    "align": lambda receiver: receiver.align(),
    "clear_fault": lambda receiver: receiver.clear_fault(),
    "acknowledge_security": lambda receiver: receiver.acknowledge_security(),
    "select_link": lambda receiver: receiver.select_link("TKTX0001", "A"),
    "load_preshared_key": lambda receiver: receiver.load_preshared_key(hal.KeyMaterial(bytes(16))),
}
"""Orders by which a receiver opens its shutter, now or at the alignment that they lead to."""
DARK: dict[str, Callable[[hal.Receiver], object]] = {
    "power_off": lambda receiver: receiver.power_off(),
    "stop": lambda receiver: receiver.stop(),
    "apply_safe_state": lambda receiver: receiver.apply_safe_state(),
    "zeroize": lambda receiver: receiver.zeroize("TKRX0001"),
    "shutter": lambda receiver: setattr(receiver, "shutter", hal.Shutter.CLOSED),
}


def lit(receiver: hal.Receiver, connections: Mapping[int, int] | Exception) -> list[int]:
    """Bind a receiver behind output 2 to a switch whose inputs 1 and 3 are classical; return where it counts."""
    asked: list[int] = []

    def joined() -> Mapping[int, int]:
        asked.append(1)
        if isinstance(connections, Exception):
            raise connections
        return connections

    receiver.add_interlock(hal.ShutterInterlock("bright-light", frozenset({1, 3}), 2, joined))
    return asked


@FAMILIES
@pytest.mark.parametrize("order", list(OPENS))
def test_a_receiver_does_not_open_onto_light_that_is_joined_already(family: str, order: str) -> None:
    receiver = RECEIVERS[family]()
    lit(receiver, {3: 2})
    with pytest.raises(
        hal.InterlockError, match=rf"bright-light: {order}.* input 3 .*joined to output 2.*nothing was sent"
    ):
        OPENS[order](receiver)


@FAMILIES
@pytest.mark.parametrize("order", list(OPENS))
def test_it_opens_where_no_classical_light_is_joined(family: str, order: str) -> None:
    receiver = RECEIVERS[family]()
    asked = lit(receiver, {1: 1, 2: 2})
    with pytest.raises((hal.NotConnectedError, hal.UnsupportedError)):
        OPENS[order](receiver)
    assert asked == [1]


@FAMILIES
@pytest.mark.parametrize("order", list(DARK))
def test_what_opens_nothing_is_never_held_up(family: str, order: str) -> None:
    receiver = RECEIVERS[family]()
    asked = lit(receiver, {1: 2})
    with pytest.raises(hal.NotConnectedError):
        DARK[order](receiver)
    assert asked == []


@FAMILIES
def test_a_switch_that_cannot_be_asked_counts_as_joined(family: str) -> None:
    receiver = RECEIVERS[family]()
    lit(receiver, hal.NotConnectedError("nobody is there", device="osw"))
    with pytest.raises(hal.InterlockError, match=r"cannot be asked.*counts as joined \(nobody is there \[device osw"):
        receiver.align()


@FAMILIES
def test_a_receiver_is_forced_open_for_a_reason_that_is_logged(family: str, caplog: pytest.LogCaptureFixture) -> None:
    receiver = RECEIVERS[family]()
    lit(receiver, {1: 2})
    with receiver.interlocks_forced("  "), pytest.raises(hal.InterlockError):
        receiver.align()
    with caplog.at_level(logging.WARNING, "tokaido.hal.interlock"):
        with receiver.interlocks_forced("Raman noise of the data channel is measured"):
            for act in OPENS.values():
                with pytest.raises((hal.NotConnectedError, hal.UnsupportedError)):
                    act(receiver)
        assert [record.name for record in caplog.records].count("tokaido.hal.interlock") == len(OPENS)
        assert "bob: interlock bright-light FORCED (Raman noise of the data channel is measured): " in caplog.text
        with pytest.raises(hal.InterlockError):  # the reason held inside the block
            receiver.align()


def test_one_who_leaves_takes_his_own_reason_with_him() -> None:
    receiver = RECEIVERS["toshiba"]()
    lit(receiver, {1: 2})
    first, second = receiver.interlocks_forced("first"), receiver.interlocks_forced("second")
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    with pytest.raises(hal.NotConnectedError):
        receiver.align()
    second.__exit__(None, None, None)
    with pytest.raises(hal.InterlockError):
        receiver.align()


def test_a_driver_that_overrides_an_order_is_watched_too() -> None:
    class Eager(toshiba.Receiver):
        def align(self) -> None:
            self._command("ALN START FAST")

    receiver = Eager({"control": hal.Resource.parse("serial:/dev/none")})
    lit(receiver, {1: 2})
    with pytest.raises(hal.InterlockError, match=r"align"):
        receiver.align()


def test_a_station_asks_the_switch_before_a_receiver_opens() -> None:
    box = Box()
    box.state, box.shutter = 2, "CLOSED"  # crossed: input 1 leads to output 2
    with station_of(box) as (station, bob):
        receiver = station.device("bob", hal.Receiver)
        for order in (open_by_hand, OPENS["start"]):
            with pytest.raises(hal.InterlockError, match="bright-light"):
                order(receiver)
        assert not any("SHT OPEN" in line or "KEY START" in line for line in bob.heard)
        with receiver.interlocks_forced("the laser is unplugged"):
            receiver.shutter = hal.Shutter.OPEN
        box.state, box.shutter = 1, "CLOSED"
        receiver.shutter = hal.Shutter.OPEN
        assert box.shutter == "OPEN"


def test_a_station_whose_switch_does_not_answer_opens_no_receiver() -> None:
    box = Box()
    box.switch_speaks, box.shutter = False, "CLOSED"
    with station_of(box) as (station, _):
        with pytest.raises(hal.InterlockError, match="counts as joined"):
            station.device("bob", hal.Receiver).shutter = hal.Shutter.OPEN
        assert box.shutter == "CLOSED"


def test_an_interlock_for_ports_that_the_switch_lacks_protects_no_receiver_either() -> None:
    box = Box()
    box.shutter = "CLOSED"
    with station_of(box, STATION.replace("{{ 2 =", "{{ 3 =")) as (station, _):
        receiver = station.device("bob", hal.Receiver)
        with pytest.raises(hal.InterlockError, match=r"(?s)counts as joined .*there is no output 3"):
            receiver.shutter = hal.Shutter.OPEN


@pytest.mark.parametrize("state", ["SELFTEST", "WARMUP", "AUTH", "ALIGN", "REALIGN"])
def test_a_shutter_that_will_open_by_itself_counts_as_open(state: str) -> None:
    box = Box()
    box.shutter, box.unit_state = "CLOSED", state
    with station_of(box) as (station, _):
        switch = station.device("osw", hal.OpticalSwitch)
        with pytest.raises(hal.InterlockError, match="or opens its shutter by itself"):
            switch.replace({1: 2, 2: 1})
        assert box.state == 1
