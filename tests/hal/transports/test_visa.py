"""VISA sessions: what opening does, what other libraries leak, and what belongs to HiSLIP and to lines alone."""

from __future__ import annotations

import fcntl
import importlib
import os
import socket
import struct
import subprocess
import sys
import termios
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tokaido.hal import (
    SYSTEM_CLOCK,
    ClosedError,
    ConfigurationError,
    Deadline,
    DeviceBusyError,
    DeviceTimeoutError,
    NotConnectedError,
    OutcomeUnknownError,
    Resource,
    TokaidoError,
    UnsupportedError,
    WrongDeviceError,
)
from tokaido.hal.transports import NOT_MINE, DescriptorPort, LineCodec, Request, VisaTransport, open_transport
from tokaido_testing.patience import in_time, patient
from tokaido_testing.peers import PtyPeer
from tokaido_testing.rigs import TIMEOUT_S, Rig
from tokaido_testing.visa_peers import HislipPeer, SocketPeer

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="module", autouse=True)
def _loaded() -> None:
    """Load the library before any deadline runs: that takes longer than a short one on a busy machine."""
    importlib.import_module("pyvisa_py")


def visa(text: str, timeout_s: float = 0.3) -> VisaTransport:
    return VisaTransport(Resource.parse(f"visa:{text}"), LineCodec(), timeout_s=patient(timeout_s))


def socket_name(port: int) -> str:
    return f"TCPIP::127.0.0.1::{port}::SOCKET"


# --- opening ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("TCPIP::127.0.0.1::1::SOCKET", NotConnectedError, "refused"),
        ("TCPIP::127.0.0.1::1::SOCKET?backend=@plain", DeviceTimeoutError, "no reply|refused"),
        ("TCPIP::127.0.0.1::hislip0,1::INSTR", NotConnectedError, "refused"),
        ("TCPIP::127.0.0.1::hislip0,1::INSTR?backend=@plain", NotConnectedError, "refused"),
        ("TCPIP::127.0.0.1,1::inst0::INSTR", NotConnectedError, "refused"),
        ("TCPIP::no-such-host.invalid::1::SOCKET", NotConnectedError, "name is not known"),
        ("TCPIP::no-such-host.invalid::hislip0::INSTR", NotConnectedError, "name is not known"),
        ("ASRL/dev/there-is-no-such-port::INSTR", NotConnectedError, "no such port"),
        ("ASRL/dev/null::INSTR", NotConnectedError, "not configure"),
        ("ASRLnosuch://port::INSTR", ConfigurationError, "nosuch"),
        ("USB0::0x1313::0x80E0::M1::INSTR", ConfigurationError, "PyUSB"),
        ("TCPIP::127.0.0.1::1::SOCKET?backend=@ivi", ConfigurationError, "VISA library of backend @ivi"),
    ],
)
def test_what_cannot_be_opened_says_so(text: str, error: type[TokaidoError], said: str) -> None:
    with visa(text, 0.6) as transport:
        start = time.monotonic()
        with pytest.raises((error, NotConnectedError) if "@plain" in text else error, match=said) as caught:
            transport.query("V1?")
        assert in_time(start, 1)
        assert caught.value.transport == transport.name
        assert caught.value.remedy


def test_a_backend_that_is_not_installed_is_a_mistake_of_the_resource() -> None:
    with pytest.raises(ConfigurationError, match="no VISA backend @nosuch"):
        visa("GPIB0::7::INSTR?backend=@nosuch")


def test_importing_and_parsing_load_no_visa_library_and_making_a_transport_does() -> None:
    program = (
        "import sys; from tokaido.hal.transports import LineCodec, Resource, VisaTransport\n"
        "resource = Resource.parse('visa:TCPIP::192.0.2.7::5025::SOCKET')\n"
        "print('pyvisa' in sys.modules)\n"
        "VisaTransport(resource, LineCodec())\n"
        "print('pyvisa_py' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\nTrue\n"


def test_a_resource_opens_the_transport_of_its_kind() -> None:
    transport = open_transport(Resource.parse("visa:TCPIP::192.0.2.7::5025::SOCKET?timeout=2"), LineCodec())
    assert isinstance(transport, VisaTransport)
    assert transport.timeout_s == 2
    with pytest.raises(ConfigurationError, match="codec"):
        open_transport(Resource.parse("visa:TCPIP::192.0.2.7::5025::SOCKET"))


@pytest.mark.parametrize("name", ["SOCKET", "hislip", "vxi"])
def test_a_server_that_never_answers_holds_no_call_beyond_its_deadline(name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        host = "TCPIP::127.0.0.1"
        names = {
            "SOCKET": socket_name(port),
            "hislip": f"{host}::hislip0,{port}::INSTR",
            "vxi": f"{host},{port}::inst0::INSTR",
        }
        with visa(names[name]) as transport:
            start = time.monotonic()
            with pytest.raises((NotConnectedError, DeviceTimeoutError)):
                transport.query("V1?")
            assert in_time(start, 0.7)
            late, _ = mute.accept()
            late.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            late.close()  # so that the library gives up, too


def test_small_messages_do_not_wait_for_others() -> None:
    with SocketPeer() as peer, visa(socket_name(peer.port)) as transport:
        transport.open()
        port = transport._port
        assert isinstance(port, DescriptorPort)
        with socket.socket(fileno=os.dup(port._fd)) as connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_reopening_leaves_nothing_in_the_library(tmp_path: Path) -> None:
    with PtyPeer(tmp_path / "port") as peer, visa(f"ASRL{peer.link}::INSTR") as transport:
        transport.open(patient(2))
        sessions = transport._manager.visalib.sessions
        held = len(sessions)
        for _ in range(3):
            peer.unplug()
            with pytest.raises(NotConnectedError):
                transport.query("V1?")
            peer.plug()
            assert transport.query("V1?", patient(1)) == "1 BOX1"
        assert len(sessions) == held
    assert len(sessions) == held - 1


# --- lines ------------------------------------------------------------------------------------------------------------


def test_a_line_is_set_up_as_the_resource_says(tmp_path: Path) -> None:
    with PtyPeer(tmp_path / "port") as peer:
        with visa(f"ASRL{peer.link}::INSTR?baud_rate=38400&stop_bits=2&flow_control=xon_xoff") as transport:
            assert transport.query("V1?") == "1 BOX1"
            attributes = termios.tcgetattr(peer._slave)
            assert attributes[4] == attributes[5] == termios.B38400
            assert attributes[2] & termios.CSTOPB
            assert attributes[0] & termios.IXON
        with (
            visa(f"ASRL{peer.link}::INSTR?data_bits=7") as transport,
            pytest.raises(ConfigurationError, match="refuse"),
        ):
            transport.query("V1?")


def test_a_busy_line_names_who_has_it_and_is_not_disturbed(tmp_path: Path) -> None:
    with PtyPeer(tmp_path / "port") as peer, visa(f"ASRL{peer.link}::INSTR") as first:
        assert first.query("V1?") == "1 BOX1"
        peer.fault("late")
        peer.late_s = 0.1
        waiting = threading.Thread(target=lambda: answers.append(first.query("V2?")))
        answers: list[str] = []
        waiting.start()
        with visa(f"ASRL{peer.link}::INSTR") as second, pytest.raises(DeviceBusyError, match=f"pid {os.getpid()}"):
            second.query("V3?")
        waiting.join()
        assert answers == ["2 BOX1"]
        first.close()
        with visa(f"ASRL{peer.link}::INSTR") as second:
            assert second.query("V3?") == "3 BOX1"


def test_a_port_that_another_program_locked_is_busy(tmp_path: Path) -> None:
    with PtyPeer(tmp_path / "port") as peer, peer.link.open("rb+", buffering=0) as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with visa(f"ASRL{peer.link}::INSTR") as transport, pytest.raises(DeviceBusyError):
            transport.open()


def test_a_line_without_descriptor_works_through_pyserial() -> None:
    with visa("ASRLloop://::INSTR") as transport:
        transport.on_open(lambda: (transport.query("who"), None)[1])
        assert transport.query("every word comes back") == "every word comes back"
        with pytest.raises(DeviceTimeoutError):
            transport.exchange(Request("x", b"x\n", lambda frame: NOT_MINE), 0.1)
        assert transport.query("again", 1.0) == "again"


# --- HiSLIP -----------------------------------------------------------------------------------------------------------


def hislip(peer: HislipPeer, options: str = "", timeout_s: float = 0.3) -> VisaTransport:
    return visa(f"TCPIP::127.0.0.1::hislip0,{peer.port}::INSTR{options}", timeout_s)


@pytest.mark.parametrize("length", [1, 16_383, 16_384, 60_000])
@pytest.mark.parametrize("options", ["", "?backend=@plain"])
def test_long_messages_arrive_whole(length: int, options: str) -> None:
    with HislipPeer() as peer, hislip(peer, options, 2.0) as transport:
        assert transport.query(f"LONG{length}?") == "x" * length
        assert transport.query("V1?") == "1 BOX1"


@pytest.mark.parametrize("options", ["", "?backend=@plain"])
def test_a_message_without_line_end_is_whole_at_its_end(options: str) -> None:
    with HislipPeer() as peer, hislip(peer, options) as transport:
        peer.fault("no line end")
        assert transport.query("V1?") == "1 BOX1"
        assert transport.query("V2?") == "2 BOX1"


@pytest.mark.parametrize("options", ["", "?backend=@plain"])
def test_the_status_byte_is_asked_beside_the_messages(options: str) -> None:
    with HislipPeer() as peer, hislip(peer, options) as transport:
        peer.status = 0x44
        assert transport.status_byte() == 0x44
        assert transport.query("V1?") == "1 BOX1"


@pytest.mark.parametrize("fault", ["interrupted", "service request"])
def test_a_session_that_lost_step_is_replaced_before_the_next_status(fault: str) -> None:
    with HislipPeer() as peer, hislip(peer) as transport:
        assert transport.query("V0?") == "0 BOX1"
        peer.fault(fault)
        assert transport.query("V1?") == "1 BOX1"
        for status in (0x44, 0x10):
            peer.status = status
            assert transport.status_byte() == status
        assert transport.generation == 2


def test_a_stream_has_no_status_byte() -> None:
    with SocketPeer() as peer, visa(socket_name(peer.port)) as transport:
        with pytest.raises(UnsupportedError, match=r"\*STB\?"):
            transport.status_byte()
        assert transport.query("V1?") == "1 BOX1"


@pytest.mark.parametrize("kind", ["hislip", "plain hislip", "plain socket"])
@pytest.mark.parametrize("fault", ["drop", "cut", "garble"])
def test_a_command_whose_reply_is_lost_is_unknown_and_sent_once(
    make_rig: Callable[..., Rig], kind: str, fault: str
) -> None:
    if (kind, fault) == ("plain socket", "garble"):
        pytest.skip("a garbled line looks like a reply")
    rig = make_rig(kind)
    rig.ask(1)
    rig.peer.fault(fault)
    with pytest.raises(OutcomeUnknownError, match=r"reply to a command was lost.*V2\?.*read the state"):
        rig.ask(2, repeatable=False)
    assert rig.times_asked(2) == 1


@pytest.mark.parametrize("kind", ["plain socket", "plain hislip"])
def test_a_library_that_tells_no_end_of_stream_recovers_at_the_first_call_after_the_return(
    make_rig: Callable[..., Rig], kind: str
) -> None:
    rig = make_rig(kind)
    rig.ask(1)
    rig.replace_box("BOX2")
    for number in (2, 3, 4):  # the first may find out by a timeout
        with pytest.raises((DeviceTimeoutError, NotConnectedError, WrongDeviceError)):
            rig.ask(number)
    rig.peer.unplug()
    with pytest.raises((DeviceTimeoutError, NotConnectedError)):
        rig.ask(5)
    rig.peer.serial_number = "BOX1"
    rig.peer.plug()
    assert rig.ask(6, 1.0) == "6 BOX1"
    assert rig.wrong == []


@pytest.mark.parametrize("kind", ["socket", "asrl", "hislip", "plain socket"])
def test_closing_ends_a_call_of_another_thread_soon(make_rig: Callable[..., Rig], kind: str) -> None:
    rig = make_rig(kind)
    rig.ask(1)
    rig.peer.fault("drop")
    errors: list[TokaidoError] = []

    def ask() -> None:
        try:
            rig.ask(2, 5.0)
        except TokaidoError as error:
            errors.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    time.sleep(0.05)
    start = time.monotonic()
    rig.transport.close()
    thread.join()
    assert in_time(start, 0.65)
    assert isinstance(errors[0], ClosedError)


def test_a_reply_that_trickles_ends_with_the_deadline(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig("hislip")
    rig.ask(1)
    rig.peer.fault("trickle")
    start = time.monotonic()
    with pytest.raises(DeviceTimeoutError):
        rig.ask(2)
    assert in_time(start, TIMEOUT_S + 0.15)


def test_vxi11_goes_through_the_same_calls() -> None:
    pytest.importorskip("pyvisa_py.protocols.vxi11")
    deadline = Deadline(SYSTEM_CLOCK, 0.2)
    with closing(visa("TCPIP::127.0.0.1::inst0::INSTR", 0.2)) as transport, pytest.raises(NotConnectedError):
        transport.open()
    assert deadline.elapsed_s < patient(0.5)
