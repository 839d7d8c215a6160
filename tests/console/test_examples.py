"""Examples come with the program: listed with what each shows, and copied without writing over anything."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tokaido.console import main

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_every_example_is_listed_with_what_it_shows(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["examples", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["examples"]
    assert set(listed) == {
        path.name for path in EXAMPLES.iterdir() if path.suffix in (".py", ".toml") or (path / "README.md").is_file()
    }
    assert all(len(shows) > 20 and not shows.endswith((".", ":")) for shows in listed.values()), listed
    assert main(["examples"]) == 0
    assert "sweep.py\t" in capsys.readouterr().out


def test_examples_are_copied_and_nothing_is_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["examples", "sweep.py", "link.toml", "-o", str(tmp_path)]) == 0
    copied = [str(tmp_path / name) for name in ("sweep.py", "link.toml", "lab.toml")]
    assert capsys.readouterr().out.splitlines() == copied
    assert (tmp_path / "sweep.py").read_bytes() == (EXAMPLES / "sweep.py").read_bytes()
    (tmp_path / "sweep.py").write_text("mine", encoding="utf-8")
    assert main(["examples", "log.py", "sweep.py", "swep.py", "-o", str(tmp_path)]) == 2
    told = capsys.readouterr().err
    assert "sweep.py: exists already" in told
    assert "swep.py: no example has this name. Did you mean sweep.py?" in told
    assert (tmp_path / "sweep.py").read_text("utf-8") == "mine"
    assert not (tmp_path / "log.py").exists()
    assert main(["examples", "log.py", "-o", str(tmp_path / "nowhere")]) == 2


def test_the_station_file_that_an_example_opens_comes_with_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["examples", "keys.py", "sweep.py", "-o", str(tmp_path)]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["keys.py", "lab.toml", "sweep.py"]
    (tmp_path / "lab.toml").write_text("mine", encoding="utf-8")
    assert main(["examples", "alarms.py", "-o", str(tmp_path)]) == 0
    assert (tmp_path / "lab.toml").read_text("utf-8") == "mine"
    capsys.readouterr()


def test_a_folder_is_copied_without_what_a_run_of_it_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "kept"
    shutil.copytree(EXAMPLES / "node", kept / "node")
    (kept / "node" / "state").mkdir()
    (kept / "node" / "state" / "secret.key").write_bytes(bytes(32))
    monkeypatch.setattr("tokaido.console._examples.folder", lambda: kept)
    assert main(["examples", "node", "-o", str(tmp_path)]) == 0
    assert {path.name for path in (tmp_path / "node").iterdir()} == {
        path.name for path in (EXAMPLES / "node").iterdir()
    } - {"keys", "pki", "state"}
    assert main(["examples", "node", "-o", str(tmp_path)]) == 2
    assert "exists already" in capsys.readouterr().err
