"""Every kind of fault on every wire end: the same name does the same thing, and the next client finds all well."""

from __future__ import annotations

import math
import socket
import time
from typing import TYPE_CHECKING, Any

import pytest
import pyvisa
import serial
from pyvisa.constants import StatusCode

from tokaido.emulators import KINDS, WIRE_ENDS
from tokaido_testing.hislip import Client
from tokaido_testing.patience import in_time
from tokaido_testing.voa import IDENTITY, hislip_port, launch_voa, open_serial

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokaido.emulators import InstrumentEmulator

RIGHT = IDENTITY.encode() + b"\n"
GONE = (OSError, EOFError, pyvisa.VisaIOError)


class SerialAsker:
    """Asks at a serial port: of the kernel, or within the process."""

    def __init__(self, voa: InstrumentEmulator) -> None:
        address = voa.resources["control"].partition("?")[0]
        if address.startswith("visa:ASRL"):
            self.line: Any = serial.Serial(address[9:].partition("::")[0], timeout=0)
        else:
            self.line = open_serial(voa)
        self.line.timeout = 0

    def ask(self, question: bytes = b"*IDN?\n") -> None:
        self.line.write(question)

    def hear(self, seconds: float) -> bytes:
        data = b""
        deadline = time.monotonic() + seconds
        self.line.timeout = 0.01
        while time.monotonic() < deadline and not data.endswith(b"\n"):
            data += self.line.read(max(self.line.in_waiting, 1))
        return data

    def close(self) -> None:
        self.line.close()


class SocketAsker:
    """Asks at a TCP socket."""

    def __init__(self, voa: InstrumentEmulator) -> None:
        port = int(voa.resources["control"].split("::")[2])
        self.socket = socket.create_connection(("127.0.0.1", port))

    def ask(self, question: bytes = b"*IDN?\n") -> None:
        self.socket.sendall(question)

    def hear(self, seconds: float) -> bytes:
        data = b""
        deadline = time.monotonic() + seconds
        while not data.endswith(b"\n") and (left := deadline - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                piece = self.socket.recv(200_000)
            except TimeoutError:
                break
            if not piece:
                raise EOFError
            data += piece
        return data

    def close(self) -> None:
        self.socket.close()


class HislipAsker:
    """Asks as a HiSLIP client; replies to older questions are not for it to judge here."""

    def __init__(self, voa: InstrumentEmulator) -> None:
        self.client = Client(hislip_port(voa))

    def ask(self, question: bytes = b"*IDN?\n") -> None:
        self.client.write(question)

    def hear(self, seconds: float) -> bytes:
        data = b""
        self.client.sync.socket.settimeout(seconds)
        while True:
            try:
                reply = self.client.sync.receive()
            except TimeoutError:
                return data
            data += reply.payload
            if reply.type == 7:
                return data

    def close(self) -> None:
        self.client.close()


class VisaAsker:
    """Asks with PyVISA within the process."""

    def __init__(self, voa: InstrumentEmulator) -> None:
        self.manager = pyvisa.ResourceManager("@tokaido")
        address = voa.resources["control"].removeprefix("visa:").partition("?")[0]
        self.instrument: Any = self.manager.open_resource(address)

    def ask(self, question: bytes = b"*IDN?\n") -> None:
        self.instrument.write_raw(question)

    def hear(self, seconds: float) -> bytes:
        self.instrument.timeout = seconds * 1000
        visa = self.instrument.visalib
        try:
            data, _ = visa.read(self.instrument.session, 1 << 20)
        except pyvisa.VisaIOError as error:
            if error.error_code != StatusCode.error_timeout:
                raise
            data = b""
        return bytes(data)

    def close(self) -> None:
        self.instrument.close()
        self.manager.close()


ASKERS: dict[str, Any] = {
    "pty": SerialAsker,
    "asrl": SerialAsker,
    "emu": SerialAsker,
    "tcp": SocketAsker,
    "hislip": HislipAsker,
    "visa": VisaAsker,
}


class Bench:
    """One attenuator on one end."""

    def __init__(self, end: str) -> None:
        self.voa = launch_voa(end)
        self.make = ASKERS[end]
        self.open: list[Any] = []
        self.asker = self.connect()

    def connect(self) -> Any:
        self.open.append(self.make(self.voa))
        return self.open[-1]

    def add(self, kind: str, **options: Any) -> Any:
        return self.voa.faults.add(kind, provokes="stuck", **options)

    def is_well(self) -> None:
        """Check that a client that comes now is served."""
        self.voa.faults.clear()
        deadline = time.monotonic() + 2
        while True:
            try:
                asker = self.connect()
                asker.ask()
                heard = asker.hear(0.5)
            except GONE:
                heard = b""
            if heard == RIGHT:
                return
            assert time.monotonic() < deadline, heard
            time.sleep(0.01)

    def close(self) -> None:
        for asker in self.open:
            asker.close()
        self.voa.close()


@pytest.fixture(
    params=[end for end in WIRE_ENDS if end not in {"https", "zmq"}]
)  # whose matrices are those of key sources and repeaters
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    made = Bench(request.param)
    yield made
    made.close()


def test_every_kind_is_covered_here() -> None:
    covered = {name.removeprefix("test_").partition("_on_")[0] for name in globals() if "_on_" in name}
    assert covered == set(KINDS) - {"swap"}  # which messages alone can do


@pytest.mark.parametrize("direction", ["to_unit", "from_unit"])
def test_drop_on_each_end(bench: Bench, direction: str) -> None:
    fault = bench.add("drop", direction=direction, count=1)
    bench.asker.ask()
    assert bench.asker.hear(0.1) == b""
    assert fault.fired == 1
    bench.asker.ask()
    assert bench.asker.hear(1) == RIGHT


def test_latency_on_each_end(bench: Bench) -> None:
    bench.add("latency", seconds=0.08, count=1)
    began = time.monotonic()
    bench.asker.ask()
    assert bench.asker.hear(1) == RIGHT
    assert time.monotonic() - began >= 0.08
    assert in_time(began, 0.4)
    bench.is_well()


def test_duplicate_on_each_end(bench: Bench) -> None:
    bench.add("duplicate", count=1)
    bench.asker.ask()
    heard = bench.asker.hear(1)
    if heard == RIGHT:
        heard += bench.asker.hear(1)
    assert heard == RIGHT * 2
    bench.is_well()


def test_garble_on_each_end(bench: Bench) -> None:
    bench.add("garble", count=1)
    bench.asker.ask()
    heard = bench.asker.hear(1)
    assert sum(a != b for a, b in zip(heard, RIGHT, strict=True)) == 1
    bench.asker.ask()
    assert bench.asker.hear(1) == RIGHT


def test_truncate_on_each_end(bench: Bench) -> None:
    bench.add("truncate", count=1)
    bench.asker.ask()
    heard = bench.asker.hear(0.1)
    assert RIGHT.startswith(heard)
    assert len(heard) < len(RIGHT)
    bench.is_well()


def test_split_on_each_end(bench: Bench) -> None:
    bench.add("split", count=1, seconds=0.02)
    began = time.monotonic()
    bench.asker.ask()
    assert bench.asker.hear(1) == RIGHT
    assert time.monotonic() - began >= 0.02
    bench.is_well()


def lose_the_plug(bench: Bench, kind: str, direction: str) -> None:
    fault = bench.add(kind, direction=direction, count=1, seconds=0.05)
    heard = b""
    try:
        bench.asker.ask()
        heard = bench.asker.hear(0.05)
    except GONE:
        pass
    assert (heard, fault.fired) == (b"", 1)
    bench.is_well()


@pytest.mark.parametrize("direction", ["to_unit", "from_unit"])
def test_unplug_on_each_end(bench: Bench, direction: str) -> None:
    lose_the_plug(bench, "unplug", direction)


@pytest.mark.parametrize("direction", ["to_unit", "from_unit"])
def test_disconnect_on_each_end(bench: Bench, direction: str) -> None:
    lose_the_plug(bench, "disconnect", direction)


def test_hang_on_each_end(bench: Bench) -> None:
    fault = bench.add("hang", direction="to_unit", count=1, seconds=math.inf)
    bench.asker.ask()
    assert bench.asker.hear(0.1) == b""
    fault.remove()
    assert bench.asker.hear(1) == RIGHT
    bench.is_well()


def test_wrong_id_on_each_end(bench: Bench) -> None:
    bench.add("wrong_id", direction="to_unit", count=1)
    bench.asker.ask()
    assert bench.asker.hear(1) == b"TOKAIDO,VOA-1,000001-X9,1.0\n"
    bench.asker.ask()
    assert bench.asker.hear(1) == RIGHT


def test_endless_on_each_end(bench: Bench) -> None:
    bench.add("endless", count=1, size=2000)
    bench.asker.ask()
    heard = bench.asker.hear(0.1)
    assert heard == (b"" if bench.voa.wire_end == "visa" else b"A" * 2000)  # PyVISA keeps nothing of a timeout
    bench.is_well()


def test_alarm_on_each_end(bench: Bench) -> None:
    bench.add("alarm", direction="to_unit", count=1)
    bench.asker.ask(b"INP:ATT 5;:SYST:ERR?\n")
    assert bench.asker.hear(1) == b'-240,"Hardware error;motor"\n'
    assert bench.voa.model.FAULTS == ("stuck",)
    bench.is_well()


def test_noise_on_each_end(bench: Bench) -> None:
    bench.add("noise", count=1)
    bench.asker.ask()
    heard = bench.asker.hear(1)
    assert heard.endswith(RIGHT)
    assert len(RIGHT) < len(heard) <= len(RIGHT) + 4
    bench.asker.ask()
    assert bench.asker.hear(1) == RIGHT


def test_lost_byte_on_each_end(bench: Bench) -> None:
    bench.add("lost_byte", count=1)
    bench.asker.ask()
    heard = bench.asker.hear(1)
    assert heard in [RIGHT[:i] + RIGHT[i + 1 :] for i in range(len(RIGHT) - 1)]
    bench.asker.ask()
    assert bench.asker.hear(1) == RIGHT


@pytest.mark.parametrize("direction", ["to_unit", "from_unit"])
def test_parity_on_each_end(bench: Bench, direction: str) -> None:
    bench.add("parity", direction=direction, count=1)
    bench.asker.ask()
    heard = bench.asker.hear(1 if direction == "from_unit" else 0.1)
    flipped = bytes(byte ^ 0x80 for byte in RIGHT[:-1]) + b"\n"
    assert heard == (flipped if direction == "from_unit" else b"")
    bench.asker.ask(b"*CLS;*IDN?\n")
    assert bench.asker.hear(1) == RIGHT


def test_blank_on_each_end(bench: Bench) -> None:
    bench.add("blank", count=1)
    bench.asker.ask()
    heard = bench.asker.hear(1)
    if heard == b"\n":
        heard += bench.asker.hear(1)
    assert heard == b"\n" + RIGHT
    bench.is_well()


def test_stale_on_each_end(bench: Bench) -> None:
    bench.add("stale", count=2)
    bench.asker.ask()
    assert bench.asker.hear(1) == RIGHT
    bench.asker.ask(b"INP:ATT?\n")
    assert bench.asker.hear(1) == RIGHT
    bench.asker.ask(b"INP:ATT 5;ATT?\n")
    assert float(bench.asker.hear(1)) == 5.0
    bench.is_well()


def test_echo_on_each_end(bench: Bench) -> None:
    bench.add("echo", direction="to_unit", count=1)
    bench.asker.ask()
    heard = bench.asker.hear(1)
    if heard == b"*IDN?\n":
        heard += bench.asker.hear(1)
    assert heard == b"*IDN?\n" + RIGHT
    bench.is_well()
