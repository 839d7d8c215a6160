"""A HiSLIP device that lies: in each message and each field the client gives the right value or an error, in time."""

from __future__ import annotations

import random
import socket
import struct
import threading
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from tokaido.hal import ConfigurationError, Resource, TokaidoError, TransportError
from tokaido.hal.transports import LineCodec, VisaTransport
from tokaido_testing.patience import in_time, patient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HEADER = struct.Struct("!2sBBIQ")
TIMEOUT_S = 0.15
OVERRUN_S = 0.35
INITIALIZE, DATA_END, STATUS_QUERY, MAX_SIZE, ASYNC_INITIALIZE = 0, 7, 21, 15, 17
ANSWERS = {
    "InitializeResponse": (1, 0, 0x0100_0001, b""),
    "AsyncInitializeResponse": (18, 0, 0, b""),
    "AsyncMaximumMessageSizeResponse": (16, 0, 0, struct.pack("!Q", 1 << 20)),
    "DataEnd": (7, 0, 0, b"1 BOX1\n"),
    "AsyncStatusResponse": (22, 0x44, 0, b""),
}
"""Name of each message of a device: its type, control code, parameter (of DataEnd that of the question), payload."""
ASKED = {INITIALIZE: 0, ASYNC_INITIALIZE: 1, MAX_SIZE: 2, DATA_END: 3, STATUS_QUERY: 4}
"""Type of a client's message: which of the answers it gets."""
LENGTHS = (0, 1, 15, 17, 65_536, 2**31, 6_000_000_000, 2**63, 2**64 - 1)


class Liar:
    """A HiSLIP device that answers as it should, but for one message, of which a `lie` makes something else."""

    def __init__(self, about: str, lie: Callable[[bytes], Iterator[bytes]]) -> None:
        self._about = list(ANSWERS).index(about)
        self._lie = lie
        self._stop = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._connections: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._connections.append(connection)
                self._threads.append(threading.Thread(target=self._serve, args=(connection,)))
                self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError, struct.error):
            while True:
                _, kind, _, number, length = HEADER.unpack(connection.recv(HEADER.size, socket.MSG_WAITALL))
                if length:
                    connection.recv(length, socket.MSG_WAITALL)
                if kind not in ASKED:
                    continue
                which = ASKED[kind]
                answer, control, parameter, payload = list(ANSWERS.values())[which]
                parameter = number if kind == DATA_END else parameter
                whole = HEADER.pack(b"HS", answer, control, parameter, len(payload)) + payload
                for piece in self._lie(whole) if which == self._about else [whole]:
                    if self._stop.is_set():
                        return
                    connection.sendall(piece)

    def __enter__(self) -> VisaTransport:
        resource = Resource.parse(f"visa:TCPIP::127.0.0.1::hislip0,{self.port}::INSTR")
        self._transport = VisaTransport(resource, LineCodec(), timeout_s=patient(TIMEOUT_S))
        return self._transport

    def __exit__(self, *_: object) -> None:
        self._transport.close()
        self._stop.set()
        for half in (self._listener, *self._connections):
            with suppress(OSError):
                half.shutdown(socket.SHUT_RDWR)
            half.close()
        for thread in self._threads:
            thread.join()


def told(about: str, lie: Callable[[bytes], Iterator[bytes]], timeout_s: float = TIMEOUT_S) -> object:
    """Return what the client makes of a lie: a value, or the error that it raises in time."""
    with Liar(about, lie) as transport:
        start = time.monotonic()
        transport.timeout_s = patient(timeout_s)
        try:
            value: object = transport.status_byte() if about == "AsyncStatusResponse" else transport.query("V1?")
        except TransportError as error:
            value = error
        assert in_time(start, timeout_s + OVERRUN_S), f"{about}: {value!r}"
        start = time.monotonic()
        transport.close()
        assert in_time(start, OVERRUN_S), f"{about} hangs in close()"
        return value


def with_field(place: int, code: str, value: int | bytes) -> Callable[[bytes], Iterator[bytes]]:
    """Return a lie about one field of the header."""

    def lie(whole: bytes) -> Iterator[bytes]:
        changed = bytearray(whole)
        struct.pack_into(f"!{code}", changed, place, value)
        yield bytes(changed)

    return lie


def check(about: str, lies: list[Callable[[bytes], Iterator[bytes]]]) -> list[object]:
    """Tell all lies, some at a time, and return what the client made of them; a value must be the right one."""
    right = 0x44 if about == "AsyncStatusResponse" else "1 BOX1"
    with ThreadPoolExecutor(8) as pool:
        values = list(pool.map(lambda lie: told(about, lie), lies))
    assert [value for value in values if not isinstance(value, TokaidoError) and value != right] == []
    return values


@pytest.mark.parametrize("about", ANSWERS)
def test_every_message_may_come_where_another_is_due(about: str) -> None:
    values = check(about, [with_field(2, "B", kind) for kind in (*range(40), 128, 255)])
    assert sum(not isinstance(value, TokaidoError) for value in values) <= 2  # itself, and Data with its line's end


@pytest.mark.parametrize("about", ANSWERS)
def test_no_length_is_believed(about: str) -> None:
    tracemalloc.start()
    try:
        lengths = [length for length in LENGTHS if (about, length) != ("DataEnd", 1)]  # which is a reply of "1"
        check(about, [with_field(8, "Q", length) for length in lengths])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 16 << 20


@pytest.mark.parametrize("about", ANSWERS)
def test_a_long_message_that_is_none_of_its_own_costs_neither_memory_nor_time(about: str) -> None:
    def foreign(_: bytes) -> Iterator[bytes]:
        yield HEADER.pack(b"HS", 13, 0, 0, 6_000_000_000)
        while True:
            yield bytes(65_536)

    tracemalloc.start()
    try:
        assert isinstance(told(about, foreign), TransportError)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 16 << 20


@pytest.mark.parametrize("about", ANSWERS)
def test_every_other_field_of_a_header(about: str) -> None:
    lies = [with_field(3, "B", control) for control in (1, 2, 0x44, 0xFF)]
    if about == "AsyncStatusResponse":
        lies = lies[2:3]  # it is the status
    lies += [with_field(4, "I", parameter) for parameter in (0, 1, 0x7FFF_FFFF, 0xFFFF_FFFF)]
    lies += [with_field(0, "2s", prologue) for prologue in (b"XX", b"\0\0", b"SH")]
    check(about, lies)


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 18, 255, 2**32, 2**63, 2**64 - 1])
def test_the_largest_message_of_a_device_is_not_believed_either(size: int) -> None:
    value = told("AsyncMaximumMessageSizeResponse", lambda whole: iter([whole[:16] + struct.pack("!Q", size)]))
    if size <= 16:
        assert isinstance(value, TransportError)
        assert f"at most {size} bytes, which hold nothing" in str(value)
    else:  # in parts of one byte, if it must be
        assert value == "1 BOX1"


ENDLESS = {
    "foreign answers": HEADER.pack(b"HS", 7, 0, 2, 7) + b"9 BOX1\n",
    "empty parts": HEADER.pack(b"HS", 6, 0, 0xFFFF_FFFF, 0),
    "interruptions": HEADER.pack(b"HS", 13, 0, 0, 0),
}


@pytest.mark.parametrize("what", ENDLESS)
@pytest.mark.parametrize("about", ANSWERS)
def test_messages_without_end_end_with_the_deadline(about: str, what: str) -> None:
    def endless(_: bytes) -> Iterator[bytes]:
        while True:
            yield ENDLESS[what] * 100

    assert isinstance(told(about, endless), TransportError)


@pytest.mark.parametrize("about", ANSWERS)
def test_an_answer_that_trickles_ends_with_the_deadline(about: str) -> None:
    def trickle(whole: bytes) -> Iterator[bytes]:
        for byte in whole:
            yield bytes([byte])
            time.sleep(patient(0.04))

    assert isinstance(told(about, trickle), TransportError)


def test_closing_ends_a_wait_among_messages_without_end() -> None:
    def endless(_: bytes) -> Iterator[bytes]:
        while True:
            yield ENDLESS["foreign answers"]

    errors: list[TokaidoError] = []

    def ask(transport: VisaTransport) -> None:
        try:
            transport.query("V1?", 60)
        except TokaidoError as error:
            errors.append(error)

    with Liar("DataEnd", endless) as transport:
        transport.open()
        thread = threading.Thread(target=ask, args=(transport,))
        thread.start()
        time.sleep(0.05)
        start = time.monotonic()
        transport.close()
        assert in_time(start, OVERRUN_S)
        thread.join()
    assert [type(error).__name__ for error in errors] == ["ClosedError"]


@pytest.mark.parametrize(
    ("kind", "said"), [(2, "ended the HiSLIP session: error 4 'too many'"), (3, "refused a HiSLIP")]
)
@pytest.mark.parametrize("about", ANSWERS)
def test_what_a_device_says_of_an_error_is_told(about: str, kind: int, said: str) -> None:
    value = told(about, lambda _: iter([HEADER.pack(b"HS", kind, 4, 0, 8) + b"too many"]), 3.0)
    assert isinstance(value, TransportError)
    assert said in str(value)


@pytest.mark.parametrize("about", ANSWERS)
def test_noise(about: str) -> None:
    """Messages at random, the same in every run, and half of them with a prologue."""

    def noise(seed: int) -> Callable[[bytes], Iterator[bytes]]:
        chance = random.Random(f"{about} {seed}")
        return lambda _: iter([b"HS"[: 2 * (seed % 2)] + chance.randbytes(chance.randrange(1, 200))])

    check(about, [noise(seed) for seed in range(20)])


@pytest.mark.parametrize("port", ["x", "0", "70000", "-1", ""])
def test_a_port_that_is_none_is_a_mistake_of_the_resource(port: str) -> None:
    with pytest.raises(ConfigurationError, match="port"):
        Resource.parse(f"visa:TCPIP::192.0.2.7::hislip0,{port}::INSTR")
