"""`tokaido serve` and `tokaido holders`, and what the other commands see through a server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

import tokaido.hal as hal
from tokaido.console import main
from tokaido.emulators import launch
from tokaido_testing.ports import free_port
from tokaido_testing.served import address, create_keys, served_link

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Capture = pytest.CaptureFixture[str]
STATION = """
[station]
name = "lab"
[devices.alice]
driver = "toshiba.transmitter"
control = "{control}"
[server]
endpoint = "tcp://127.0.0.1:{port}"
key_file = "server.key_secret"
lease_file = "holds.sqlite"
[server.clients.ann]
key_file = "ann.key"
role = "operator"
[server.clients.vic]
key_file = "vic.key"
role = "viewer"
"""
CLIENT = """
[devices.alice]
driver = "toshiba.transmitter"
control = "served:tcp://127.0.0.1:{port}?device=alice&server_key_file=server.key&client_key_file={who}.key_secret"
"""


@contextmanager
def served(station: Path) -> Iterator[None]:
    code = "import sys; from tokaido.console import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "serve", str(station), "--seconds", "50"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ) as run:
        assert run.stdout is not None
        said: list[str] = []
        while not (line := run.stdout.readline()).startswith("Ctrl-C"):
            said.append(line)
            assert line, "".join(said)
        try:
            yield
        finally:
            run.send_signal(signal.SIGTERM)
            rest, _ = run.communicate(timeout=20)
            assert "ended; the devices are as they were" in rest
            assert run.returncode == 0


def test_a_station_is_served_and_used_by_the_other_commands(tmp_path: Path, capsys: Capture) -> None:
    create_keys(tmp_path)
    port = free_port()
    station = tmp_path / "lab.toml"
    for who in ("ann", "vic"):
        (tmp_path / f"{who}.toml").write_text(CLIENT.format(port=port, who=who))
    with launch("toshiba.transmitter", serial_number="TKTX0001", warm=True) as unit:
        station.write_text(STATION.format(control=unit.resources["control"], port=port))
        with served(station):
            assert main(["identify", f"{tmp_path}/vic.toml#alice", "--json"]) == 0
            assert json.loads(capsys.readouterr().out)["serial_number"] == "TKTX0001"
            assert main(["set", f"{tmp_path}/vic.toml#alice", "attenuation", "5"]) == 1
            assert "vic is a viewer here" in capsys.readouterr().err
            assert main(["set", f"{tmp_path}/ann.toml#alice", "attenuation", "5"]) == 0
            capsys.readouterr()
            where = f"zmq:tcp://127.0.0.1:{port}?server_key_file={tmp_path}/server.key"
            assert main(["holders", f"{where}&client_key_file={tmp_path}/vic.key_secret", "--json"]) == 0
            told = json.loads(capsys.readouterr().out)
            assert told["devices"] == ["alice"]
            assert [(one["device"], one["name"]) for one in told["holders"]] == [("alice", "ann")]
            assert main(["holders", f"{where}&client_key_file={tmp_path}/vic.key_secret"]) == 0
            shown = capsys.readouterr().out
            assert shown.startswith("alice\ttoshiba.transmitter\tann (")
        with hal.Transmitter.open("toshiba.transmitter", control=unit.resources["control"]) as tx:
            assert tx.attenuation == 5.0  # the port is free again, and the device as it was


def test_every_mistake_in_the_table_is_told_at_once(tmp_path: Path, capsys: Capture) -> None:
    create_keys(tmp_path)
    station = tmp_path / "lab.toml"
    wrong = (
        STATION.format(control="serial:/dev/null", port=1)
        .replace("operator", "king")
        .replace('key_file = "vic', 'kee_file = "vic')
    )
    station.write_text(wrong.replace("tcp://", "udp://").replace("lease_file", "fresh_s = -1\nlees_file"))
    assert main(["serve", str(station)]) == 2
    told = capsys.readouterr().err
    for part in (
        "clients.ann.role",
        "clients.vic.kee_file",
        "clients.vic: key_file",
        "endpoint",
        "lees_file",
        "lease_file is",
        "fresh_s",
    ):
        assert part in told
    station.write_text("[devices.a]\ndriver = 'dicon.selector'\ncontrol = 'serial:/dev/null'\n")
    assert main(["serve", str(station)]) == 2
    assert "has no table [server]" in capsys.readouterr().err


def test_a_server_that_is_not_there_is_told(tmp_path: Path, capsys: Capture) -> None:
    create_keys(tmp_path)
    where = f"zmq:tcp://127.0.0.1:{free_port()}?server_key_file={tmp_path}/server.key"
    assert main(["holders", f"{where}&client_key_file={tmp_path}/ann.key_secret"]) == 1
    assert "nobody" in capsys.readouterr().err


def test_a_link_of_a_server_is_shown_and_moved_from_the_shell(tmp_path: Path, capsys: Capture) -> None:
    with served_link(tmp_path) as server:
        field = f"{address(server, tmp_path)}#field"
        assert main(["link", "move", field, "B", "--no-start", "--holder", "the night shift", "--json"]) == 0
        moved = json.loads(capsys.readouterr().out)
        assert (moved["link"], moved["from"], moved["to"]) == ("field", None, "B")
        assert main(["link", "status", f"{address(server, tmp_path, 'vic')}#field", "--json"]) == 0
        shown = json.loads(capsys.readouterr().out)
        assert (shown["path"], shown["states"]) == ("B", {"alice": "STANDBY", "bob": "STANDBY"})
        assert main(["link", "move", f"{address(server, tmp_path, 'vic')}#field", "A"]) != 0
        assert "may only look" in capsys.readouterr().err
        assert main(["read", f"{address(server, tmp_path, 'vic')}#alice", "laser_temperature"]) == 0
        assert main(["stop", field, "--wait", "0"]) != 0  # both units are asked: they stand by
        assert main(["link", "status", f"{address(server, tmp_path)}#fild"]) != 0
        assert "no link 'fild'" in capsys.readouterr().err
