"""What the shell shows of calibrated values: that they are, and what the device itself said."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tokaido.console import main
from tokaido.emulators import launch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[str]:
    with (
        launch("keysight.attenuator", wire_end="tcp") as voa,
        launch("thorlabs.pm100", wire_end="tcp", model_options={"dark_w": 1e-6}) as pm,
    ):
        file = tmp_path / "lab.toml"
        file.write_text(
            f"""
[devices.voa]
driver = "keysight.attenuator"
control = "{voa.resources["control"]}"
[devices.voa.calibrations.attenuation]
unit = "dB"
offset = 1.5
date = 2026-01-02
source = "bench"
[devices.pm]
driver = "thorlabs.pm100"
control = "{pm.resources["control"]}"
[devices.pm.calibrations.power]
unit = "dBm"
offset = 20
date = 2025-01-02
source = "tap"
valid_until = 2025-12-31
""",
            encoding="utf-8",
        )
        yield str(file)


def test_read_shows_the_raw_value_and_that_it_was_corrected(lab: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["read", f"{lab}#voa", "attenuation", "wavelength"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "attenuation\t1.5 dB\tgood, calibrated 2026-01-02 (raw 0 dB)",
        "wavelength\t1550 nm\tgood",
    ]
    assert main(["read", f"{lab}#pm", "power"]) == 0
    line = "power\t-10 dBm\tuncertain, calibration expired 2025-12-31 (raw -30 dBm)\n"
    assert capsys.readouterr().out == line


def test_read_as_json_has_the_calibration(lab: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["read", f"{lab}#pm", "power", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["values"]["power"]
    assert (round(told["value"]), round(told["raw"]), told["quality"]) == (-10, -30, "uncertain")
    assert told["calibration"] == {
        "unit": "dBm",
        "date": "2025-01-02",
        "source": "tap",
        "offset": 20.0,
        "valid_until": "2025-12-31",
    }


def test_set_takes_what_is_to_be_and_says_what_the_device_was_told(
    lab: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["set", f"{lab}#voa", "attenuation", "11.5"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "attenuation 11.5 dB",
        "  calibrated: the device is set to 10 dB (offset +1.5 dB, 2026-01-02, bench)",
    ]
    assert main(["set", f"{lab}#voa", "attenuation", "12.5", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["attenuation"], told["raw"]) == (12.5, 11.0)
    assert main(["set", f"{lab}#voa", "attenuation", "1"]) == 1
    assert "takes 1.5 to 41.5 dB" in capsys.readouterr().err
