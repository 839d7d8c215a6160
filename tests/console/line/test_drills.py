"""Drills: which ones a person gets, what becomes of one that fails, and (in `make chaos`) all of them on the line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import tokaido.hal as hal
from tokaido.console._line.described import described_line
from tokaido.console._line.drills import DRILLS, check_drills, drills_of, run_drill
from tokaido.console._line.outcome import outcome
from tokaido.console._line.places import described_places
from tokaido_testing.patience import patient

COMMAND = [sys.executable, "-c", "from tokaido.console import main; raise SystemExit(main())"]
LONG = os.environ.get("TOKAIDO_CHAOS") == "long"
NAMES = tuple(drill.name for drill in DRILLS)

SHORT_LINE = """
[line]
name = "short"
title = "A short line"
[sites.a]
latitude = 35.0
longitude = 139.0
application = "bank"
[sites.b]
latitude = 35.1
longitude = 138.5
[sites.c]
latitude = 35.2
longitude = 138.0
application = "hospital"
[fibres]
ab = { ends = ["a", "b"], length_km = 80, loss_db = 17.0 }
bc = { ends = ["b", "c"], length_km = 30, loss_db = 9.0 }
[units.far]
vendor = "nec"
preset = "nec-sspd"
settings = "short-block"
sub_channels = 1
[units.near]
vendor = "toshiba"
preset = "t12"
settings = "megabit-block"
[links]
a-b = { ends = ["a", "b"], units = "far", fibres = ["ab"] }
b-c = { ends = ["b", "c"], units = "near", fibres = ["bc"] }
[[demands]]
ends = ["a", "c"]
rate = 1.0
"""


def test_a_person_gets_the_drills_that_were_asked_for() -> None:
    assert drills_of((), "", every=False) == ()
    assert drills_of((), "", every=True) == NAMES
    assert drills_of(("cut", "eve"), "", every=True) == ("eve", "cut")
    assert drills_of((), "power", every=False) == ("power",)
    assert drills_of((), "power", every=True) == NAMES
    assert drills_of(("cut",), "power", every=True) == ("cut", "power")
    with pytest.raises(hal.ConfigurationError, match=r"no drill is called 'earthquake'.*eve, cut"):
        drills_of(("earthquake",), "", every=True)


def test_a_drill_is_refused_on_a_line_without_what_it_is_about() -> None:
    check_drills(NAMES, described_line())
    chain = described_places("chain", ["nec"])
    check_drills((), chain)
    with pytest.raises(hal.ConfigurationError, match="the drill cut is about nagoya-maibara, which this line has not"):
        check_drills(("cut",), described_places("pair", ["nec"]))


class _Shown:
    def __init__(self) -> None:
        self.said: list[str] = []
        self.view = self

    def say(self, text: str) -> None:
        self.said.append(text)


def test_a_drill_that_holds_fails_or_comes_to_nothing_says_so() -> None:
    def no(*_: object) -> Any:
        raise hal.DeviceTimeoutError("waited until it is over")

    for run, told, held in (
        (lambda *_: outcome("all well", True, True), "Held: all well", True),
        (lambda *_: outcome("half of it", True, False), "NOT HELD: half of it", False),
        (no, "NOT HELD: it came to nothing: waited until it is over", False),
    ):
        shown: Any = _Shown()
        done = run_drill(shown, replace(DRILLS[0], run=run))
        assert done.held is held
        assert shown.said[1].startswith(told)
        assert set(done.record) == {"name", "expected", "seen", "held", "seconds"}


def demonstrated(*options: str, seconds: float) -> tuple[int, dict[str, Any]]:
    done = subprocess.run(
        [*COMMAND, "demo", *options, "--seconds", f"{seconds:.0f}", "--json"],
        capture_output=True,
        text=True,
        timeout=seconds + 1200,
        check=False,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


@pytest.mark.thorough
@pytest.mark.timeout(500)
def test_a_short_line_gives_keys_from_end_to_end(tmp_path: Path) -> None:
    file = tmp_path / "line.toml"
    file.write_text(SHORT_LINE, encoding="utf-8")
    code, found = demonstrated("--line", str(file), seconds=patient(120))
    assert code == 0
    assert [node["name"] for node in found["nodes"]] == ["a", "b", "c"]
    assert {link["style"] for link in found["links"]} == {"NEC-style", "Toshiba-style"}
    assert len(found["deliveries"]) == 4
    for one in found["deliveries"]:
        assert one["agree"]
        assert one["digest_master"] == one["digest_slave"]
        assert one["route"] == (["a", "b", "c"] if one["master_sae"] == "bank" else ["c", "b", "a"])
    assert 0 < found["first_key_s"] <= found["wall_s"]


@pytest.mark.skipif(not LONG, reason="27 processes for some minutes: `make chaos` runs it")
@pytest.mark.timeout(1800)
def test_all_drills_hold_on_the_line() -> None:
    code, found = demonstrated("--drill", seconds=300)
    assert [(one["name"], one["held"], one["seen"]) for one in found["drills"] if not one["held"]] == []
    assert [one["name"] for one in found["drills"]] == list(NAMES)
    assert all(one["agree"] for one in found["deliveries"])
    assert code == 0


@pytest.mark.skipif(not LONG, reason="27 processes for some minutes: `make chaos` runs it")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", NAMES)
def test_each_drill_can_fail(name: str) -> None:
    code, found = demonstrated("--break", name, seconds=300)
    assert [(one["name"], one["held"]) for one in found["drills"]] == [(name, False)]
    assert code == 1
