"""One instrument on every wire end, with plain clients: PyVISA, pyserial and sockets, written without this project."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pyvisa
import serial

import tokaido.hal as hal
from tokaido.emulators import WIRE_ENDS, launch
from tokaido.hal import ConfigurationError
from tokaido.hal.driver import LineCodec
from tokaido.hal.transports import open_transport
from tokaido_testing.ports import free_port
from tokaido_testing.voa import IDENTITY, ask, launch_voa

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokaido.emulators import InstrumentEmulator

VISA_ENDS = ("tcp", "hislip", "visa", "asrl")
TEXT_ENDS = [end for end in WIRE_ENDS if end not in {"https", "zmq"}]
"""Ends of lines of text; HTTPS carries key managers alone, ZeroMQ repeaters."""


# --- the same instrument everywhere ---------------------------------------------------------------------------------


@pytest.mark.parametrize("end", VISA_ENDS)
def test_a_plain_pyvisa_script_works(end: str, open_visa: Callable[[InstrumentEmulator], Any]) -> None:
    with launch_voa(end) as voa:
        instrument = open_visa(voa)
        assert instrument.query("*IDN?") == IDENTITY
        instrument.write("INP:ATT 12.5")
        assert instrument.query("INP:ATT?;*OPC?") == "12.50;1"
        instrument.write("INP:ATT 99")
        assert instrument.query("SYST:ERR?") == '-222,"Data out of range;99"'
        assert instrument.query("DIAG:TRAC? 100000") == "x" * 100_000


@pytest.mark.parametrize("end", ["pty", "emu"])
def test_a_plain_terminal_program_works(end: str) -> None:
    with launch_voa(end) as voa:
        assert ask(voa, "*IDN?") == IDENTITY
        assert ask(voa, "INP:ATT 12.5;*OPC?;:INP:ATT?") == "1;12.50"
        assert voa.resources["control"].endswith("?baudrate=115200")


def test_a_raw_socket_is_also_a_serial_url() -> None:
    with launch_voa("tcp") as voa:
        port = voa.resources["control"].split("::")[2]
        with serial.serial_for_url(f"socket://127.0.0.1:{port}", timeout=1) as line:
            line.write(b"*IDN?\r\n")
            assert line.read_until(b"\n").decode().strip() == IDENTITY


@pytest.mark.parametrize("end", TEXT_ENDS)
def test_the_projects_own_transports_open_the_resource(end: str) -> None:
    codec = LineCodec("\n")
    with launch_voa(end) as voa:
        resource = hal.Resource.parse(voa.resources["control"])
        transport = open_transport(resource, codec)
        try:
            assert transport.query("*IDN?").strip() == IDENTITY
        finally:
            transport.close()


@pytest.mark.parametrize("end", TEXT_ENDS)
def test_closing_leaves_nothing_behind(end: str) -> None:
    def footprint() -> tuple[int, int]:
        return len(list(Path("/proc/self/fd").iterdir())), threading.active_count()

    launch_voa(end).close()  # modules loaded once stay
    before = footprint()
    for _ in range(3):
        voa = launch_voa(end)
        voa.close()
        voa.close()
    assert footprint() == before


@pytest.mark.parametrize("end", TEXT_ENDS)
def test_it_appears_where_it_is_told_to_and_vanishes_from_there(end: str, tmp_path: Path) -> None:
    port = free_port()
    place = {
        "pty": f"serial:{tmp_path}/lab/voa?baudrate=9600",
        "asrl": f"visa:ASRL{tmp_path}/lab/voa::INSTR",
        "emu": "serial:emu://lab-voa",
        "tcp": f"visa:TCPIP::127.0.0.1::{port}::SOCKET",
        "hislip": f"visa:TCPIP::127.0.0.1::hislip0,{port}::INSTR",
        "visa": "visa:USB0::0x1313::0x80e0::M001::INSTR?backend=@tokaido",
    }[end]
    for _ in range(2):
        with launch_voa(resources={"control": place}) as voa:
            assert (voa.wire_end, voa.resources) == (end, {"control": place})
            with pytest.raises(ConfigurationError):
                launch_voa(resources={"control": place}).close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("end", "place"),
    [
        (None, "visa:TCPIP::0.0.0.0::5025::SOCKET"),
        (None, "visa:TCPIP::192.0.2.7::hislip0::INSTR"),
        (None, "visa:TCPIP::192.0.2.7::inst0::INSTR"),
        (None, "serial:rfc2217://127.0.0.1:4000"),
        ("pty", "serial:emu://x"),
        ("floppy", None),
    ],
)
def test_what_cannot_be_is_refused_with_a_remedy(end: str | None, place: str | None) -> None:
    with pytest.raises(ConfigurationError) as error:
        launch_voa(end, resources={} if place is None else {"control": place})
    assert error.value.remedy


def test_a_device_with_keys_has_no_plain_listener(monkeypatch: pytest.MonkeyPatch) -> None:
    from tokaido.emulators.toshiba import TransmitterModel

    monkeypatch.setattr(TransmitterModel, "wire_ends", ("pty", "emu", "tcp", "hislip", "visa"))
    for end in ("tcp", "hislip", "visa"):
        with pytest.raises(ConfigurationError, match=end):
            launch("toshiba.transmitter", wire_end=end)
    with pytest.raises(ConfigurationError, match="floppy"):
        launch_voa("pty", resources={"floppy": "serial:/tmp/x"})


def test_a_unit_on_emu_is_driven_like_one_on_a_terminal() -> None:
    with launch("toshiba.transmitter", wire_end="emu", warm=True) as unit:
        assert unit.resources["control"].startswith("serial:emu://TKTX0001")
        with hal.Transmitter.open("toshiba.transmitter", **unit.resources) as tx:
            assert tx.identity().serial_number == "TKTX0001"
            tx.attenuation = 12.5
            assert tx.attenuation == 12.5
        with pytest.raises(ConfigurationError, match="emu"):
            _ = unit.control


def test_a_unit_appears_where_its_resources_say(tmp_path: Path) -> None:
    port = free_port()
    for name in ("box", "host"):
        hal.create_curve_keys(tmp_path, name)
    places = {
        "control": f"serial:{tmp_path}/alice",
        "keys": f"zmq:tcp://127.0.0.1:{port}?server_key_file={tmp_path}/box.key"
        f"&client_key_file={tmp_path}/host.key_secret",
    }
    with launch("toshiba.transmitter", resources=places, warm=True) as unit:
        assert dict(unit.resources) == places
        with hal.Transmitter.open("toshiba.transmitter", **unit.resources) as tx:
            assert tx.identity().serial_number == "TKTX0001"
        unit.move({"control": f"serial:{tmp_path}/bob"})
        assert not (tmp_path / "alice").is_symlink()
        with hal.Transmitter.open("toshiba.transmitter", **unit.resources) as tx:
            assert tx.identity().serial_number == "TKTX0001"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"{name}.key{kind}" for name in ("box", "host") for kind in ("", "_secret")
    ]


# --- HiSLIP with pyvisa-py ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", ["lenient", "strict"])
def test_pyvisa_py_clears_and_polls_over_hislip(profile: Any, open_visa: Callable[[InstrumentEmulator], Any]) -> None:
    with launch_voa("hislip", hislip_profile=profile) as voa:
        instrument = open_visa(voa)
        for _ in range(3):
            assert instrument.query("*CLS;*ESE 32;*IDN?") == IDENTITY
            assert instrument.read_stb() == 0
            instrument.write("FOO")
            assert instrument.read_stb() == 4 | 32
            instrument.write("*IDN?")
            # pyvisa-py names the id of its next message: by IVI-6.1, 6.14.3, nothing can be available then
            assert instrument.read_stb() & 0x10 == (0x10 if profile == "lenient" else 0)
            assert instrument.read() == IDENTITY  # pyvisa-py takes no unread reply while it clears
            instrument.clear()
            assert instrument.query("SYST:ERR?").startswith("-113")
        instrument.write("DIAG:TRAC? " + " " * 3_000_000 + "3000000")  # longer than a SCPI input buffer
        assert instrument.query("SYST:ERR?") == '-363,"Input buffer overrun"'


def test_after_a_timeout_pyvisa_py_drops_the_late_reply_over_hislip(
    open_visa: Callable[[InstrumentEmulator], Any],
) -> None:
    with launch_voa("hislip") as voa:
        instrument = open_visa(voa)
        voa.faults.add("latency", seconds=0.15, count=1)
        instrument.timeout = 50
        with pytest.raises(pyvisa.VisaIOError):
            instrument.query("*IDN?")
        instrument.timeout = 2000
        assert instrument.query("SYST:VERS?") == "1999.0"


# --- TCP ------------------------------------------------------------------------------------------------------------


def test_each_of_two_tcp_clients_gets_its_own_replies_even_while_the_instrument_is_busy() -> None:
    with launch_voa("tcp") as voa:
        port = int(voa.resources["control"].split("::")[2])
        with socket.create_connection(("127.0.0.1", port)) as one, socket.create_connection(("127.0.0.1", port)) as two:
            one.settimeout(2)
            two.settimeout(2)
            one.sendall(b"INP:ATT 5;*OPC?;:SYST:VERS?\n*ID")  # and the beginning of another line
            time.sleep(0.005)
            two.sendall(b"INP:ATT?\n")
            assert two.recv(100) == b"5.00\n"
            assert one.recv(100) == b"1;1999.0\n"
            one.sendall(b"N?\n")
            assert one.recv(100) == f"{IDENTITY}\n".encode()


def test_a_tcp_client_that_leaves_in_the_middle_does_no_harm() -> None:
    with launch_voa("tcp") as voa:
        port = int(voa.resources["control"].split("::")[2])
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", port)) as rude:
                rude.sendall(b"DIAG:TRAC? 1000000\n*IDN")
        with socket.create_connection(("127.0.0.1", port)) as polite:
            polite.settimeout(3)
            polite.sendall(b"SYST:VERS?\n")
            assert polite.recv(100) == b"1999.0\n"
