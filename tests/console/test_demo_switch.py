"""`tokaido demo --scenario switch`: a fibre is cut, the link moves, and both ends hold the same keys over either."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import tokaido.hal as hal
from tokaido.console import main
from tokaido.console._demo_failover import MEANING
from tokaido.console._demo_switch import station_text
from tokaido.emulators.demonstrations import demonstration

from .test_demo import FIELDS
from .test_devices import on_a_terminal

STEPS = ["detect", "check", "prepare", "fence", "switch", "verify", "light", "align", "start", "block"]


SHORT = """
from tokaido.console import _demo_failover, _demo_switch
for module in (_demo_switch, _demo_failover):
    module.BLOCK_BITS = 500_000
_demo_switch.BLOCKS = 1
"""
"""What makes a process draw one block of half its length."""


@pytest.mark.usefixtures("half_blocks")
@pytest.mark.parametrize("vendor", ["toshiba", "nec"])
@pytest.mark.thorough
def test_a_cut_fibre_costs_no_key_its_agreement(vendor: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--scenario", "switch", "--vendor", vendor, "--json", "--seed", "5"]) == 0
    shown = capfd.readouterr()
    assert shown.err == ""
    found = json.loads(shown.out)
    assert list(found) == ["scenario", "vendor", "seed", "links", "failover", "speed", "agree", "wall_s"]
    assert found["agree"] is True
    over_a, over_b = found["links"]
    for link, path in ((over_a, "A"), (over_b, "B")):
        assert list(link) == FIELDS
        assert link["name"] == f"west-east/{path}"
        assert re.fullmatch("[0-9a-f]{64}", link["digest_transmitter"])
        assert link["digest_transmitter"] == link["digest_receiver"]
        assert link["agree"] is True
        assert link["key_blocks"] == 1
        assert 0 < link["qber"] < 0.06
    assert over_a["digest_transmitter"] != over_b["digest_transmitter"]
    assert over_a["loss_db"] < over_b["loss_db"]
    fibre = demonstration(vendor).fibres[1]
    assert over_b["loss_db"] > fibre.total_loss_db + 2 * 0.8  # both switches cost something
    assert [step["step"] for step in found["failover"]] == STEPS
    assert all(list(step) == ["step", "emulated_s", "wall_s"] for step in found["failover"])
    took = {step["step"]: step["emulated_s"] for step in found["failover"]}
    assert took["detect"] > 0.45  # the receiver is sure of the dark after half a second, and time passes in steps
    assert took["switch"] > 0.025  # of settling
    assert took["align"] > 20


@pytest.mark.parametrize("first", [SHORT, pytest.param("", marks=pytest.mark.thorough)], ids=["short", "as it is"])
def test_a_person_sees_each_step_with_its_times(first: str, tmp_path: Path) -> None:
    shown = on_a_terminal(["demo", "--scenario", "switch"], 100, tmp_path, first)
    assert max(map(len, shown.replace("\r", "").splitlines())) <= 100
    text = " ".join(shown.split())
    assert "Fibre A is cut." in text
    assert "The receiver says LOS" in text
    assert "no vendor's figures" in text
    assert "not secret in the QKD sense" in text
    for step in STEPS:
        assert re.search(rf"{step} +[0-9.]+ +[0-9.]+ ", text), step
    assert re.match("Both ends hold the same keys over A and over B", shown.strip().splitlines()[-1])


def test_every_step_of_a_move_is_explained() -> None:
    assert set(MEANING) == set(STEPS)


def test_the_station_of_the_scenario_is_one_that_an_operator_could_write() -> None:
    resources = {name: {"control": "serial:/dev/null"} for name in ("alice", "bob", "west", "east")}
    station = hal.Station.from_text(station_text("toshiba", resources), base=Path("/tmp"))
    assert {name: list(entry.paths) for name, entry in station.links.items()} == {"west-east": ["A", "B"]}


def test_the_field_link_is_no_nec_link(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--scenario", "link", "--vendor", "nec"]) == 2
    assert "--scenario switch" in capsys.readouterr().err
