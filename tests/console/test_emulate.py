"""`tokaido emulate`: the devices of a station file, at exactly its resources, or every mistake at once."""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import tokaido.hal as hal
from tokaido.console import main
from tokaido_testing.ports import free_port

Capture = pytest.CaptureFixture[str]
EXAMPLE = Path(__file__).parents[2] / "examples" / "link.toml"


@pytest.fixture
def station(tmp_path: Path) -> Path:
    """The example, at places of this test's own."""
    text = EXAMPLE.read_text(encoding="utf-8").replace("/tmp/tokaido-link", str(tmp_path / "dev"))
    for port in ("5560", "5561"):
        text = text.replace(f":{port}?", f":{free_port()}?")
    path = tmp_path / "link.toml"
    path.write_text(text, encoding="utf-8")
    return path


@contextmanager
def emulated(station: Path, scratch: Path, *others: Path) -> Iterator[subprocess.Popen[str]]:
    """Run `tokaido emulate` until it serves, and end it as a service manager would."""
    scratch.mkdir(exist_ok=True)
    code = "import sys; from tokaido.console import main; sys.exit(main())"
    with subprocess.Popen(
        [sys.executable, "-c", code, "emulate", str(station), *map(str, others), "--seconds", "50"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "TMPDIR": str(scratch)},
    ) as process:
        assert process.stdout is not None
        said: list[str] = []
        while not (line := process.stdout.readline()).startswith("Ctrl-C"):
            said.append(line)
            assert line, "".join(said)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=20) == 0
            assert "Traceback" not in process.stdout.read()


def test_the_example_is_served_where_it_says_and_nothing_is_left_behind(
    station: Path, tmp_path: Path, capsys: Capture
) -> None:
    with emulated(station, tmp_path / "scratch"):
        assert main(["identify", f"{station}#bob", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["serial_number"] == "TKRX0001"
        with hal.Station.from_file(station) as lab:
            alice, bob = lab.device("alice", hal.Transmitter), lab.device("bob", hal.Receiver)
            for unit in (alice, bob):
                assert unit.preshared_key_loaded()
                unit.wait_for(hal.UnitState.STANDBY, timeout=20)
            assert list(alice.key_blocks(0.1)) == []  # over the key channel, with the keys that were made
            assert bob.channel_loss == pytest.approx(14.5, abs=0.5)
        assert main(["emulate", str(station)]) == 2  # the places are taken
        assert "another emulation may run" in capsys.readouterr().err
    assert (tmp_path / "keys" / "bob.key_secret").stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / "dev").exists()
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_terminal_that_is_closed_ends_it_as_ctrl_c_does(station: Path, tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    master, slave = pty.openpty()
    code = (
        "import fcntl, signal, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
        "signal.signal(signal.SIGHUP, signal.SIG_DFL);"  # nohup may have started us
        "from tokaido.console import main; sys.exit(main())"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, "emulate", str(station), "--seconds", "50"],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        env={**os.environ, "TMPDIR": str(tmp_path / "scratch")},
    ) as process:
        os.close(slave)
        with open(master, "rb", closefd=False) as screen:
            while b"Ctrl-C" not in (line := screen.readline()):
                assert line
        assert (tmp_path / "dev" / "alice").is_symlink()
        os.close(master)
        assert process.wait(timeout=20) == 0
    assert not (tmp_path / "dev").exists()
    assert list((tmp_path / "scratch").iterdir()) == []


def test_links_of_an_emulation_that_was_killed_do_not_stop_the_next_one(
    station: Path, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "alice").symlink_to("/dev/pts/1000000")  # which is gone
    assert main(["emulate", str(station), "--seconds", "0"]) == 0
    assert list((tmp_path / "dev").iterdir()) == []
    (tmp_path / "dev" / "alice").symlink_to(tmp_path / "elsewhere")  # not an emulation's
    assert main(["emulate", str(station), "--seconds", "0"]) == 2
    assert "alice is there already" in capsys.readouterr().err


def test_the_seed_is_told_and_an_option_overrules_that_of_the_file(station: Path, capsys: Capture) -> None:
    assert main(["emulate", str(station), "--seconds", "0", "--seed", "77"]) == 0
    assert "seed of light and noise: 77; --seed 77 repeats it" in capsys.readouterr().out
    station.write_text(station.read_text(encoding="utf-8").replace("seed = 1", ""), encoding="utf-8")
    told: set[str] = set()
    for _ in range(2):
        assert main(["emulate", str(station), "--seconds", "0"]) == 0
        told |= {line for line in capsys.readouterr().out.splitlines() if line.startswith("seed of light and noise: ")}
    assert len(told) == 2


def test_the_same_keys_serve_again_and_a_taken_port_is_an_error(station: Path, tmp_path: Path, capsys: Capture) -> None:
    with emulated(station, tmp_path / "scratch"):
        pass
    before = {file.name: file.read_text() for file in (tmp_path / "keys").iterdir()}
    assert main(["emulate", str(station), "--seconds", "0"]) == 0
    assert {file.name: file.read_text() for file in (tmp_path / "keys").iterdir()} == before
    shown = capsys.readouterr()
    assert f"serial:{tmp_path}/dev/alice" in shown.out
    assert not any(line in shown.out for text in before.values() for line in text.splitlines() if "-key =" in line)
    endpoint = hal.Station.from_file(station).devices["bob"].resources["keys"].address
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", int(endpoint.rpartition(":")[2])))
        taken.listen()
        assert main(["emulate", str(station), "--seconds", "0"]) == 2
    assert f"{endpoint} cannot be bound" in capsys.readouterr().err
    assert not (tmp_path / "dev").exists()


def test_a_device_without_a_link_is_served_alone(tmp_path: Path, capsys: Capture) -> None:
    station = tmp_path / "one.toml"
    station.write_text(
        f'[devices.unit]\ndriver = "toshiba.receiver"\ncontrol = "serial:{tmp_path}/unit"\n'
        f'keys = "zmq:tcp://127.0.0.1:{free_port()}?server_key_file=u.key&client_key_file=h.key_secret"\n'
        '[devices.unit.emulator]\nserial_number = "RX-7"\n'
        '[devices.real]\ndriver = "toshiba.receiver"\ncontrol = "serial:/dev/qkd/REAL"\n'
    )
    with emulated(station, tmp_path / "scratch"):
        assert main(["read", f"{station}#unit", "state"]) == 0
        assert capsys.readouterr().out == "state\tOFF\n"
        assert main(["identify", f"{station}#unit", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["serial_number"] == "RX-7"


def test_every_mistake_is_told_at_once(station: Path, capsys: Capture) -> None:
    text = station.read_text(encoding="utf-8")
    for right, wrong in (
        ("speed = 10 ", 'speed = "fast" '),
        ("seed = 1      #", "sead = 1      #"),
        ("length_km = 45\n", ""),
        ('settings = "short-block"', 'settings = "fast"'),
        ("bob.key&", "bob.pem&"),
    ):
        assert right in text
        text = text.replace(right, wrong, 1)
    station.write_text(text, encoding="utf-8")
    assert main(["emulate", str(station), "--seconds", "0"]) == 2
    said = capsys.readouterr().err
    for mistake in (
        "devices.alice.emulator.speed: must be a number of emulated s per s",
        "devices.alice.emulator.sead: unknown key; known are serial_number, warm, seed, speed",
        "links.field.emulator: length_km is missing",
        "links.field.emulator.settings: must be one of published, short-block",
        "devices.bob.keys: server_key_file should end in .key",
    ):
        assert mistake in said
    assert not (station.parent / "keys").exists()


def test_a_station_that_emulates_nothing_is_an_error(tmp_path: Path, capsys: Capture) -> None:
    station = tmp_path / "real.toml"
    station.write_text('[devices.real]\ndriver = "toshiba.receiver"\ncontrol = "serial:/dev/qkd/REAL"\n')
    assert main(["emulate", str(station)]) == 2
    assert "add a table [devices.NAME.emulator]" in capsys.readouterr().err


def test_units_of_one_link_live_in_one_time(station: Path, capsys: Capture) -> None:
    text = station.read_text(encoding="utf-8")
    head, _, tail = text.rpartition("speed = 10")
    station.write_text(f"{head}speed = 5{tail}", encoding="utf-8")
    assert main(["emulate", str(station)]) == 2
    assert "one speed between them, not 10 and 5" in capsys.readouterr().err
