"""Options of a serial line: a delay after opening, the modem lines, and how the device ends its lines."""

from __future__ import annotations

import importlib
import termios
import time
from typing import TYPE_CHECKING, Any

import pytest

import tokaido.hal as hal
from tokaido.emulators import launch
from tokaido.hal.transports import LineCodec, ScpiCodec, open_transport
from tokaido_testing.patience import patient
from tokaido_testing.peers import PtyPeer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SERIAL, ASRL = "serial:{}?", "visa:ASRL{}::INSTR?"
both = pytest.mark.parametrize("place", [SERIAL, ASRL])


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[PtyPeer]:
    with PtyPeer(tmp_path / "port") as peer:
        yield peer


@both
def test_they_are_understood(place: str) -> None:
    text = place.format("/dev/ttyUSB0") + "open_delay=1.5&dtr=0&rts=1&line_end=crlf"
    resource = hal.Resource.parse(text)
    assert resource.options == {"open_delay": "1.5", "dtr": "0", "rts": "1", "line_end": "crlf"}
    assert hal.Resource.parse(str(resource)) == resource


@both
def test_a_bad_value_says_what_to_write(place: str) -> None:
    with pytest.raises(hal.ConfigurationError) as caught:
        hal.Resource.parse(place.format("/dev/ttyUSB0") + "open_delay=soon&dtr=on&rts=2&line_end=lfcr")
    assert [mistake.partition(";")[0] for mistake in caught.value.mistakes] == [
        "open_delay: should be a time in s, not 'soon'",
        "dtr: should be one of 0, 1, not 'on'",
        "rts: should be one of 0, 1, not '2'",
        "line_end: should be one of cr, lf, crlf, not 'lfcr'",
    ]


@pytest.mark.parametrize(
    "text",
    ["serial:socket://192.0.2.7:4001?dtr=0&rts=0&open_delay=1", "visa:TCPIP::h::1::SOCKET?dtr=0&rts=0&open_delay=1"],
)
def test_a_socket_has_no_modem_lines(text: str) -> None:
    with pytest.raises(hal.ConfigurationError) as caught:
        hal.Resource.parse(text)
    assert sorted(mistake.partition(":")[0] for mistake in caught.value.mistakes) == ["dtr", "open_delay", "rts"]
    assert hal.Resource.parse(text.partition("?")[0] + "?line_end=cr").options == {"line_end": "cr"}


@pytest.mark.parametrize("text", ["serial:/dev/ttyUSB0?rtscts=1&rts=0", "visa:ASRL1::INSTR?flow_control=rts_cts&rts=0"])
def test_flow_control_and_a_fixed_rts_exclude_each_other(text: str) -> None:
    with pytest.raises(hal.ConfigurationError, match="rts: the flow control moves that line"):
        hal.Resource.parse(text)


@both
def test_the_modem_lines_are_set_at_every_opening(peer: PtyPeer, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    posix: Any = importlib.import_module("serial.serialposix")
    real, seen = posix.fcntl.ioctl, []

    class Noted:
        def ioctl(self, fd: int, what: int, *arguments: Any) -> Any:
            if what in (termios.TIOCMBIS, termios.TIOCMBIC):
                seen.append((what, int.from_bytes(arguments[0], "little")))
                return 0  # a pseudo-terminal has no such lines
            return real(fd, what, *arguments)

        def __getattr__(self, name: str) -> Any:
            return getattr(posix_fcntl, name)

    posix_fcntl = posix.fcntl
    monkeypatch.setattr(posix, "fcntl", Noted())
    with open_transport(hal.Resource.parse(place.format(peer.link) + "dtr=0&rts=0"), LineCodec()) as transport:
        assert transport.query("V1?", patient(2)) == "1 BOX1"
        peer.unplug()
        with pytest.raises(hal.NotConnectedError):
            transport.query("V2?")
        peer.plug()
        seen.clear()
        assert transport.query("V3?", patient(2)) == "3 BOX1"
    last = {line: what for what, line in seen}
    assert last == {termios.TIOCM_DTR: termios.TIOCMBIC, termios.TIOCM_RTS: termios.TIOCMBIC}


@both
def test_nothing_is_sent_before_the_delay_after_opening(peer: PtyPeer, place: str) -> None:
    resource = hal.Resource.parse(place.format(peer.link) + "open_delay=0.2")
    with open_transport(resource, LineCodec(), timeout_s=patient(1)) as transport:
        start = time.monotonic()
        transport.open()
        assert time.monotonic() - start >= 0.2
        assert transport.query("V1?") == "1 BOX1"


def test_a_delay_that_leaves_no_time_says_so(peer: PtyPeer) -> None:
    resource = hal.Resource.parse(f"serial:{peer.link}?open_delay=30")
    with open_transport(resource, LineCodec(), timeout_s=0.5) as transport:
        start = time.monotonic()
        with pytest.raises(hal.DeviceTimeoutError, match=r"open_delay of 30 s.*timeout"):
            transport.open()
        assert time.monotonic() - start < 0.5


def test_a_polatis_whose_lines_end_in_cr_is_reached_through_a_terminal_server() -> None:
    with launch("polatis.matrix", wire_end="tcp", terminator="\r") as emulated:
        control = emulated.resources["control"]
        with pytest.raises(hal.TokaidoError):
            hal.OpticalSwitch.open("polatis.matrix", control=control, timeout=0.3)
        with hal.OpticalSwitch.open("polatis.matrix", control=f"{control}?line_end=cr", timeout=patient(1)) as switch:
            switch.connect(1, 2)
            assert switch.connections() == {1: 2}


@pytest.mark.parametrize(("line_end", "end"), [("cr", b"\r"), ("lf", b"\n"), ("crlf", b"\r\n")])
def test_codecs_of_lines_take_it(line_end: str, end: bytes) -> None:
    for codec in (LineCodec(), ScpiCodec()):
        resource = hal.Resource.parse(f"serial:/dev/ttyUSB0?line_end={line_end}")
        transport = open_transport(resource, codec)
        assert transport.codec.request("A?", repeatable=True).payload == b"A?" + end
        assert transport.codec.terminator == end[-1:]


def test_a_driver_whose_device_ends_its_lines_in_one_way_refuses_it() -> None:
    with pytest.raises(hal.ConfigurationError, match=r"line_end.*one way.*leave it out"):
        hal.OpticalSwitch.open("dicon.selector", control="serial:/dev/ttyUSB0?line_end=cr")
