"""Examples come with the program: listed with what each shows, and copied without writing over anything."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tokaido.console import main

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_every_example_is_listed_with_what_it_shows(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["examples", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["examples"]
    assert set(listed) == {path.name for path in EXAMPLES.iterdir() if path.suffix in (".py", ".toml")}
    assert all(len(shows) > 20 and not shows.endswith((".", ":")) for shows in listed.values()), listed
    assert main(["examples"]) == 0
    assert "sweep.py\t" in capsys.readouterr().out


def test_examples_are_copied_and_nothing_is_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["examples", "sweep.py", "link.toml", "-o", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines() == [str(tmp_path / "sweep.py"), str(tmp_path / "link.toml")]
    assert (tmp_path / "sweep.py").read_bytes() == (EXAMPLES / "sweep.py").read_bytes()
    (tmp_path / "sweep.py").write_text("mine", encoding="utf-8")
    assert main(["examples", "log.py", "sweep.py", "swep.py", "-o", str(tmp_path)]) == 2
    told = capsys.readouterr().err
    assert "sweep.py: exists already" in told
    assert "swep.py: no example has this name. Did you mean sweep.py?" in told
    assert (tmp_path / "sweep.py").read_text("utf-8") == "mine"
    assert not (tmp_path / "log.py").exists()
    assert main(["examples", "log.py", "-o", str(tmp_path / "nowhere")]) == 2
