"""Instruments within the process: the PyVISA backend, the pyserial handler, clocks that jump, and a line's pace."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
import pyvisa
import serial
from pyvisa.constants import EventMechanism, EventType, StatusCode

from tokaido_testing.patience import in_time
from tokaido_testing.voa import IDENTITY, JumpingClock, ask, launch_voa, open_serial

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokaido.emulators import InstrumentEmulator


# --- within the process ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address", ["TCPIP::voa::INSTR", "TCPIP::voa::5025::SOCKET", "ASRL7::INSTR", "GPIB0::9::INSTR",
                "USB0::0x1313::0x80e0::M001::INSTR"]
)  # fmt: skip
def test_every_kind_of_resource_is_served(address: str, managers: dict[str, pyvisa.ResourceManager]) -> None:
    with launch_voa(resources={"control": f"visa:{address}?backend=@tokaido"}):
        assert len(managers["@tokaido"].list_resources("?*")) == 1
        instrument: Any = managers["@tokaido"].open_resource(address, read_termination="\n", write_termination="\n")
        assert instrument.query("*IDN?") == IDENTITY
        assert instrument.timeout == 2000
        assert instrument.resource_name.upper().startswith(address.split("::", maxsplit=1)[0][:4])
        instrument.clear()
        instrument.close()
    assert managers["@tokaido"].list_resources("?*") == ()
    with pytest.raises(pyvisa.VisaIOError):
        managers["@tokaido"].open_resource(address)


def test_a_query_lets_time_pass_once(
    open_visa: Callable[[InstrumentEmulator], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with launch_voa("visa") as voa:
        instrument = open_visa(voa)
        passed: list[int] = []
        advance = voa.model.advance

        def note(to_ns: int) -> None:
            passed.append(to_ns)
            advance(to_ns)

        monkeypatch.setattr(voa.model, "advance", note)
        assert instrument.query("*IDN?") == IDENTITY
        assert len(passed) == 1


def test_a_timeout_takes_no_time_on_a_clock_that_jumps(open_visa: Callable[[InstrumentEmulator], Any]) -> None:
    clock = JumpingClock()
    with launch_voa("visa", clock=clock) as voa:
        instrument = open_visa(voa)
        instrument.timeout = 3_600_000
        began = time.monotonic()
        instrument.write("INP:ATT 5;*OPC?")
        assert instrument.read() == "1"
        assert clock.now_ns < 30_000_000
        instrument.timeout = 5000
        with pytest.raises(pyvisa.VisaIOError) as error:
            instrument.read()
        assert error.value.error_code == StatusCode.error_timeout
        assert in_time(began, 0.5)
        assert clock.now_ns > 5e9
        instrument.clear()
        with pytest.raises(pyvisa.VisaIOError):
            instrument.read()
        assert instrument.query("SYST:ERR?") == '-420,"Query UNTERMINATED"'


@pytest.mark.parametrize("direction", ["to_unit", "from_unit"])
def test_a_device_that_hangs_is_looked_at_seldom(direction: Any) -> None:
    """What it was told, or has said, is due all the while; nobody asks for it a million times a second."""
    clock = JumpingClock()
    looks: list[float] = []
    wait = clock.wait

    def note(seconds: float, event: threading.Event | None = None) -> bool:
        looks.append(seconds)
        return wait(seconds, event)

    clock.wait = note  # type: ignore[method-assign]
    with launch_voa("emu", clock=clock) as voa, open_serial(voa) as line:
        voa.faults.add("hang", direction=direction, count=1, seconds=1)
        line.timeout = 0.4
        line.write(b"*IDN?\n*IDN?\n")
        assert line.read(1) == b""
        line.timeout = 5
        assert line.read_until(b"\n") == IDENTITY.encode() + b"\n"
        assert 1 <= clock.now_ns / 1e9 < 1.1
        assert len(looks) < 300


def test_service_requests_serial_polls_and_triggers_within_the_process(
    open_visa: Callable[[InstrumentEmulator], Any],
) -> None:
    with launch_voa("visa") as voa:
        instrument = open_visa(voa)
        instrument.write("*CLS;*ESE 1;*SRE 32")
        instrument.enable_event(EventType.service_request, EventMechanism.queue)
        instrument.write("INP:ATT 5;*OPC")
        assert instrument.wait_on_event(EventType.service_request, 1000).event.event_type == EventType.service_request
        assert (instrument.read_stb(), instrument.read_stb()) == (32 | 64, 32)
        with pytest.raises(pyvisa.VisaIOError):
            instrument.wait_on_event(EventType.service_request, 20)
        instrument.write("*CLS;INP:ATT 6;*OPC")
        instrument.wait_on_event(EventType.service_request, 1000)
        instrument.disable_event(EventType.service_request, EventMechanism.queue)
        instrument.write("*IDN?")
        assert instrument.read_stb() & 0x10
        instrument.assert_trigger()
        assert voa.model.triggers == 1  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
        instrument.clear()
        assert not instrument.read_stb() & 0x10


def test_an_unplugged_instrument_has_lost_its_connection(open_visa: Callable[[InstrumentEmulator], Any]) -> None:
    with launch_voa("visa") as voa:
        instrument = open_visa(voa)
        voa.unplug()
        for call in (lambda: instrument.write("*IDN?"), instrument.read, instrument.read_stb, instrument.clear):
            with pytest.raises(pyvisa.VisaIOError) as error:
                call()
            assert error.value.error_code == StatusCode.error_connection_lost
        voa.replug()
        with pytest.raises(pyvisa.VisaIOError):  # the old session stays lost
            instrument.write("*IDN?")
        assert open_visa(voa).query("*IDN?") == IDENTITY


def test_threads_share_an_instrument_within_the_process(open_visa: Callable[[InstrumentEmulator], Any]) -> None:
    with launch_voa("visa") as voa:
        instruments = [open_visa(voa) for _ in range(4)]
        done = []

        def work(instrument: Any) -> None:
            for _ in range(300):
                instrument.write("*CLS")
            done.append(instrument)

        threads = [threading.Thread(target=work, args=(instrument,)) for instrument in instruments]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(done) == 4
        assert instruments[0].query("SYST:ERR?") == '0,"No error"'


# --- emu:// ---------------------------------------------------------------------------------------------------------


def test_an_emulated_port_has_the_semantics_of_pyserial() -> None:
    with launch_voa("emu") as voa, open_serial(voa) as line:
        line.baudrate, line.parity, line.bytesize, line.rts, line.dtr = 9600, "E", 7, True, False
        assert (line.cts, line.dsr, line.cd, line.ri) == (True, True, True, False)
        line.timeout = 0
        assert line.read(10) == b""
        line.timeout = 0.05
        began = time.monotonic()
        assert line.read(10) == b""
        assert time.monotonic() - began > 0.04
        assert in_time(began, 0.5)
        assert line.write(bytearray(b"SYST:VERS?\n")) == 11
        assert line.in_waiting == 7
        assert line.read(4) == b"1999"
        line.reset_input_buffer()
        line.reset_output_buffer()
        line.flush()
        line.send_break(0)
        assert (line.in_waiting, line.out_waiting) == (0, 0)
        line.timeout = None
        line.write(b"INP:ATT 5;*OPC?\n")
        assert line.read(2) == b"1\n"
        with pytest.raises(serial.SerialException):
            line.open()
        line.write(b"*IDN?\n")
        with open_serial(voa) as other:  # opening throws away what waits, as on a terminal
            assert other.in_waiting == 0
    with pytest.raises(serial.SerialException):
        line.read()
    with pytest.raises(serial.SerialException):
        serial.serial_for_url("emu://nowhere")


def test_a_waiting_read_ends_when_it_is_cancelled_or_the_port_is_closed() -> None:
    with launch_voa("emu") as voa:
        for end in ("cancel_read", "close"):
            line = open_serial(voa)
            line.timeout = 10
            threading.Timer(0.05, getattr(line, end)).start()
            began = time.monotonic()
            assert line.read(1) == b""
            assert in_time(began, 1)
            line.close()


def test_an_unplugged_port_fails_and_comes_back() -> None:
    with launch_voa("emu") as voa:
        line = open_serial(voa)
        threading.Timer(0.05, voa.unplug).start()
        with pytest.raises(serial.SerialException, match="disconnected"):
            line.read(1)
        with pytest.raises(serial.SerialException):
            line.write(b"x")
        with pytest.raises(OSError, match="Input/output"):
            _ = line.in_waiting
        with pytest.raises(serial.SerialException):
            open_serial(voa)
        voa.replug()
        assert ask(voa, "*IDN?") == IDENTITY
        with pytest.raises(serial.SerialException):  # the old handle keeps failing
            line.read(1)
        line.close()


# --- pace -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("baud", "characters"), [(9600, 240), (115200, 4000)])
def test_a_paced_terminal_takes_the_time_of_its_baud_rate(baud: int, characters: int) -> None:
    with launch_voa("pty", pace_baud=baud) as voa, open_serial(voa) as line:
        line.timeout = 5
        question = b"DIAG:TRAC? %d\n" % characters
        began = time.monotonic()
        line.write(question)
        reply = line.read(characters + 1)
        took = time.monotonic() - began
        expected = (len(question) + characters + 1) * 10 / baud
        assert reply == b"x" * characters + b"\n"
        assert expected * 0.99 <= took
        assert in_time(began, expected * 1.05 + 0.02)


def test_a_paced_terminal_trickles() -> None:
    with launch_voa("pty", pace_baud=9600) as voa, open_serial(voa) as line:
        line.write(b"DIAG:TRAC? 200\n")
        line.timeout = 0.1
        assert 1 < len(line.read(201)) < 201


def test_a_paced_port_within_the_process_takes_the_time_of_its_baud_rate() -> None:
    clock = JumpingClock()
    with launch_voa("emu", pace_baud=9600, clock=clock) as voa, open_serial(voa) as line:
        line.timeout = 10
        line.write(b"DIAG:TRAC? 1000\n")
        assert len(line.read(1001)) == 1001
        assert clock.now_ns / 1e9 == pytest.approx((16 + 1001) * 10 / 9600, rel=0.02)
