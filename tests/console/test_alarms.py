"""Alarms at the shell: shown for a device or a station, followed, and acknowledged by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tokaido.console import main
from tokaido.emulators import launch

from .conftest import Plug, TablePeer

Capture = pytest.CaptureFixture[str]
HELD = "000007;QBER_ABORT,CRITICAL,12.5,1;TAMPER,CRITICAL,3,1;LOS,MAJOR,2,0"


class Turns(dict[str, str]):
    """A table whose alarms are others each time that they are asked for; the last ones stay."""

    def __init__(self, table: dict[str, str], *alarms: str, before: Callable[[], object] = int) -> None:
        super().__init__(table)
        self._alarms = list(alarms)
        self._before = before

    def __getitem__(self, name: str) -> str:
        if name != "ALM":
            return super().__getitem__(name)
        self._before()
        return self._alarms.pop(0) if len(self._alarms) > 1 else self._alarms[0]


@pytest.fixture
def lab(plug: Plug, tmp_path: Path) -> tuple[str, TablePeer, TablePeer]:
    alice, bob = plug("T12-TX"), plug("T12-RX")
    alice.table["ALM"] = bob.table["ALM"] = "000000"
    file = tmp_path / "lab.toml"
    file.write_text(
        f'[devices.alice]\ndriver = "toshiba.transmitter"\ncontrol = "serial:{alice.port}"\ntimeout = 0.3\n'
        f'[devices.bob]\ndriver = "toshiba.receiver"\ncontrol = "serial:{bob.port}"\ntimeout = 0.3\n'
    )
    return str(file), alice, bob


def test_alarms_of_a_device_and_of_a_station_are_shown(lab: tuple[str, TablePeer, TablePeer], capsys: Capture) -> None:
    station, _, bob = lab
    assert main(["alarms", station]) == 0
    assert capsys.readouterr().out == "no alarms\n"
    bob.table["ALM"] = HELD
    assert main(["alarms", station]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "bob\tQBER_ABORT\tCRITICAL\tlatched\t12.5 s",
        "bob\tTAMPER\tCRITICAL\tlatched\t3 s",
        "bob\tLOS\tMAJOR\t\t2 s",
    ]
    assert main(["alarms", f"{station}#bob", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["not_asked"] == {}
    assert found["alarms"][2] == {
        "device": "bob",
        "alarm": "LOS",
        "severity": "MAJOR",
        "latched": False,
        "age_s": 2.0,
    }


def test_a_device_that_does_not_answer_hides_no_other(lab: tuple[str, TablePeer, TablePeer], capsys: Capture) -> None:
    station, alice, bob = lab
    alice.answering = False
    bob.table["ALM"] = "000001;LOS,MAJOR,2,0"
    assert main(["alarms", station]) == 1
    shown = capsys.readouterr()
    assert shown.out == "bob\tLOS\tMAJOR\t\t2 s\n"
    assert "device alice" in shown.err
    assert main(["alarms", station, "--json"]) == 1
    shown = capsys.readouterr()
    assert list(json.loads(shown.out)["not_asked"]) == ["alice"]
    assert json.loads(shown.err)["error"]["device"] == "alice"


def test_an_amplifier_has_alarms_and_a_power_meter_has_none(capsys: Capture) -> None:
    with launch("fiberlabs.amplifier", wire_end="pty") as box:
        assert main(["alarms", f"fiberlabs.amplifier@{box.resources['control']}", "--json"]) == 0
        (alarm,) = json.loads(capsys.readouterr().out)["alarms"]  # it stands in the dark
        assert (alarm["alarm"], alarm["text"]) == ("INPUT_LOST", "no light at the input")
    with launch("thorlabs.pm100", wire_end="pty") as box:
        assert main(["alarms", f"thorlabs.pm100@{box.resources['control']}"]) == 2
        assert "whose role tells no alarms" in capsys.readouterr().err


def test_what_is_raised_and_cleared_is_followed(lab: tuple[str, TablePeer, TablePeer], capsys: Capture) -> None:
    station, alice, _ = lab
    los = "000001;LOS,MAJOR,0,0"
    alice.table = Turns(alice.table, "000000", los, los, "000002;TAMPER,CRITICAL,0,1", "000003")
    assert main(["alarms", station, "--follow", "--interval", "0.05", "--seconds", "0.9", "--json"]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["device"], line["event"], line["alarm"], line["severity"]) for line in told] == [
        ("alice", "raised", "LOS", "MAJOR"),
        ("alice", "raised", "TAMPER", "CRITICAL"),
        ("alice", "cleared", "LOS", "MAJOR"),
        ("alice", "cleared", "TAMPER", "CRITICAL"),
    ]


def test_an_alarm_that_came_and_went_between_two_looks_is_followed_too(
    lab: tuple[str, TablePeer, TablePeer], capsys: Capture
) -> None:
    station, _, bob = lab
    changes = iter(["RAISED TAMPER CRITICAL the cover was opened", "CLEARED TAMPER CRITICAL the cover was opened"])
    bob.table = Turns(bob.table, "000000", before=lambda: any(map(bob.announce, changes)))
    assert main(["alarms", f"{station}#bob", "-f", "--interval", "0.05", "--seconds", "0.5"]) == 0
    told = [line.split("\t")[1:] for line in capsys.readouterr().out.splitlines()]
    assert told == [
        ["bob", "raised", "TAMPER", "CRITICAL", "the cover was opened"],
        ["bob", "cleared", "TAMPER", "CRITICAL", "the cover was opened"],
    ]


def test_a_unit_that_falls_silent_is_reported_once_and_asked_again(
    lab: tuple[str, TablePeer, TablePeer], capsys: Capture
) -> None:
    station, alice, _ = lab
    alice.answering = False
    assert main(["alarms", station, "-f", "--interval", "0.05", "--seconds", "1"]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("error:") == 1


# --- ack --------------------------------------------------------------------------------------------------------------


def test_latched_alarms_are_acknowledged_by_name(lab: tuple[str, TablePeer, TablePeer], capsys: Capture) -> None:
    station, _, bob = lab
    bob.table = Turns({**bob.table, "STAT": "SECURITY_HOLD"}, HELD, "000008;LOS,MAJOR,2,0")
    assert main(["ack", f"{station}#bob", "QBER_ABORT", "TAMPER", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "state": "SECURITY_HOLD",
        "cleared": ["QBER_ABORT", "TAMPER"],
        "alarms": [{"alarm": "LOS", "severity": "MAJOR", "latched": False, "age_s": 2.0}],
    }
    assert bob.orders == ["SEC ACK"]


def test_a_fault_is_cleared_by_the_order_for_faults(lab: tuple[str, TablePeer, TablePeer], capsys: Capture) -> None:
    station, alice, _ = lab
    alice.table |= {"STAT": "FAULT", "ALM": "000002;LASER_POWER,MAJOR,9,1"}
    assert main(["ack", f"{station}#alice", "--all"]) == 0
    assert alice.orders == ["FLT CLR"]
    assert capsys.readouterr().out.splitlines() == ["state\tFAULT", "alice\tLASER_POWER\tMAJOR\tlatched\t9 s"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "Name them, or give --all"),
        (["TAMPER", "--all"], "Name them, or give --all"),
        (["LOS"], "no latched alarm LOS. Latched are: QBER_ABORT, TAMPER"),
        (["TAMPER"], "clears its latched alarms together, and QBER_ABORT is not named"),
    ],
)
def test_nothing_is_acknowledged_unseen(
    words: list[str], says: str, lab: tuple[str, TablePeer, TablePeer], capsys: Capture
) -> None:
    station, _, bob = lab
    bob.table["ALM"] = HELD
    assert main(["ack", f"{station}#bob", *words]) == 2
    assert says in capsys.readouterr().err
    assert bob.orders == []
