"""Every kind of fault on both message ends: under CURVE and within the process, the same name does the same thing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest
import zmq

from tokaido.emulators import KINDS, SteppedClock, launch
from tokaido.hal import SYSTEM_CLOCK
from tokaido_testing.console import KeyClient

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokaido.emulators import Emulator

Frames = list[bytes]
ID: Final = b"request1"
STRAY_MOST: Final = 4


class Bench:
    """One unit, whose key channel a plain DEALER asks who it is."""

    def __init__(self, end: str) -> None:
        self.clock = SteppedClock() if end == "within" else SYSTEM_CLOCK
        wire_end = "emu" if end == "within" else None
        self.unit: Emulator = launch("toshiba.transmitter", warm=True, clock=self.clock, wire_end=wire_end)
        self.curve = None if end == "within" else KeyClient(self.unit)
        self.socket: Any = self.connect() if self.curve is None else self.curve.socket
        self.ask()
        self.right = self.hear()
        assert self.right[0] == ID
        self.ask(b"request2")
        self.other = self.hear()
        assert self.other == [b"request2", *self.right[1:]]

    def connect(self) -> Any:
        socket: Any = zmq.Context.instance().socket(zmq.DEALER)
        socket.linger = 0
        socket.connect(self.unit.resources["keys"].removeprefix("zmq:"))
        return socket

    def ask(self, name: bytes = ID) -> None:
        header = {"verb": "hello", "serial_number": self.unit.serial_number, "host": "00" * 8, "protocol": "TQK1"}
        self.socket.send_multipart([name, json.dumps(header).encode()])

    def hear(self, seconds: float = 1.0) -> Frames:
        """Return the next message, or nothing if none comes in time."""
        until_ns = self.clock.monotonic_ns() + round(seconds * 1e9)
        while not self.socket.poll(0):
            if self.clock.monotonic_ns() >= until_ns:
                return []
            self.clock.wait(0.005)
        frames: Frames = self.socket.recv_multipart()
        return frames

    def under(self, kind: str, direction: str = "from_unit", **options: Any) -> Frames:
        """Ask once under a fault that strikes once, and return what comes first."""
        chosen: dict[str, Any] = {"port": "keys", "count": 1, "seconds": 0.1, "direction": direction, **options}
        fault = self.unit.faults.add(kind, **chosen)
        self.ask()
        heard = self.hear(0.3)
        assert fault.fired == 1
        return heard

    def is_well(self) -> None:
        """Check that everything is over; ZeroMQ makes no connection within the process again."""
        assert self.hear(0.02) == []
        if self.curve is None:
            self.socket.close()
            self.socket = self.connect()
        for _ in range(3):  # where the plug was pulled, the first may be lost
            self.ask()
            if (heard := self.hear()) == self.right:
                return
            assert heard == []
        pytest.fail("it does not answer")

    def close(self) -> None:
        if self.curve is not None:
            self.curve.__exit__()
        else:
            self.socket.close()
        self.unit.close()


@pytest.fixture(params=["curve", "within"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    made = Bench(request.param)
    yield made
    made.close()


def test_every_kind_is_covered_here() -> None:
    covered = {name.removeprefix("test_").partition("_on_")[0] for name in globals() if "_on_" in name}
    assert covered == set(KINDS) - {"split", "disconnect"}  # a message comes whole or not at all; unplug's other name


@pytest.mark.parametrize("direction", ["to_unit", "from_unit"])
def test_drop_on_each_end(bench: Bench, direction: str) -> None:
    assert bench.under("drop", direction) == []
    bench.is_well()


@pytest.mark.parametrize("direction", ["to_unit", "from_unit"])
def test_duplicate_on_each_end(bench: Bench, direction: str) -> None:
    assert bench.under("duplicate", direction) == bench.right
    assert bench.hear() == bench.right
    bench.is_well()


@pytest.mark.parametrize("direction", ["to_unit", "from_unit"])
def test_latency_on_each_end(bench: Bench, direction: str) -> None:
    before_ns = bench.clock.monotonic_ns()
    assert bench.under("latency", direction) == bench.right
    assert bench.clock.monotonic_ns() - before_ns >= 100_000_000
    bench.is_well()


@pytest.mark.parametrize("direction", ["to_unit", "from_unit"])
def test_hang_on_each_end(bench: Bench, direction: str) -> None:
    assert bench.under("hang", direction, seconds=0.4) == []
    bench.ask()
    assert bench.hear() == bench.right
    assert bench.hear() == bench.right
    bench.is_well()


@pytest.mark.parametrize("direction", ["to_unit", "from_unit"])
def test_unplug_on_each_end(bench: Bench, direction: str) -> None:
    assert bench.under("unplug", direction) == []
    bench.is_well()


def test_garble_on_each_end(bench: Bench) -> None:
    heard = bench.under("garble")
    differing = [a ^ b for a, b in zip(b"".join(heard), b"".join(bench.right), strict=True) if a != b]
    assert len(differing) == 1
    bench.is_well()


def test_truncate_on_each_end(bench: Bench) -> None:
    heard = bench.under("truncate")
    assert len(b"".join(heard)) < len(b"".join(bench.right))
    assert b"".join(bench.right).startswith(b"".join(heard))
    bench.is_well()


def test_noise_on_each_end(bench: Bench) -> None:
    heard = bench.under("noise")
    grown = [(now, was) for now, was in zip(heard, bench.right, strict=True) if now != was]
    assert [now.endswith(was) for now, was in grown] == [True]
    assert 1 <= len(grown[0][0]) - len(grown[0][1]) <= STRAY_MOST
    bench.is_well()


def test_lost_byte_on_each_end(bench: Bench) -> None:
    heard = bench.under("lost_byte")
    assert len(heard) == len(bench.right)
    assert len(b"".join(heard)) == len(b"".join(bench.right)) - 1
    bench.is_well()


def test_parity_on_each_end(bench: Bench) -> None:
    assert bench.under("parity") == [bytes(byte ^ 128 for byte in frame) for frame in bench.right]
    bench.is_well()


def test_blank_on_each_end(bench: Bench) -> None:
    assert bench.under("blank") == [b""] * len(bench.right)
    assert bench.hear() == bench.right
    bench.is_well()


def test_stale_on_each_end(bench: Bench) -> None:
    assert bench.under("stale", count=2) == bench.right
    bench.ask(b"request2")
    assert bench.hear() == bench.right
    bench.is_well()


def test_echo_on_each_end(bench: Bench) -> None:
    heard = bench.under("echo", "to_unit")
    assert heard[0] == ID
    assert json.loads(heard[1])["verb"] == "hello"
    assert bench.hear() == bench.right
    bench.is_well()


@pytest.mark.parametrize("direction", ["to_unit", "from_unit"])
def test_swap_on_each_end(bench: Bench, direction: str) -> None:
    assert bench.under("swap", direction) == []
    bench.ask(b"request2")
    assert [bench.hear(), bench.hear()] == [bench.other, bench.right]
    bench.is_well()


def test_wrong_id_on_each_end(bench: Bench) -> None:
    assert f"{bench.unit.serial_number}-X9".encode() in bench.under("wrong_id", "to_unit")[1]
    bench.is_well()


def test_endless_on_each_end(bench: Bench) -> None:
    assert bench.under("endless", size=70_000) == [ID, b"A" * 70_000]
    bench.is_well()


def test_alarm_on_each_end(bench: Bench) -> None:
    bench.under("alarm", "to_unit", provokes="cover_opened")
    assert "cover_opened" in bench.unit.model_faults
    bench.is_well()
