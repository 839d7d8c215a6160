"""Calibrated quantities in what a laboratory does with devices: logs, sweeps, settings."""

from __future__ import annotations

import csv
import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

import tokaido.hal as hal
import tokaido.lab as lab
from tokaido.emulators import SteppedClock, launch
from tokaido.lab import settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CALIBRATIONS = """
[devices.pm.calibrations.power]
unit = "dBm"
offset = 20
date = 2025-12-01
source = "tap 4711, certificate"
valid_until = 2026-01-01

[devices.voa.calibrations.attenuation]
unit = "dB"
points = [[0, 0.5], [10, 10.5], [20, 21.5]]
date = 2025-12-01
source = "bench"
"""


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()  # it begins on 1 January 2026


@pytest.fixture
def station(clock: SteppedClock) -> Iterator[hal.Station]:
    with (
        launch("thorlabs.pm100", clock=clock, model_options={"dark_w": 1e-6}) as pm,
        launch("keysight.attenuator", clock=clock) as voa,
    ):
        text = "".join(
            f"[devices.{name}]\ndriver = '{driver}'\ncontrol = '{box.resources['control']}'\n"
            for name, driver, box in (("pm", "thorlabs.pm100", pm), ("voa", "keysight.attenuator", voa))
        )
        with hal.Station.from_text(text + CALIBRATIONS, clock=clock) as station:
            yield station


def rows_of(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as text:
        return list(csv.DictReader(text))


def test_a_log_has_the_raw_values_besides_and_the_calibration_once(
    station: hal.Station, clock: SteppedClock, tmp_path: Path
) -> None:
    summary = lab.log_telemetry(station, tmp_path / "log.csv", values=["pm.power", "voa"], count=3, clock=clock)
    rows = rows_of(tmp_path / "log.csv")
    assert len(rows) == summary.rows
    count = Counter(f"{row['device']}.{row['value']}" for row in rows)
    assert (count["pm.power"], count["pm.power.raw"], count["pm.power.calibration"]) == (3, 3, 1)
    assert (count["voa.attenuation.raw"], count["voa.wavelength"], count["voa.wavelength.raw"]) == (3, 3, 0)
    found = {row["value"]: row for row in rows if row["device"] == "pm"}
    assert float(found["power"]["reading"]) == pytest.approx(-10)
    assert float(found["power.raw"]["reading"]) == pytest.approx(-30)
    assert found["power.raw"]["unit"] == "dBm"
    assert json.loads(found["power.calibration"]["reading"])["source"] == "tap 4711, certificate"


def test_every_file_of_a_log_says_what_its_values_were_corrected_by(
    station: hal.Station, clock: SteppedClock, tmp_path: Path
) -> None:
    log = tmp_path / "log.csv"
    summary = lab.log_telemetry(station, log, values=["pm.power"], count=40, rotate_bytes=1500, clock=clock)
    assert summary.rotated
    for file in summary.rotated:
        assert "power.calibration" in [row["value"] for row in rows_of(file)[:4]]


def test_a_log_says_that_a_calibration_has_expired(station: hal.Station, clock: SteppedClock, tmp_path: Path) -> None:
    clock.wait(86_400)
    lab.log_telemetry(station, tmp_path / "log.csv", values=["pm.power"], count=1, clock=clock)
    quality = {row["value"]: row["quality"] for row in rows_of(tmp_path / "log.csv")}
    assert (quality["power"], quality["power.raw"]) == ("uncertain", "good")


def test_a_data_set_says_what_corrected_its_variables(station: hal.Station, clock: SteppedClock) -> None:
    pytest.importorskip("xarray")
    clock.wait(86_400)
    voa, pm = station.device("voa", hal.VariableAttenuator), station.device("pm", hal.PowerMeter)
    found = lab.sweep({("attenuation", voa): [0.5, 16]}, [("power", pm), ("wavelength", pm)], clock=clock)
    assert found["power"].values == pytest.approx([-10, -10])
    assert json.loads(found["power"].attrs["calibration"])["offset"] == 20
    assert list(found["power_reason"].values) == ["uncertain: its calibration has expired"] * 2
    assert json.loads(found["attenuation"].attrs["calibration"])["points"][1] == [10, 10.5]
    assert "calibration" not in found["wavelength"].attrs
    was = json.loads(found.attrs["devices"])["voa"]["settings"]["attenuation"]
    assert (was["value"], was["raw"], was["calibration"]["source"]) == (0.5, 0.0, "bench")
    with pytest.raises(hal.ConfigurationError, match=r"takes 0\.5 to 21\.5 dB"):
        lab.sweep({("attenuation", voa): [0, 10]}, [("power", pm)], clock=clock)


def test_settings_are_saved_and_restored_as_what_is_so_really(station: hal.Station) -> None:
    voa: Any = station.device("voa", hal.VariableAttenuator)
    voa.attenuation = 16
    saved = settings.save(station)
    voa.attenuation = 5.5
    (change,) = saved.diff(station)
    assert str(change).startswith("voa attenuation: 5.5 dB -> 16")
    saved.restore(station)
    assert float(voa.transport.query(":INP1:ATT?")) == pytest.approx(15, abs=1e-3)
    assert saved.diff(station) == ()
