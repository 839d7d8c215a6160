"""The day in virtual time: a short form of it, with its first faults."""

from __future__ import annotations

import csv
import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "a_day.py"


def a_day() -> Any:
    spec = importlib.util.spec_from_file_location("a_day", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_fibre_that_is_cut_leads_to_the_other_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    day = a_day()
    monkeypatch.setattr(day, "EVENTS", {0.05: "cut A"})
    monkeypatch.setattr(day, "DARK_S", 60.0)
    monkeypatch.setattr(sys, "argv", ["a_day.py", "--hours", "0.15", "--log", str(tmp_path / "day.csv")])
    day.main()
    shown = capsys.readouterr().out
    for part in ("0.05 h  cut A", "the link goes over fibre B", "alarm of nec.receiver: LOS", "times as fast"):
        assert part in shown
    with (tmp_path / "day.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert (rows[0]["path"], rows[-1]["path"]) == ("A", "B")
    assert {row["state"] for row in rows} >= {"RUN"}
    assert rows[-1]["state"] == "RUN"
