"""`tokaido emulate`: events of the file are told, and a back door takes orders."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tokaido.console import main

STATION = """
[devices.west]
driver = "dicon.selector"
control = "serial:{folder}/dev/west"
[bench]
speed = 10
[bench.fibres.A]
length_km = 10
loss_db = 2
[[bench.events]]
at_s = 0.5
bend = "A"
loss_db = 1.5
"""


@pytest.fixture
def station(tmp_path: Path) -> Path:
    path = tmp_path / "station.toml"
    path.write_text(STATION.format(folder=tmp_path), encoding="utf-8")
    return path


@contextmanager
def emulated(station: Path, door: Path) -> Iterator[subprocess.Popen[str]]:
    code = "import sys; from tokaido.console import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "emulate", str(station), "--back-door", str(door), "--seconds", "50"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while not (line := process.stdout.readline()).startswith("Orders are taken here"):
            assert line
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=20) == 0


def ask(connection: socket.socket, order: bytes) -> str:
    connection.sendall(order)
    answer = b""
    while not answer.endswith(b"\n"):
        answer += connection.recv(4096)
    return answer.decode()


def test_a_client_that_takes_no_answers_loses_none_and_keeps_nobody_waiting(station: Path, tmp_path: Path) -> None:
    door, count = tmp_path / "door", 3000
    with emulated(station, door), socket.socket(socket.AF_UNIX) as mute, socket.socket(socket.AF_UNIX) as other:
        for connection in (mute, other):
            connection.settimeout(10)
            connection.connect(str(door))
        mute.sendall(b"time\n" * count + b"bend A 2\n")
        mute.shutdown(socket.SHUT_WR)
        for _ in range(5):
            assert ask(other, b"time\n").startswith("ok ")
        answers = b""
        while part := mute.recv(65_536):
            answers += part
        assert answers.count(b"ok ") == answers.count(b"\n") == count + 1
        assert answers.endswith(b" s\nok bend A 2\n")


def test_the_back_door_takes_orders_from_its_owner_alone_and_events_are_told(station: Path, tmp_path: Path) -> None:
    door = tmp_path / "door"
    with emulated(station, door) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "0.500 s: bend A 1.5\n"
        assert door.stat().st_mode & 0o777 == 0o600
        with socket.socket(socket.AF_UNIX) as one, socket.socket(socket.AF_UNIX) as other:
            one.settimeout(10)
            other.settimeout(10)
            one.connect(str(door))
            other.connect(str(door))
            assert ask(one, b"cut A\n") == "ok cut A\n"
            assert ask(other, b"cut B\n").startswith("error there is no fibre 'B'")
            assert ask(other, b"time\n").endswith(" s\n")
            assert ask(one, b"fault west drop\n") == "ok fault west drop\n"
    assert not door.exists()


def test_the_back_door_changes_how_fast_time_passes(station: Path, tmp_path: Path) -> None:
    door = tmp_path / "door"
    with emulated(station, door), socket.socket(socket.AF_UNIX) as one:
        one.settimeout(10)
        one.connect(str(door))
        assert ask(one, b"speed 1000\n") == "ok speed 1000\n"
        while float(ask(one, b"time\n").split()[1]) < 30:  # 3 s at the speed that the file says
            pass
        assert ask(one, b"speed\n").startswith("ok ")
        assert ask(one, b"speed 0.001\n") == "ok speed 0.001\n"
        before = float(ask(one, b"time\n").split()[1])
        assert float(ask(one, b"time\n").split()[1]) - before < 1
        assert ask(one, b"speed fast\n").startswith("error 'speed fast' is not an order")
        assert ask(one, b"speed 1001\n").startswith("error speed is 0 to 1000")


def test_a_place_that_is_taken_is_left_alone(station: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    door = tmp_path / "door"
    door.write_text("mine", encoding="ascii")
    assert main(["emulate", str(station), "--back-door", str(door), "--seconds", "0"]) == 2
    assert "cannot be made" in capsys.readouterr().err
    assert door.read_text(encoding="ascii") == "mine"


def test_a_socket_that_a_killed_process_left_is_replaced(station: Path, tmp_path: Path) -> None:
    door = tmp_path / "door"
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(door))
    left.close()
    assert main(["emulate", str(station), "--back-door", str(door), "--seconds", "0"]) == 0
    assert not door.exists()
