"""The commands that order something, against an emulated station: two sites, a switch at each, two fibres."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import tokaido.hal as hal
from tokaido.console import main
from tokaido.emulators import bench_from_station
from tokaido_testing.ports import free_port

Capture = pytest.CaptureFixture[str]
EXAMPLE = Path(__file__).parents[2] / "examples" / "two_paths.toml"
INTERLOCK = """
[interlocks.classical]
switch = "east"
classical_inputs = [3]
single_photon_outputs = { 1 = "bob" }
"""


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[str]:
    text = EXAMPLE.read_text(encoding="utf-8").replace("/tmp/tokaido-two-paths", str(tmp_path / "dev"))
    for port in ("5025", "4880", "5570", "5571"):
        assert port in text
        text = text.replace(port, str(free_port()))
    file = tmp_path / "lab.toml"
    file.write_text(text.replace("speed = 10", "speed = 40") + INTERLOCK, encoding="utf-8")
    with bench_from_station(hal.Station.from_file(file)) as bench:
        bench.start()
        yield str(file)


def test_a_switch_is_read_connected_and_disconnected_at_the_shell(lab: str, capsys: Capture) -> None:
    west = f"{lab}#west"
    assert main(["read", west]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "map\tempty"
    assert main(["connect", west, "1", "2"]) == 0
    assert main(["connect", west, "3", "4", "--json"]) == 0
    plain, _, as_json = capsys.readouterr().out.partition("\n")
    assert plain == "in 1\tout 2"
    assert json.loads(as_json) == {"connections": {"1": 2, "3": 4}}
    assert main(["read", west, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["connections"] == {"1": 2, "3": 4}
    assert main(["monitor", west, "--count", "1"]) == 0
    assert capsys.readouterr().out.strip().endswith("map=1:2,3:4")
    assert main(["connect", west, "1", "3"]) == 1
    assert "input 1 is joined to output 2; nothing was sent" in capsys.readouterr().err
    assert main(["disconnect", west, "1"]) == 0
    assert capsys.readouterr().out == "in 3\tout 4\n"
    assert main(["disconnect", west, "--all"]) == 0
    assert capsys.readouterr().out == "map\tempty\n"


def test_an_order_that_cannot_be_given_says_why(lab: str, capsys: Capture) -> None:
    for order, says in (
        ("connect west 1 9", "there is no output 9"),
        ("connect west -1 1", "there is no input -1"),
        ("disconnect west", "Give inputs, or --all"),
        ("disconnect west 1 --all", "Give inputs, or --all"),
        ("connect alice 1 1", "alice is a Transmitter, and not a OpticalSwitch"),
        ("start west", "west is a MatrixSwitch, and not a Unit"),
        ("start nobody", "has no device 'nobody'"),
        ("move field C", "It has A, B"),
        ("move meadow A", "It has field"),
    ):
        verb, name, *rest = order.split()
        assert main([verb, f"{lab}#{name}", *rest]) in (1, 2)
        assert says in capsys.readouterr().err


def test_an_interlock_of_the_station_holds_at_the_shell(lab: str, capsys: Capture) -> None:
    with hal.Station.from_file(lab) as station:
        station.on_exit = "keep"
        station.device("bob", hal.Receiver).shutter = hal.Shutter.OPEN
        assert main(["connect", f"{lab}#east", "3", "1"]) == 1
        assert "classical" in capsys.readouterr().err
        assert station.device("east", hal.OpticalSwitch).connections() == {}
        assert main(["connect", f"{lab}#east", "3", "1", "--force", "the laser is unplugged"]) == 0


def test_a_receiver_is_not_opened_at_the_shell_onto_light_that_is_joined(lab: str, capsys: Capture) -> None:
    """Neither by hand nor by an order that ends with an open shutter, unless a reason is given."""
    bob = f"{lab}#bob"
    assert main(["connect", f"{lab}#east", "3", "1", "--force", "bob opens by himself once his peer is there"]) == 0
    for order in (["set", bob, "shutter", "OPEN"], ["start", f"{lab}#field"], ["align", f"{lab}#field"]):
        assert main(order) == 1
        assert "input 3 may carry classical light and is joined to output 1" in capsys.readouterr().err
    assert main(["read", bob, "shutter"]) == 0
    assert "CLOSED" in capsys.readouterr().out
    assert main(["move", f"{lab}#field", "A"]) == 1
    assert "move opens the shutter" in capsys.readouterr().err
    assert main(["set", bob, "shutter", "OPEN", "--force", "the laser is unplugged"]) == 0
    assert main(["align", bob, "--wait", "0", "--force", "the laser is unplugged"]) == 1
    assert "ALN START is allowed in STANDBY" in capsys.readouterr().err  # the interlock let the order through
    assert main(["set", f"{lab}#alice", "attenuation", "30", "--force", "no receiver"]) == 0


def test_a_link_is_moved_stopped_aligned_and_started_at_the_shell(lab: str, capsys: Capture) -> None:
    field = f"{lab}#field"
    assert main(["link", "status", field]) == 0
    assert capsys.readouterr().out.startswith("field\tPENDING\tpath none\talice ")
    assert main(["link", "move", field, "A", "--no-start"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[:3] == ["check", "prepare", "fence"]
    assert said[-1].startswith("link field from no path to A, fencing token ")
    assert main(["start", field]) == 0
    assert capsys.readouterr().out == "alice\tRUN\nbob\tRUN\n"
    assert main(["link", "status", field, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "link": "field",
        "path": "A",
        "status": "ACTIVE",
        "states": {"alice": "RUN", "bob": "RUN"},
    }
    assert main(["move", field, "B", "--json"]) == 0  # as it was called before
    found = json.loads(capsys.readouterr().out)
    assert (found["from"], found["to"], found["steps"][-1]["step"]) == ("A", "B", "start")
    assert main(["stop", f"{lab}#alice", f"{lab}#bob", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"alice": "STANDBY", "bob": "STANDBY"}
    assert main(["align", field]) == 0
    assert capsys.readouterr().out == "alice\tSTANDBY\nbob\tSTANDBY\n"
    assert main(["start", f"{lab}#alice", "--wait", "0"]) == 0
    assert capsys.readouterr().out.startswith("alice\t")
