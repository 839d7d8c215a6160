"""Wire ends with plain clients: terminals that vanish and come back, CURVE that lets in nobody else, no leaks."""

from __future__ import annotations

import json
import secrets
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import serial
import zmq

from tokaido.emulators import Emulator, launch
from tokaido.emulators.toshiba import TransmitterModel
from tokaido.hal import ConfigurationError, create_curve_keys
from tokaido.hal.transports import load_curve_public
from tokaido_testing.console import KeyClient, ask_port, open_port, seal
from tokaido_testing.patience import in_time

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def unit(tmp_path: Path) -> Iterator[Emulator]:
    with launch("toshiba.transmitter", warm=True, directory=tmp_path) as emulator:
        yield emulator


# --- launch ---------------------------------------------------------------------------------------------------------


def test_a_launched_unit_answers_on_both_ports_within_half_a_second() -> None:
    began = time.monotonic()
    with launch("toshiba.receiver", warm=True, serial_number="TKRX-77") as unit, KeyClient(unit) as keys:
        assert in_time(began, 0.5)
        hello = keys.ask("hello", protocol="TQK1")
        assert hello is not None
        assert (hello["serial_number"], hello["model"], hello["emulated"]) == ("TKRX-77", "T12-RX", True)
        with open_port(unit) as line:
            line.write(b"STAT?\r")
            assert b"AUTH" in line.read_until(b"> ")
    assert set(unit.resources) == {"control", "keys"}


def test_the_clock_drives_a_launched_unit_at_its_speed() -> None:
    with launch("toshiba.transmitter", speed=200.0) as unit, open_port(unit) as line:
        line.write(b"PWR ON\r")
        deadline = time.monotonic() + 5
        while unit.model.state != "AUTH" and time.monotonic() < deadline:  # type: ignore[attr-defined]
            time.sleep(0.02)
        assert unit.model.state == "AUTH"  # type: ignore[attr-defined]
        assert unit.model.now_ns > 30e9


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match=r"toshiba\.transmitter"):
        launch("toshiba.teapot")


def test_closing_leaves_nothing_behind() -> None:
    def footprint() -> tuple[int, int]:
        return len(list(Path("/proc/self/fd").iterdir())), threading.active_count()

    with launch("toshiba.transmitter"):  # modules loaded once stay
        pass
    before = footprint()
    for _ in range(3):
        unit = launch("toshiba.transmitter", warm=True)
        link = unit.control.link
        with open_port(unit) as line, KeyClient(unit) as keys:
            assert ask_port(line, "#000001 EMI?")
            assert keys.ask("status")
        unit.close()
        unit.close()
        assert not link.parent.exists()
    assert footprint() == before


def test_closing_erases_the_keys() -> None:
    with launch("toshiba.transmitter") as unit:
        model = unit.model
        assert isinstance(model, TransmitterModel)
        with unit.lock:
            model.load_psk(bytes(4096))
    assert model.links.pool is None


def test_a_directory_of_the_caller_is_left_as_it_was(tmp_path: Path) -> None:
    with launch("toshiba.transmitter", directory=tmp_path) as unit:
        assert unit.control.link.is_symlink()
        assert oct(unit.client_keys.secret.stat().st_mode)[-3:] == "600"
    assert list(tmp_path.iterdir()) == []


# --- the pseudo-terminal --------------------------------------------------------------------------------------------


def test_opening_and_closing_the_port_changes_nothing(unit: Emulator) -> None:
    for _ in range(5):
        with open_port(unit) as line:
            assert ask_port(line, "#000001 EMI?") == (seal("TKTX0001", "=000001 OK 0") + "\r\n").encode()


def test_a_pulled_plug_fails_the_client_and_a_new_port_comes_under_the_same_name(unit: Emulator) -> None:
    line = open_port(unit)
    link = unit.control.link
    unit.unplug()
    assert not link.is_symlink()
    with pytest.raises((OSError, serial.SerialException)):
        line.write(b"STAT?\r")
    unit.replug()
    unit.replug()
    assert link.is_symlink()
    with open_port(unit) as again:
        assert ask_port(again, "#000001 EMI?").startswith(b"=000001 OK")
    line.close()


def test_a_reader_who_never_reads_does_not_stop_the_unit(unit: Emulator) -> None:
    with open_port(unit) as line, KeyClient(unit) as keys:
        for _ in range(60):
            line.write(b"HELP\r")
            time.sleep(0.005)
        assert keys.ask("status")
        line.reset_input_buffer()


# --- CURVE ----------------------------------------------------------------------------------------------------------


def test_a_client_that_is_not_on_the_list_gets_no_answer(unit: Emulator, tmp_path: Path) -> None:
    stranger = create_curve_keys(tmp_path / "stranger", "stranger")
    with KeyClient(unit, secret=stranger.secret) as keys:
        assert keys.ask("status", timeout_s=0.4) is None
    with KeyClient(unit) as keys:
        assert keys.ask("status")


def test_a_client_with_the_wrong_server_key_gets_no_answer(unit: Emulator, tmp_path: Path) -> None:
    stranger = create_curve_keys(tmp_path / "stranger", "stranger")
    with KeyClient(unit, server=load_curve_public(stranger.public)) as keys:
        assert keys.ask("status", timeout_s=0.4) is None


def test_a_client_without_curve_gets_no_answer(unit: Emulator) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    plain = context.socket(zmq.DEALER)
    plain.linger = 0
    plain.connect(unit.keys.endpoint)
    plain.send_multipart([secrets.token_bytes(8), b'{"verb": "hello", "protocol": "TQK1"}'])
    assert not plain.poll(400)
    plain.close()
    context.term()


def test_a_frame_too_large_ends_only_its_own_connection(unit: Emulator) -> None:
    with KeyClient(unit) as greedy, KeyClient(unit) as modest:
        assert greedy.ask("status")
        greedy.socket.send_multipart([secrets.token_bytes(8), bytes(64 * 1024 * 1024 + 1)])
        assert modest.ask("status", timeout_s=5)


def test_a_draw_waits_on_the_wire_without_holding_others_up(unit: Emulator) -> None:
    with KeyClient(unit) as one, KeyClient(unit) as two:
        request = secrets.token_bytes(8)
        header = {"verb": "draw", "serial_number": "TKTX0001", "max": 1, "wait_ms": 500, "host": one.host}
        began = time.monotonic()
        one.socket.send_multipart([request, json.dumps(header).encode()])
        assert two.ask("status")
        assert in_time(began, 0.3)
        reply = json.loads(one.socket.recv_multipart()[1])
        assert reply["blocks"] == []
        assert time.monotonic() - began > 0.4
        assert in_time(began, 1.0)
        busy = two.ask("draw", max=1, wait_ms=0)
        assert busy is not None
        assert busy["code"] == "BUSY"


def test_the_link_is_replaced_in_one_step(unit: Emulator) -> None:
    seen: list[str] = []
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            try:
                seen.append(str(unit.control.link.readlink()))
            except FileNotFoundError:
                continue

    watcher = threading.Thread(target=look)
    watcher.start()
    for _ in range(5):
        unit.unplug()
        unit.replug()
    done.set()
    watcher.join()
    assert all(name.startswith("/dev/") for name in seen)
