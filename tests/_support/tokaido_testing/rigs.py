"""A transport, the misbehaving peer at its other end, and one way to ask every kind: what the fault matrix runs on."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any, Literal

import zmq

from tokaido.hal import SYSTEM_CLOCK, ProtocolError, Resource, WrongDeviceError, create_curve_keys
from tokaido.hal.transports import (
    NOT_MINE,
    LineCodec,
    NotMine,
    Request,
    SerialTransport,
    VisaTransport,
    ZmqTransport,
    load_curve_secret,
)
from tokaido_testing.patience import patient
from tokaido_testing.peers import PtyPeer, RouterPeer, sealed
from tokaido_testing.visa_peers import HislipPeer, SocketPeer

if TYPE_CHECKING:
    from pathlib import Path

    from tokaido.hal import Clock, Transport

Kind = Literal["line", "sealed", "zmq", "socket", "sealed socket", "hislip", "asrl", "plain socket", "plain hislip"]
"""Serial lines, ZeroMQ, and VISA: of pyvisa-py, and ("plain") of a library that is used through viRead and viWrite."""
VISA = ("socket", "sealed socket", "hislip", "asrl", "plain socket", "plain hislip")
TIMEOUT_S = 0.2


class SealedCodec:
    """Lines with an id and a CRC-32: every reply says what it answers."""

    terminator = b"\n"
    max_frame = 4096
    correlated = True

    def __init__(self) -> None:
        self.heard: list[str] = []
        self._ids = count(1)

    def request(self, text: str, *, repeatable: bool) -> Request[bytes, str]:
        number = f"{next(self._ids):06X}"

        def accept(frame: bytes) -> str | NotMine:
            line = frame.decode("ascii").strip("\r\0")
            if not line.startswith("="):
                return NOT_MINE
            said, star, _ = line.rpartition("*")
            if not star or sealed(said) != line:
                raise ProtocolError("the checksum does not match")
            theirs, _, value = said[1:].partition(" ")
            return value if theirs == number else NOT_MINE

        return Request(text, (sealed(f"{number} {text}") + "\n").encode("ascii"), accept, repeatable)

    def unsolicited(self, frame: bytes) -> None:
        self.heard.append(frame.decode("ascii", "replace").strip("\r\0"))


def message(text: str, *, repeatable: bool = True, believing: bool = True) -> Request[list[bytes], str]:
    """Return a request that compares the question in the reply with its own or, if `believing`, takes what comes."""

    def accept(frames: list[bytes]) -> str | NotMine:
        if frames[0] == b"ALARM" or not (believing or frames[0] == text.encode("ascii")):
            return NOT_MINE
        return frames[1].decode("ascii")

    return Request(text, [text.encode("ascii")], accept, repeatable)


class Rig:
    """One transport and its peer. The identity of the box is checked at every opening.

    Args:
        kind: Of both.
        folder: For their files.
        transport: Another class of transport.
        clock: By which the transport has its deadlines.
    """

    def __init__(
        self, kind: Kind, folder: Path, transport: type[Transport[Any]] | None = None, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self.clock = clock
        self.kind = kind
        self.expects = "BOX1"
        self.wrong: list[str] = []
        """Every value that answered another question."""
        self.right = 0
        self.believing = True
        """Whether requests by message take any reply for theirs, so that all safety lies in the transport."""
        self.codec = SealedCodec() if kind.startswith("sealed") else LineCodec()
        self.transport: Transport[Any]
        self.peer: PtyPeer | RouterPeer | SocketPeer | HislipPeer
        made: Any
        if kind in VISA:
            self.peer = self._visa_peer(folder)
            backend = {"backend": "@plain"} if kind.startswith("plain") else {}
            made = transport or VisaTransport
            self.transport = made(
                Resource("visa", self._visa_name(), backend), self.codec, clock=clock, timeout_s=TIMEOUT_S
            )
        elif kind == "zmq":
            self.server = create_curve_keys(folder, "server")
            self.client = create_curve_keys(folder, "client")
            mine, theirs = load_curve_secret(self.client.secret), load_curve_secret(self.server.secret)
            self.peer = RouterPeer(theirs.secret, {mine.public})
            files = {"server_key_file": str(self.server.public), "client_key_file": str(self.client.secret)}
            resource = Resource("zmq", f"tcp://127.0.0.1:{self.peer.port}", files)
            self.transport = (transport or ZmqTransport)(resource, clock=clock, timeout_s=TIMEOUT_S)
        else:
            self.peer = PtyPeer(folder / "port", seal=kind == "sealed")
            resource = Resource("serial", str(folder / "port"), {})
            made = transport or SerialTransport
            self.transport = made(resource, self.codec, clock=clock, timeout_s=TIMEOUT_S)
        self.peer.clock = clock
        self.transport.device = "box"
        self.transport.on_open(self._check)

    def _visa_peer(self, folder: Path) -> PtyPeer | SocketPeer | HislipPeer:
        if self.kind == "asrl":
            return PtyPeer(folder / "port")
        return HislipPeer() if self.kind.endswith("hislip") else SocketPeer(seal=self.kind.startswith("sealed"))

    def _visa_name(self) -> str:
        if isinstance(self.peer, PtyPeer):
            return f"ASRL{self.peer.link}::INSTR"
        assert not isinstance(self.peer, RouterPeer)
        if isinstance(self.peer, HislipPeer):
            return f"TCPIP::127.0.0.1::hislip0,{self.peer.port}::INSTR"
        return f"TCPIP::127.0.0.1::{self.peer.port}::SOCKET"

    def request(self, text: str, *, repeatable: bool = True) -> Request[Any, str]:
        """Return the request for `text`."""
        if self.kind == "zmq":
            return message(text, repeatable=repeatable, believing=self.believing)
        return self.codec.request(text, repeatable=repeatable)

    def ask(self, number: int, timeout: float | None = None, *, repeatable: bool = True) -> str:
        """Ask question `number` and return the answer, counting whether it is the right one.

        The first call without a deadline of its own has time to open, however busy the machine is.
        """
        if timeout is None and self.transport.generation == 0:
            timeout = patient(5 * self.transport.timeout_s)
        value = self.transport.exchange(self.request(f"V{number}?", repeatable=repeatable), timeout)
        if value.split(" ")[0] != str(number):
            self.wrong.append(f"asked {number}, got {value!r}")
        else:
            self.right += 1
        return value

    def times_asked(self, number: int) -> int:
        """Return how often question `number` reached the box."""
        return sum(question.rpartition(" ")[2] == f"V{number}?" for question in self.peer.questions)

    def replace_box(self, serial_number: str) -> None:
        """Unplug the box and plug in another one, or the same."""
        self.peer.unplug()
        self.peer.serial_number = serial_number
        self.peer.plug()

    def close(self) -> None:
        """Close both ends."""
        self.transport.close()
        self.peer.close()

    def _check(self) -> None:
        found = self.transport.exchange(self.request("IDN?"))
        if found != self.expects:
            raise WrongDeviceError(f"expected {self.expects}, found {found}", remedy="Check the cables")


zmq.Context.instance().socket(zmq.DEALER).close()  # its threads and descriptors last as long as the process
