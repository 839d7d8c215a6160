"""The short examples of the laboratory, as they stand."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_a_sweep_shows_that_the_efficiency_rises_with_the_bias(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLES / "sweep.py"), run_name="__main__")
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == [f"{bias} V" for bias in range(51, 58)]
    efficiencies = [float(line.split()[2]) for line in lines]
    assert efficiencies == sorted(efficiencies)
    assert efficiencies[0] == pytest.approx(0.145, abs=0.01)
    assert efficiencies[-1] > 0.24


def test_a_log_has_the_layout_of_its_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main = runpy.run_path(str(EXAMPLES / "log.py"))["main"]
    main(str(tmp_path / "log.csv"))
    lines = capsys.readouterr().out.splitlines()
    page = (EXAMPLES.parent / "docs" / "how-to" / "log.md").read_text(encoding="utf-8")
    assert "\n".join(lines[:-1]) in page
    assert lines[-1] == "60 rows"
    assert len((tmp_path / "log.csv").read_text(encoding="utf-8").splitlines()) == 61


def test_a_calibrated_meter_and_attenuator_tell_what_is_so(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLES / "calibrate.py"), run_name="__main__")
    assert capsys.readouterr().out.splitlines() == [
        "voa: 10.4 dB, raw 10: 2 points, 0 to 20 dB, 2026-03-02, log book 9",
        "meter: -10 dBm, raw -30: offset +20 dBm, 2026-03-02, tap 17, certificate 4711",
    ]


@pytest.mark.parametrize("name", ["sweep.py", "log.py", "calibrate.py"])
def test_they_are_short(name: str) -> None:
    assert len((EXAMPLES / name).read_text(encoding="utf-8").splitlines()) <= 25
