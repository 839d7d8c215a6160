"""The example of calibrations, as it stands."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "calibrate.py"


def test_a_calibrated_meter_and_attenuator_tell_what_is_so(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    assert capsys.readouterr().out.splitlines() == [
        "voa: 10.4 dB, raw 10: 2 points, 0 to 20 dB, 2026-03-02, log book 9",
        "meter: -10 dBm, raw -30: offset +20 dBm, 2026-03-02, tap 17, certificate 4711",
    ]
    assert len(EXAMPLE.read_text(encoding="utf-8").splitlines()) <= 25
