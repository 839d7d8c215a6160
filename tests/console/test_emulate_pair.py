"""`tokaido emulate` with the station files of two nodes: one process emulates both ends and the span between them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import tokaido.hal as hal
from tokaido.console import main
from tokaido_testing.patience import patient
from tokaido_testing.ports import free_port

from .test_emulate import emulated

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """The example, each site in a folder of its own, at places of this test's own."""
    found: list[Path] = []
    for name in ("otemachi", "koganei"):
        text = (EXAMPLES / f"{name}.toml").read_text(encoding="utf-8")
        text = text.replace("/tmp/tokaido-two-nodes", str(tmp_path / "dev")).replace("speed = 10", "speed = 20")
        for port in re.findall(r"127\.0\.0\.1::?(\d+)", text):
            text = text.replace(port, str(free_port()))
        file = tmp_path / name / f"{name}.toml"
        file.parent.mkdir()
        file.write_text(text, encoding="utf-8")
        found.append(file)
    return found[0], found[1]


@pytest.mark.thorough
def test_each_site_is_opened_by_its_own_file_and_both_ends_make_the_same_keys(
    files: tuple[Path, Path], tmp_path: Path
) -> None:
    with (
        emulated(files[0], tmp_path / "scratch", files[1]),
        hal.Station.from_file(files[0]) as otemachi,
        hal.Station.from_file(files[1]) as koganei,
    ):
        ends = [site.half_link("field") for site in (otemachi, koganei)]
        for end in ends:
            end.switches["switch"].replace(dict(end.paths["B"]["switch"]))
            assert end.path() == "B"
            end.unit.select_link(end.peer, "B")
        for end in ends:
            end.unit.wait_for(hal.UnitState.STANDBY, timeout=patient(20))
        for end in ends:
            end.unit.start()
        drawn = [next(iter(end.unit.key_blocks(patient(20)))) for end in ends]
        assert [block.info.peer for block in drawn] == ["TKRX0001", "TKTX0001"]
        assert {block.info.path for block in drawn} == {"B"}
        assert drawn[0].info.session == drawn[1].info.session
        with drawn[0] as one, drawn[1] as other:
            assert one.key.digest(bytes(16)) == other.key.digest(bytes(16))
        assert [end.status(keys_left=True) for end in ends] == [hal.LinkStatus.ACTIVE] * 2
    for file in files:  # each site has its own key files, and shares none
        made = {path.name for path in (file.parent / "keys").iterdir()}
        assert f"{file.stem}.key_secret" in made
    assert not (tmp_path / "dev").exists()
    assert list((tmp_path / "scratch").iterdir()) == []


def test_what_is_served_is_told_under_names_that_both_sites_have_apart(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["emulate", *map(str, files), "--seconds", "0", "--json"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[0])
    assert told["station"] == "otemachi and koganei"
    assert list(told["devices"]) == ["alice", "otemachi-switch", "bob", "koganei-switch"]
    assert told["links"]["field"]["transmitter"] == "alice"
    assert told["links"]["field"]["preshared_key_loaded"] is True
    assert main(["emulate", *map(str, reversed(files)), "--seconds", "0"]) == 0
    assert f"tokaido read '{files[1]}#bob'" in capsys.readouterr().out


def test_one_file_alone_is_told_which_one_is_missing(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["emulate", str(files[0]), "--seconds", "0"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "otemachi: links.field: its other end is at koganei; emulate the station file of that name together" in said
    assert not (files[0].parent / "keys").exists()
