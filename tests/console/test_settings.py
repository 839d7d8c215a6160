"""Settings at the shell: saved to a file, compared with it, and restored when told to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tokaido.console import main

from .conftest import Plug, TablePeer

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def lab(plug: Plug, tmp_path: Path) -> tuple[str, TablePeer, TablePeer]:
    """A station file with both units, and the units."""
    alice, bob = plug("T12-TX"), plug("T12-RX")
    file = tmp_path / "lab.toml"
    file.write_text(
        '[station]\non_exit = "safe"\n'
        f'[devices.alice]\ndriver = "toshiba.transmitter"\ncontrol = "serial:{alice.port}"\n'
        f'[devices.bob]\ndriver = "toshiba.receiver"\ncontrol = "serial:{bob.port}"\n'
    )
    return str(file), alice, bob


def test_settings_are_saved_compared_shown_and_restored(
    lab: tuple[str, TablePeer, TablePeer], tmp_path: Path, capsys: Capture
) -> None:
    station, alice, bob = lab
    file = str(tmp_path / "saved.toml")
    assert main(["settings", "save", station, "-o", file]) == 0
    assert capsys.readouterr().out.splitlines() == [f"{file}: 9 settings of alice", f"{file}: 9 settings of bob"]
    assert main(["settings", "diff", station, file]) == 0
    assert capsys.readouterr().out == ""
    alice.table |= {"VOA:ATT": "12.5", "MU:SIG": "0.6"}
    bob.table["SHT"] = "CLOSED"
    assert main(["settings", "diff", station, file]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "alice\tattenuation\t12.5 dB\t35 dB",
        "alice\tsignal_mean_photon_number\t0.6 photon/pulse\t0.5 photon/pulse",
        "bob\tshutter\tCLOSED\tOPEN",
    ]
    assert main(["settings", "restore", station, file]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "alice\tattenuation\t12.5 dB\t35 dB"
    assert shown[-1] == "nothing was sent: this is what --yes would set, in this order"
    assert alice.orders == bob.orders == []
    assert main(["settings", "restore", station, file, "--yes"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "alice attenuation: 12.5 dB -> 35 dB",
        "alice signal_mean_photon_number: 0.6 photon/pulse -> 0.5 photon/pulse",
        "bob shutter: CLOSED -> OPEN",
        "3 restored and read back",
    ]
    assert (alice.orders, bob.orders) == (["VOA:ATT 35", "MU:SIG 0.5"], ["SHT OPEN"])  # and no SAFE
    assert main(["settings", "restore", station, file, "-y"]) == 0
    assert capsys.readouterr().out == "everything is as it was saved\n"


def test_one_device_of_a_station_is_restored_from_the_file_of_all(
    lab: tuple[str, TablePeer, TablePeer], tmp_path: Path, capsys: Capture
) -> None:
    station, alice, bob = lab
    file = str(tmp_path / "saved.toml")
    assert main(["settings", "save", station, "-o", file]) == 0
    alice.table["VOA:ATT"], bob.table["BLK"] = "12.5", "1000000"
    capsys.readouterr()
    assert main(["settings", "restore", f"{station}#bob", file, "--yes", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "restored": True,
        "changes": [
            {
                "device": "bob",
                "setting": "block_bits",
                "now": 1000000,
                "saved": 10000000,
                "unit": "bit",
                "hindrance": "",
            }
        ],
    }
    assert (alice.orders, bob.orders) == ([], ["BLK 10000000"])
    assert main(["settings", "restore", f"toshiba.transmitter@serial:{bob.port}", file]) == 1


def test_settings_go_to_the_output_without_a_file(lab: tuple[str, TablePeer, TablePeer], capsys: Capture) -> None:
    assert main(["settings", "save", f"{lab[0]}#alice"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["[devices.alice]", 'driver = "toshiba.transmitter"']
    assert "attenuation = 35.0  # dB" in lines
    assert main(["settings", "save", f"{lab[0]}#alice", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["devices"]["alice"]["settings"]["attenuation"] == 35


def test_a_unit_that_runs_is_left_alone_and_so_is_another_unit(
    lab: tuple[str, TablePeer, TablePeer], tmp_path: Path, capsys: Capture
) -> None:
    station, alice, _ = lab
    file = tmp_path / "saved.toml"
    assert main(["settings", "save", f"{station}#alice", "-o", str(file)]) == 0
    alice.table |= {"VOA:ATT": "12.5", "STAT": "RUN"}
    capsys.readouterr()
    assert main(["settings", "restore", f"{station}#alice", str(file)]) == 1
    why = "alice is in RUN, and it can be set in OFF, WARMUP, AUTH, STANDBY"
    assert f"not now: {why}" in capsys.readouterr().out.splitlines()
    assert main(["settings", "restore", f"{station}#alice", str(file), "--yes"]) == 1
    assert f"{why}; nothing was sent" in capsys.readouterr().err
    alice.table["STAT"] = "STANDBY"
    file.write_text(file.read_text().replace("TKTX0001", "TKTX0002"))
    assert main(["settings", "restore", f"{station}#alice", str(file), "--yes"]) == 2
    assert "those of serial number TKTX0002, and its serial number is TKTX0001" in capsys.readouterr().err
    assert alice.orders == []
    assert main(["settings", "restore", f"{station}#alice", str(file), "--yes", "--other-device"]) == 0
    assert alice.orders == ["VOA:ATT 35"]
