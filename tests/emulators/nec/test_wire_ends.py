"""Units on their wires: TCP, HiSLIP with service requests, in process, and the key channel under CURVE."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import pyvisa
import zmq

from tokaido.emulators import launch
from tokaido.hal import ConfigurationError
from tokaido.hal.transports import load_curve_public, load_curve_secret
from tokaido_testing.hislip import Client
from tokaido_testing.sealed import request, seal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokaido.emulators import Emulator

NAMES = {"nec.transmitter": "TB-TX8,TKNT0001", "nec.receiver": "TB-RX8S,TKNR0001"}


def say(unit: Emulator, *messages: str) -> list[str]:
    """Ask with pyvisa, which knows nothing of this project but the in-process library's name."""
    address, _, options = unit.resources["control"].removeprefix("visa:").partition("?")
    library = pyvisa.ResourceManager("@tokaido" if options else "@py")
    try:
        with library.open_resource(address) as opened:
            assert isinstance(opened, pyvisa.resources.MessageBasedResource)
            opened.read_termination = opened.write_termination = "\n"
            return [opened.query(message) for message in messages]
    finally:
        library.close()


@pytest.mark.parametrize("end", ["tcp", "hislip", "visa"])
@pytest.mark.parametrize("name", NAMES)
def test_a_unit_answers_on_every_end_it_has(name: str, end: str) -> None:
    with launch(name, wire_end=end, warm=True) as unit:
        identity, state = say(unit, "*IDN?", "UNIT:STAT?")
        assert identity == f"NEC-STYLE,{NAMES[name]},1.0.0"
        assert state == "AUTH,NONE"
        sealed = say(unit, request(unit.serial_number, "0000FF", "KEY:BAS?"))[0]
        answer = '0,"No error";0.78'
        assert sealed == f"#H0000FF,#H{seal(unit.serial_number, '0000FF', answer)},{answer}"


def test_a_unit_has_no_serial_line_and_its_plain_ends_are_on_the_loopback_interface() -> None:
    with pytest.raises(ConfigurationError, match="pty"):
        launch("nec.transmitter", wire_end="pty")
    with pytest.raises(ConfigurationError, match="loopback"):
        launch("nec.transmitter", resources={"control": "visa:TCPIP::0.0.0.0::5025::SOCKET"})
    with launch("nec.transmitter") as unit:
        assert unit.wire_end == "tcp"
        assert "127.0.0.1" in unit.resources["control"]


def test_options_reach_the_model_and_another_box_may_answer_in_its_place() -> None:
    with launch("nec.receiver", wire_end="visa", sub_channels=2, detectors="avalanche", serial_number="RX-77") as unit:
        assert say(unit, "*IDN?") == ["NEC-STYLE,TB-RX2A,RX-77,1.0.0"]
        unit.faults.add("wrong_id", direction="to_unit")
        assert say(unit, "*IDN?") == ["NEC-STYLE,TB-RX2A,RX-77-X9,1.0.0"]


class KeyClient:
    """A plain pyzmq DEALER under CURVE."""

    def __init__(self, unit: Emulator) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.socket = self._context.socket(zmq.DEALER)
        self.socket.linger = 0
        pair = load_curve_secret(unit.client_keys.secret)
        self.socket.curve_publickey, self.socket.curve_secretkey = pair.public, pair.secret
        self.socket.curve_serverkey = load_curve_public(unit.server_keys.public)
        self.socket.connect(unit.resources["keys"].removeprefix("zmq:").partition("?")[0])

    def ask(self, **header: object) -> dict[str, Any] | None:
        self.socket.send(msgspec.msgpack.encode(header))
        if not self.socket.poll(2000):
            return None
        reply: dict[str, Any] = msgspec.msgpack.decode(self.socket.recv_multipart()[0])
        return reply

    def close(self) -> None:
        self.socket.close()
        self._context.term()


@pytest.fixture
def unit() -> Iterator[Emulator]:
    with launch("nec.receiver", wire_end="hislip", warm=True, hislip_profile="strict") as launched:
        yield launched


def test_the_key_channel_speaks_messagepack_under_curve(unit: Emulator) -> None:
    client = KeyClient(unit)
    try:
        hello = client.ask(n=1, verb="hello", protocol="NQK1")
        assert hello is not None
        assert (hello["n"], hello["ok"], hello["serial_number"]) == (1, True, "TKNR0001")
        status = client.ask(n=2, verb="status", serial_number="TKNR0001")
        assert status is not None
        assert status["state"] == "AUTH"
    finally:
        client.close()


def test_service_is_requested_over_hislip_when_a_program_asked_for_it(unit: Emulator) -> None:
    port = int(unit.resources["control"].split(",")[1].partition("::")[0])
    with Client(port) as client:
        client.write(b"*CLS;:STAT:QUES:ENAB 512;*SRE 8\n")
        assert client.query(b"*SRE?\n") == b"8\n"
        assert client.asynchronous.silent()
        unit.add_fault("cover_opened")
        kind, status, _, _ = client.asynchronous.receive()
        assert kind == 20  # AsyncServiceRequest (IVI-6.1)
        assert status & 0x48 == 0x48
