"""An exchange where nothing is in doubt: what it costs in system calls, and that no interrupt spoils it."""

from __future__ import annotations

import contextlib
import gc
import os
import select
import socket
import sys
import threading
import weakref
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
import zmq

from tokaido.hal import (
    DeviceError,
    Identity,
    NoDataError,
    OutcomeUnknownError,
    ProtocolError,
    Resource,
    TokaidoError,
)
from tokaido.hal.driver import Answer, Codec, LineDevice, measured
from tokaido.hal.transports import LineCodec, Request, ScpiCodec, SerialTransport
from tokaido_testing.patience import patient
from tokaido_testing.rigs import Rig

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import FrameType

MOST_PYTHON_CALLS = 30
"""Of one reading of a declared value. It took 72 before the clean way was made short."""


class Numbering(LineCodec):
    """Lines that makes each request by itself; it counts them."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[str] = []

    def request(self, text: str, *, repeatable: bool) -> Request[bytes, str]:
        self.made.append(text)
        return super().request(text, repeatable=repeatable)


class Box(LineDevice):
    """A box with two values."""

    resource_kinds: ClassVar = {"control": frozenset({"serial"})}

    value = measured(float, "V", unit="V")
    text = measured(str, "LAB")

    def _codec(self) -> Codec:
        return LineCodec()

    def identity(self) -> Identity:
        """Ask the box who it is."""
        return self._read("*IDN?", self._named)

    def apply_safe_state(self) -> None:
        """It is always safe."""


@pytest.fixture
def answers() -> dict[bytes, bytes]:
    return {b"*IDN?": b"ACME,BOX,BOX1,1\n", b"V?": b"12.5\n", b"LAB?": b"west\n"}


@pytest.fixture
def box_port(answers: dict[bytes, bytes]) -> Generator[int]:
    """A box that answers at once, each reply as it is, at one place after another until it is asked no more."""
    listener = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        with listener:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                with client, contextlib.suppress(ConnectionError):
                    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    while asked := client.recv(1000):
                        for question in asked.splitlines():
                            client.sendall(answers[question])

    thread = threading.Thread(target=run)
    thread.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    thread.join()


@pytest.fixture
def box(box_port: int) -> Generator[Box]:
    resource = Resource("serial", f"socket://127.0.0.1:{box_port}", {})
    with Box({"control": resource}, timeout_s=patient(1)) as made:
        yield made


def test_a_clean_reading_takes_four_system_calls(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    own_poll, own_read, own_write = select.poll, os.read, os.write

    class Poll:
        def __init__(self) -> None:
            self._poll = own_poll()
            self.register = self._poll.register

        def poll(self, wait_ms: int) -> list[tuple[int, int]]:
            calls.append("look" if wait_ms == 0 else "poll")
            return self._poll.poll(wait_ms)

    def read(fd: int, size: int) -> bytes:
        calls.append("read")
        return own_read(fd, size)

    def write(fd: int, data: bytes) -> int:
        calls.append("write")
        return own_write(fd, data)

    monkeypatch.setattr(select, "poll", Poll)
    assert box.value == 12.5
    monkeypatch.setattr(os, "read", read)
    monkeypatch.setattr(os, "write", write)
    for _ in range(3):
        calls.clear()
        assert box.value == 12.5
        assert calls == ["look", "write", "poll", "read"]


def test_a_clean_reading_takes_few_calls_of_python(box: Box) -> None:
    assert box.value == 12.5
    calls: list[str] = []

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event == "call":
            calls.append(frame.f_code.co_qualname)

    sys.setprofile(note)
    try:
        value = box.value
    finally:
        sys.setprofile(None)
    assert value == 12.5
    assert len(calls) <= MOST_PYTHON_CALLS, calls


@pytest.mark.parametrize(
    ("reply", "value"),
    [
        (b"1.5\n", 1.5),
        (b"\r\n1.5\r\n", 1.5),
        (b"V?\n1.5\n", 1.5),  # its echo before it
        (b"1.5\n9", 1.5),  # the beginning of a line that nobody asked for
        (b"1.5\n9\n", 1.5),  # a line too many
    ],
)
def test_a_reply_that_is_not_one_line_and_no_more_is_read_as_ever(
    box: Box, answers: dict[bytes, bytes], reply: bytes, value: float
) -> None:
    answers[b"V?"] = reply
    assert [box.value for _ in range(3)] == [value] * 3
    assert box.text == "west"


def test_a_line_longer_than_a_frame_may_be_is_refused(box_port: int, answers: dict[bytes, bytes]) -> None:
    resource = Resource("serial", f"socket://127.0.0.1:{box_port}", {})
    with SerialTransport(resource, LineCodec(max_frame=8), timeout_s=patient(1)) as transport:
        answers[b"V?"] = b"x" * 8 + b"\n"
        assert transport.query("V?") == "x" * 8
        answers[b"V?"] = b"x" * 10 + b"\n"
        with pytest.raises(ProtocolError, match="longer than 8 bytes"):
            transport.query("V?")


@pytest.mark.parametrize("reply", [b"", b"\xff\n", b"12"])  # none, a garbled one, and half of one
def test_a_transport_that_failed_the_short_way_is_let_go_without_a_collection(
    box_port: int, answers: dict[bytes, bytes], reply: bytes
) -> None:
    resource = Resource("serial", f"socket://127.0.0.1:{box_port}", {})
    transport = SerialTransport(resource, LineCodec(), timeout_s=patient(1))
    assert transport.query("V?") == "12.5"
    answers[b"V?"] = reply
    gc.collect()
    gc.disable()
    try:
        with contextlib.suppress(TokaidoError):
            transport.exchange(transport.codec.request("V?", repeatable=True), timeout=0.05)
        there = weakref.ref(transport)
        del transport
        assert there() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("error", [DeviceError("no"), NoDataError("nothing yet")])
def test_a_device_that_says_no_stays_trusted(box: Box, error: DeviceError) -> None:
    assert box.value == 12.5

    def refuse(_: bytes) -> str:
        raise error

    with pytest.raises(type(error)):
        box.transport.exchange(Request("V?", b"V?\n", refuse, repeatable=False))
    assert "open>" in repr(box.transport)
    generation = box.transport.generation
    assert box.value == 12.5
    assert box.transport.generation == generation


def test_a_command_whose_reply_was_lost_is_an_unknown_outcome(box: Box, answers: dict[bytes, bytes]) -> None:
    answers[b"GO"] = b""
    assert box.value == 12.5
    with pytest.raises(OutcomeUnknownError, match="the reply to a command was lost"):
        box.transport.exchange(box.transport.codec.request("GO", repeatable=False), timeout=0.05)
    assert box.value == 12.5


# --- one request for a declared value -------------------------------------------------------------------------------


def test_a_declared_value_keeps_its_request_where_the_codec_allows_it(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (box.value, box.text) == (12.5, "west")

    def never(*_: object, **__: object) -> Request[bytes, str]:
        raise AssertionError("a request was made again")

    monkeypatch.setattr(box.transport.codec, "request", never)
    assert (box.value, box.text) == (12.5, "west")


def test_a_codec_that_makes_its_own_requests_makes_each(box_port: int) -> None:
    class Numbered(Box):
        def _codec(self) -> Codec:
            return Numbering()

    resource = Resource("serial", f"socket://127.0.0.1:{box_port}", {})
    with Numbered({"control": resource}, timeout_s=patient(1)) as box:
        assert [box.value for _ in range(3)] == [12.5] * 3
        codec = box.transport.codec
        assert isinstance(codec, Numbering)
        assert codec.made == ["V?", "*IDN?", "V?", "V?"]


def test_a_driver_that_asks_in_its_own_way_is_asked_so(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    assert box.value == 12.5
    monkeypatch.setattr(Box, "_ask", lambda _, command: Answer({"V": "7"}[command]))
    assert box.value == 7


def test_the_request_of_a_single_scpi_query_remembers_nothing() -> None:
    codec = ScpiCodec()
    assert codec.reusable("MEAS:POW?")
    assert not codec.reusable("MEAS:POW?;:MEAS:VOLT?")
    single = codec.request("MEAS:POW?", repeatable=True)
    assert [single.accept(line) for line in (b"1", b"2", b'"a;b"')] == ["1", "2", '"a;b"']
    double = codec.request("A?;B?", repeatable=True)
    assert not isinstance(double.accept(b"1"), str)
    assert double.accept(b"2") == "1;2"


# --- interrupts -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rig", ["line"], indirect=True)
def test_an_interrupt_at_any_call_leaves_the_lock_free_and_no_answer_behind(rig: Rig) -> None:
    """The interpreter looks for signals where a function begins and where one of C ends; each is struck once."""
    number = 0
    struck_at: list[int] = []
    for strike in range(1000):
        rig.ask(number, patient(5))  # from the careful way back to the clean one
        seen = 0

        def interrupt(frame: FrameType, event: str, _: Any, strike: int = strike) -> None:
            nonlocal seen
            if event not in ("call", "c_return") or "tokaido/hal" not in frame.f_code.co_filename:
                return
            seen += 1
            if seen == strike + 1:
                sys.setprofile(None)
                raise KeyboardInterrupt

        sys.setprofile(interrupt)
        try:
            rig.ask(number + 1, patient(5))
        except KeyboardInterrupt:
            struck_at.append(strike)
        finally:
            sys.setprofile(None)
        if seen <= strike:
            break  # it went through without being struck
        values: list[str] = []
        thread = threading.Thread(target=lambda: values.append(rig.ask(number + 2, patient(5))))  # noqa: B023
        thread.start()
        thread.join()
        assert values == [f"{number + 2} BOX1"], strike
        number += 3
    assert len(struck_at) > 20
    assert rig.wrong == []


# --- messages -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rig", ["zmq"], indirect=True)
def test_a_clean_exchange_of_messages_looks_once_and_waits_at_its_socket(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tokaido.hal.transports._zmq.FIRST_WAIT_S", patient(5))
    waits: list[int] = []
    poll = zmq.Poller.poll

    def noted(self: zmq.Poller, timeout: int | None = None) -> list[tuple[Any, int]]:
        if threading.current_thread() is threading.main_thread():  # the peer polls in its own
            waits.append(-1 if timeout is None else timeout)
        return poll(self, timeout)

    rig.ask(1, patient(20))
    monkeypatch.setattr(zmq.Poller, "poll", noted)
    assert rig.ask(2, patient(20)) == "2 BOX1"
    assert waits == [0]


@pytest.mark.parametrize("rig", ["zmq"], indirect=True)
def test_a_reply_that_takes_longer_than_the_first_wait_is_waited_for(rig: Rig) -> None:
    rig.ask(1, patient(1))
    rig.peer.late_s = 0.1
    rig.peer.fault("late")
    assert rig.ask(2, patient(5)) == "2 BOX1"
    assert rig.wrong == []
