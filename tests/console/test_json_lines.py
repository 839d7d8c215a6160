"""Commands that go on for a while, or write files, tell programs what they do: one JSON object a line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tokaido.console import main
from tokaido_testing.ports import free_port
from tokaido_testing.served import create_keys

from .conftest import Plug

Capture = pytest.CaptureFixture[str]
EXAMPLE = Path(__file__).parents[2] / "examples" / "link.toml"


def lines(capsys: Capture) -> list[dict[str, Any]]:
    shown = capsys.readouterr()
    assert shown.err == ""
    return [json.loads(line) for line in shown.out.splitlines()]


def test_an_emulation_says_what_is_where(tmp_path: Path, capsys: Capture) -> None:
    text = EXAMPLE.read_text(encoding="utf-8").replace("/tmp/tokaido-link", str(tmp_path / "dev"))
    for port in ("5560", "5561"):
        text = text.replace(f":{port}?", f":{free_port()}?")
    station = tmp_path / "link.toml"
    station.write_text(text)
    assert main(["emulate", str(station), "--seconds", "0.1", "--seed", "7", "--json"]) == 0
    begun, ended = lines(capsys)
    assert (begun["event"], begun["seed"], ended) == ("emulated", 7, {"event": "ended"})
    assert begun["devices"]["alice"]["resources"]["control"] == f"serial:{tmp_path}/dev/alice"
    (link,) = begun["links"].values()
    assert link["transmitter"] == "alice"
    assert all(Path(file).stat().st_mode & 0o77 == 0 for file in link["preshared_key_files"].values())


def test_a_server_says_where_it_is(plug: Plug, tmp_path: Path, capsys: Capture) -> None:
    create_keys(tmp_path)
    station, port = tmp_path / "lab.toml", free_port()
    station.write_text(
        f'[station]\nname = "lab"\n[devices.alice]\ndriver = "toshiba.transmitter"\n'
        f'control = "serial:{plug("T12-TX").port}"\n'
        f'[server]\nendpoint = "tcp://127.0.0.1:{port}"\nkey_file = "server.key_secret"\nlease_file = "l.sqlite"\n'
        '[server.clients.ann]\nkey_file = "ann.key"\nrole = "operator"\n'
    )
    assert main(["serve", str(station), "--seconds", "0.1", "--json"]) == 0
    served = {"event": "served", "station": "lab", "endpoint": f"tcp://127.0.0.1:{port}", "not_served": {}}
    assert lines(capsys) == [served, {"event": "ended"}]


def test_a_record_and_its_replay_say_what_they_wrote_and_serve(plug: Plug, tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "unit.transcript"
    assert main(["record", f"toshiba.transmitter@serial:{plug('T12-TX').port}", "-o", str(file), "--json"]) == 0
    (ended,) = [line for line in lines(capsys) if line["event"] == "ended"]
    assert ended["file"] == str(file)
    assert ended["records"] > 2
    assert main(["replay", str(file), "--seconds", "0.1", "--json"]) == 0
    begun = lines(capsys)[0]
    assert (begun["event"], begun["driver"]) == ("replaying", "toshiba.transmitter")
    assert begun["resource"].startswith("serial:")


def test_files_that_are_written_are_named(plug: Plug, tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "unit.json"
    unit = f"toshiba.transmitter@serial:{plug('T12-TX').port}"
    assert main(["snapshot", unit, "-o", str(file), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["file"], told["values"]) == (str(file), len(json.loads(file.read_text())["values"]))
    assert main(["curve-keys", "ann", "--directory", str(tmp_path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {"public": f"{tmp_path}/ann.key", "secret": f"{tmp_path}/ann.key_secret"}


def test_a_picture_says_what_is_in_it(tmp_path: Path, capsys: Capture) -> None:
    pytest.importorskip("matplotlib")
    file = tmp_path / "rate.svg"
    assert main(["plot", "rate-distance", "--preset", "gys", "--longest", "50", "-o", str(file), "--json"]) == 0
    assert lines(capsys) == [{"file": str(file), "curves": 1, "published_points": 0}]
    assert file.exists()


def test_a_round_without_answer_is_an_object_on_stderr(plug: Plug, capsys: Capture) -> None:
    peer = plug("T12-TX")
    peer.answers = iter([True, True, False])
    words = ["monitor", f"toshiba.transmitter@serial:{peer.port}", "--count", "2", "--interval", "0.05", "--json"]
    assert main(words) == 1
    shown = capsys.readouterr()
    assert [list(json.loads(line)) for line in shown.out.splitlines()] == [["utc", "states", "values"]]
    assert json.loads(shown.err)["error"]["type"] == "DeviceTimeoutError"
