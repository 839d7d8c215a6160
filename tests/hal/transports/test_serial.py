from __future__ import annotations

import fcntl
import gc
import logging
import os
import pty
import socket
import struct
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
import serial

from tokaido.hal import (
    ClosedError,
    ConfigurationError,
    DeviceBusyError,
    DeviceError,
    DeviceTimeoutError,
    NotConnectedError,
    OutcomeUnknownError,
    ProtocolError,
    RangeError,
    Resource,
    TokaidoError,
    TraceRecord,
    trace,
)
from tokaido.hal.transports import NOT_MINE, LineCodec, Request, SerialTransport, open_transport
from tokaido.hal.transports._ports import claim
from tokaido_testing.patience import in_time
from tokaido_testing.peers import ALARM, PtyPeer, TcpProxy
from tokaido_testing.rigs import Rig, SealedCodec

if TYPE_CHECKING:
    from collections.abc import Callable, Generator


@pytest.fixture
def line(make_rig: Callable[..., Rig]) -> Rig:
    return make_rig("line")


@pytest.fixture
def sealed_line(make_rig: Callable[..., Rig]) -> Rig:
    return make_rig("sealed")


def raw(payload: bytes, accept: Callable[[bytes], Any], **options: Any) -> Request[bytes, Any]:
    return Request("V1?", payload, accept, **options)


# --- what is not the reply ------------------------------------------------------------------------------------------


def test_alarms_reach_the_codec_and_are_never_the_reply(sealed_line: Rig) -> None:
    assert isinstance(sealed_line.codec, SealedCodec)
    assert isinstance(sealed_line.peer, PtyPeer)
    sealed_line.ask(1)
    sealed_line.peer.say(ALARM)
    sealed_line.peer.fault("foreign")
    assert sealed_line.ask(2) == "2 BOX1"
    sealed_line.peer.say(ALARM)
    sealed_line.transport.listen(0.5)
    assert sealed_line.codec.heard == [ALARM] * 3
    sealed_line.transport.listen()
    assert len(sealed_line.codec.heard) == 3


def test_alarms_that_came_during_a_failure_are_not_lost(sealed_line: Rig) -> None:
    assert isinstance(sealed_line.codec, SealedCodec)
    assert isinstance(sealed_line.peer, PtyPeer)
    sealed_line.ask(1)
    sealed_line.peer.fault("drop")
    with pytest.raises(DeviceTimeoutError):
        sealed_line.ask(2)
    sealed_line.peer.say(ALARM)
    sealed_line.ask(3)
    assert sealed_line.codec.heard == [ALARM]


@pytest.mark.parametrize("noise", [b"\0", b"\0\0\r\n", b"3.1", b"77 BOX1\r\n", b"\xff\xfe"])
def test_noise_before_a_question_is_not_its_answer(line: Rig, noise: bytes) -> None:
    assert isinstance(line.peer, PtyPeer)
    line.ask(1)
    line.peer.noise(noise)
    assert line.ask(2) == "2 BOX1"
    assert line.wrong == []


@pytest.mark.parametrize("kind", ["line", "sealed"])
def test_echo_and_nul_noise_are_dropped(make_rig: Callable[..., Rig], kind: str) -> None:
    rig = make_rig(kind)
    assert isinstance(rig.peer, PtyPeer)
    if isinstance(rig.codec, LineCodec):
        rig.codec.echo = True
    rig.peer.echo = True
    assert [rig.ask(number) for number in range(3)] == ["0 BOX1", "1 BOX1", "2 BOX1"]


def test_an_endless_line_ends_long_before_the_deadline(line: Rig) -> None:
    line.ask(1)
    line.peer.fault("endless")
    start = time.monotonic()
    with pytest.raises(ProtocolError, match="longer than 65536 bytes"):
        line.ask(2, 5.0)
    assert in_time(start, 2)
    line.peer.heal()


def test_a_stream_of_foreign_lines_ends_at_the_deadline(sealed_line: Rig) -> None:
    sealed_line.ask(1)
    sealed_line.peer.fault("flood")
    start = time.monotonic()
    with pytest.raises(DeviceTimeoutError):
        sealed_line.ask(2, 0.2)
    assert time.monotonic() - start >= 0.2
    assert in_time(start, 0.6)
    sealed_line.peer.heal()


# --- what an exchange raises --------------------------------------------------------------------------------------


def test_a_device_that_says_no_is_a_reply_and_costs_no_reopening(line: Rig) -> None:
    def accept(frame: bytes) -> str:
        raise DeviceError("out of range", code="22")

    line.ask(1)
    with pytest.raises(DeviceError, match=r"out of range \[device box, transport serial:.*command V1\?"):
        line.transport.exchange(raw(b"V1?\n", accept, repeatable=False))
    assert line.ask(2) == "2 BOX1"
    assert line.transport.generation == 1


@pytest.mark.parametrize(
    ("mistake", "seen"),
    [
        (ValueError("not a number"), ProtocolError),
        (struct.error("too short"), ProtocolError),
        (IndexError("no field"), ProtocolError),
        (ProtocolError("bad checksum"), ProtocolError),
        (KeyboardInterrupt(), KeyboardInterrupt),
        (TypeError("a mistake in a driver"), TypeError),
    ],
)
def test_whatever_happens_in_an_exchange_taints_the_transport(
    line: Rig, mistake: BaseException, seen: type[BaseException]
) -> None:
    def accept(frame: bytes) -> str:
        raise mistake

    line.ask(1)
    with pytest.raises(seen):
        line.transport.exchange(raw(b"V1?\n", accept))
    assert line.ask(2, 1.0) == "2 BOX1"
    assert isinstance(line.peer, PtyPeer)
    assert line.peer.questions == ["IDN?", "V1?", "V1?", "IDN?", "V2?"]  # the line was proved to be in step


def test_a_garbled_reply_to_a_command_leaves_its_outcome_unknown(line: Rig) -> None:
    with pytest.raises(OutcomeUnknownError) as caught:
        line.transport.exchange(raw(b"V1?\n", float, repeatable=False))
    assert isinstance(caught.value.__cause__, ProtocolError)


def test_a_handler_may_not_exchange(line: Rig) -> None:
    with pytest.raises(DeviceBusyError, match="handler"):
        line.transport.exchange(raw(b"V1?\n", lambda frame: line.ask(2)))


@pytest.mark.parametrize("timeout", [-1.0, float("nan"), 1e10])
def test_a_timeout_that_is_none_is_refused(line: Rig, timeout: float) -> None:
    with pytest.raises(RangeError, match="timeout"):
        line.ask(1, timeout)


def test_no_time_at_all_is_a_timeout(line: Rig) -> None:
    line.ask(1)
    with pytest.raises(DeviceTimeoutError):
        line.ask(2, 0.0)


# --- one owner ------------------------------------------------------------------------------------------------------


def test_a_thread_that_waits_too_long_is_told_who_is_busy(line: Rig) -> None:
    line.ask(1)
    line.peer.fault("drop")
    caught: list[TokaidoError] = []

    def hold() -> None:
        try:
            line.ask(2, 0.4)
        except TokaidoError as error:
            caught.append(error)

    thread = threading.Thread(target=hold, name="holder")
    thread.start()
    time.sleep(0.05)
    with pytest.raises(DeviceBusyError, match=r"another thread \(holder, V2\?\)"):
        line.ask(3, 0.1)
    thread.join()
    assert isinstance(caught[0], DeviceTimeoutError)


def test_closing_ends_the_call_of_another_thread(line: Rig) -> None:
    line.ask(1)
    line.peer.fault("drop")
    caught: list[TokaidoError] = []

    def wait() -> None:
        try:
            line.ask(2, 30)
        except TokaidoError as error:
            caught.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(0.05)
    line.transport.close()
    thread.join(2)
    assert isinstance(caught[0], ClosedError)
    line.transport.close()
    for call in (lambda: line.ask(3), line.transport.open, line.transport.listen):
        with pytest.raises(ClosedError):
            call()


def test_a_port_that_another_process_holds_is_busy_and_its_holder_is_named(line: Rig) -> None:
    assert isinstance(line.peer, PtyPeer)
    program = (
        "import sys; from pathlib import Path\n"
        "from tokaido.hal.transports import LineCodec, Resource, open_transport\n"
        f"t = open_transport(Resource('serial', {str(line.peer.link)!r}, {{}}), LineCodec())\n"
        "t.open(); print('open', flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(DeviceBusyError, match=rf"in use by pid {holder.pid} \(.*python.* -c"):
            line.ask(1)
        holder.communicate("")
    assert line.ask(2) == "2 BOX1"


def test_a_terminal_device_is_marked_exclusive_and_a_pseudo_terminal_is_not() -> None:
    def marked(fd: int) -> bool:
        return any(fcntl.ioctl(fd, 0x80045440, bytes(4)))  # TIOCGEXCL

    master, slave = pty.openpty()
    claim(slave)
    assert not marked(slave)
    claim(slave, mark_terminals=True)
    assert marked(slave)
    os.close(master)
    os.close(slave)


# --- ports of every kind --------------------------------------------------------------------------------------------


@pytest.fixture
def line_server() -> Generator[int]:
    """A TCP server of lines that answers "V1?" with "1 BOX1"."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.01)
    stop = threading.Event()

    def run() -> None:
        client: socket.socket | None = None
        while not stop.is_set():
            try:
                if client is None:
                    client = listener.accept()[0]
                    client.settimeout(0.01)
                data = client.recv(100)
                if data:
                    client.sendall(data.strip(b"V?\n") + b" BOX1\n")
                    continue
                client.close()
                client = None
            except TimeoutError:
                pass
            except OSError:
                client = None
        if client is not None:
            client.close()

    thread = threading.Thread(target=run)
    thread.start()
    yield listener.getsockname()[1]
    stop.set()
    thread.join()
    listener.close()


@pytest.mark.parametrize("fault", ["cut", "reset", "drop", "duplicate"])
def test_a_socket_survives_what_the_network_does(line_server: int, fault: str) -> None:
    with (
        TcpProxy(line_server) as proxy,
        SerialTransport(
            Resource.parse(f"serial:socket://127.0.0.1:{proxy.port}?timeout=0.2"), LineCodec()
        ) as transport,
    ):
        assert transport.query("V1?") == "1 BOX1"
        proxy.fault(fault)
        for number in (2, 3, 4):
            try:
                assert transport.query(f"V{number}?") == f"{number} BOX1"
            except TokaidoError:
                assert number < 4
        assert transport.query("V5?") == "5 BOX1"


def test_a_socket_to_nobody_is_not_connected() -> None:
    with (
        SerialTransport(Resource.parse("serial:socket://127.0.0.1:1"), LineCodec()) as transport,
        pytest.raises(NotConnectedError, match="refused"),
    ):
        transport.open()


def test_a_port_without_descriptor_works_through_pyserial() -> None:
    with SerialTransport(Resource.parse("serial:loop://"), LineCodec()) as transport:
        transport.on_open(lambda: (transport.query("who"), None)[1])
        assert transport.query("every word comes back") == "every word comes back"
        with pytest.raises(DeviceTimeoutError):
            transport.exchange(raw(b"x\n", lambda frame: NOT_MINE), 0.1)
        assert transport.query("again", 1.0) == "again"


def test_spying_goes_through_pyserial_too(
    line: Rig, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKAIDO_TRUST_RESOURCES", "1")
    assert isinstance(line.peer, PtyPeer)
    with SerialTransport(Resource.parse(f"serial:spy://{line.peer.link}"), LineCodec()) as transport:
        assert transport.query("V1?") == "1 BOX1"
    assert "BOX1" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.filterwarnings("ignore:set(Daemon|Name):DeprecationWarning")  # pyserial 3.5
def test_a_slow_url_does_not_hold_a_call_beyond_its_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        text = f"serial:rfc2217://127.0.0.1:{port}%3Ftimeout=0.5?timeout=0.2"
        with SerialTransport(Resource.parse(text), LineCodec()) as transport:
            start = time.monotonic()
            with pytest.raises(NotConnectedError, match="did not open within the deadline"):
                transport.open()
            assert in_time(start, 0.6)
        time.sleep(0.8)  # pyserial gives up, and drops its socket without closing it
        gc.collect()


def test_an_opening_that_was_given_up_does_not_refuse_the_next(line: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """It closes its port when it comes late; the next opening waits for that, and is not told that we are busy."""
    opens = serial.Serial.open

    def open_slowly(port: serial.Serial) -> None:
        opens(port)
        time.sleep(0.3)

    line.transport.close()
    monkeypatch.setattr(serial.Serial, "open", open_slowly)
    with SerialTransport(line.transport.resource, LineCodec(), timeout_s=0.1) as transport:
        with pytest.raises(NotConnectedError, match="did not open within the deadline"):
            transport.open()
        monkeypatch.undo()
        transport.timeout_s = 5.0
        transport.open()
        assert transport.query("V1?") == "1 BOX1"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("serial:/dev/there-is-no-such-port", NotConnectedError),
        ("serial:/dev/null", NotConnectedError),
        ("serial:/tmp", NotConnectedError),
        ("serial:nosuch://port", ConfigurationError),
    ],
)
def test_what_cannot_be_opened_says_so(text: str, error: type[TokaidoError]) -> None:
    transport = SerialTransport(Resource.parse(text), LineCodec())
    with pytest.raises(error) as caught:
        transport.open()
    assert caught.value.transport == transport.name
    assert caught.value.command == "open"
    transport.close()


# --- the rest ---------------------------------------------------------------------------------------------------------


def test_the_handshake_runs_at_every_opening_and_before_the_next_exchange(line: Rig) -> None:
    line.transport.open()
    line.transport.open()
    assert line.peer.questions == ["IDN?"]
    line.transport.on_open(lambda: None)
    line.ask(1, 1.0)
    assert line.peer.questions == ["IDN?", "IDN?", "V1?"]
    assert line.transport.generation == 2


def test_a_handshake_that_hides_its_failure_fails_all_the_same(line: Rig) -> None:
    def hide() -> None:
        try:
            line.transport.exchange(raw(b"V1?\n", lambda frame: float("nothing")))
        except ProtocolError:
            line.ask(2)

    line.transport.on_open(hide)
    with pytest.raises(NotConnectedError, match="earlier exchange of this handshake failed"):
        line.transport.open(1.0)
    assert line.times_asked(2) == 0


@pytest.mark.parametrize("length", [14, 65, 1000, 20_000])
def test_long_replies_arrive_whole(line: Rig, length: int) -> None:
    assert line.transport.exchange(line.request(f"LONG{length}?"), 2.0) == "x" * length


def test_a_write_that_nobody_reads_times_out_and_says_so() -> None:
    master, slave = pty.openpty()
    with (
        SerialTransport(Resource("serial", os.ttyname(slave), {}), LineCodec()) as transport,
        pytest.raises(DeviceTimeoutError, match="takes no bytes"),
    ):
        transport.exchange(raw(bytes(200_000), lambda frame: None), 0.2)
    os.close(master)
    os.close(slave)


def test_the_raw_way_through_is_logged(line: Rig, caplog: pytest.LogCaptureFixture) -> None:
    assert isinstance(line.transport, SerialTransport)
    with caplog.at_level(logging.INFO, "tokaido.hal.transport"):
        assert line.transport.query("V1?") == "1 BOX1"
        assert line.transport.command("V2?") == "2 BOX1"
    assert [record.getMessage().rpartition(": ")[2] for record in caplog.records] == ["query V1?", "command V2?"]
    with pytest.raises(ValueError, match="not one line"):
        line.transport.query("V1?\nV2?")


def test_a_trace_shows_both_directions_and_no_secret(line: Rig) -> None:
    records: list[TraceRecord] = []
    line.ask(1)
    with trace(line.transport, records.append):
        line.ask(2)
        line.transport.exchange(raw(b"V3?\n", bytes, confidential=True))
    line.ask(4)
    assert [record.direction for record in records] == [">", "<", ">", "<"]
    assert [record.text for record in records] == ["V2?\\n", "2 BOX1\\r\\n", "<4 bytes>", "<8 bytes>"]
    assert records[0].monotonic_ns < records[1].monotonic_ns
    assert str(records[0]).endswith(f"serial:{line.transport.resource.address} > V2?\\n")


def test_a_stream_needs_a_codec() -> None:
    with pytest.raises(ConfigurationError, match="codec"):
        open_transport(Resource.parse("serial:/dev/ttyUSB0"))
    assert isinstance(open_transport(Resource.parse("serial:/dev/ttyUSB0"), LineCodec()), SerialTransport)


def test_importing_a_transport_loads_none_of_the_libraries_below() -> None:
    program = (
        "import sys\n"
        "from tokaido.hal.transports import Resource, SerialTransport, TraceRecord, ZmqTransport\n"
        "print(sorted({'zmq', 'numpy', 'serial', 'asyncio', 'pyvisa', 'socket'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
