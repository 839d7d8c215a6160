"""QCoDeS instruments over emulated devices; skipped where the extra `qcodes` is not installed (ADR 4)."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import tokaido.hal as hal
from tokaido.emulators import launch
from tokaido_testing.patience import in_time
from tokaido_testing.table import POWER_DBM, Table

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLE = Path(__file__).parents[3] / "examples" / "qcodes_sweep.py"
REASON = "QCoDeS brings 440 MB and is not in `make setup`; `make qcodes` runs these tests"
dataset: Any = pytest.importorskip("qcodes.dataset", reason=REASON)
ours: Any = importlib.import_module("tokaido.lab.qcodes")


@contextmanager
def instrument(name: str, device: hal.Device) -> Iterator[Any]:
    made = ours.DeviceInstrument(name, device)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(autouse=True)
def no_monitor(monkeypatch: pytest.MonkeyPatch) -> None:
    """The progress bar's thread would outlive the test."""
    tqdm: Any = importlib.import_module("tqdm")
    monkeypatch.setattr(tqdm.tqdm, "monitor_interval", 0)


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Table]:
    with Table(tmp_path, timeout=0.5) as table:
        yield table


def test_a_sweep_of_the_attenuator_ends_in_a_data_set(table: Table, tmp_path: Path) -> None:
    with (
        dataset.initialised_database_at(tmp_path / "runs.db"),
        instrument("voa", table.voa) as voa,
        instrument("pm", table.pm) as pm,
    ):
        dataset.load_or_create_experiment("attenuator", "N7761A")
        found, *_ = dataset.do1d(
            voa.attenuation, 0, 20, 5, 0.0, table.settle, pm.power, show_progress=False, do_plot=False
        )
        data = found.get_parameter_data()["pm_power"]
        found.conn.close()
    assert data["voa_attenuation"] == pytest.approx([0, 5, 10, 15, 20])
    assert data["pm_power"] == pytest.approx([POWER_DBM - loss for loss in (0, 5, 10, 15, 20)], abs=0.02)
    assert (found.paramspecs["pm_power"].unit, found.paramspecs["pm_power"].label) == ("dBm", "Power")
    assert found.paramspecs["voa_attenuation"].unit == "dB"


def test_values_are_parameters_with_label_unit_and_limits(table: Table) -> None:
    with instrument("voa", table.voa) as voa:
        attenuation = voa.attenuation
        assert (attenuation.label, attenuation.unit) == ("Attenuation", "dB")
        assert (attenuation.vals.min_value, attenuation.vals.max_value) == (0, 40)
        assert (voa.output_power.gettable, voa.output_power.settable) == (True, False)
        attenuation(np.float64(12.5))
        assert attenuation() == table.voa.attenuation == 12.5
        voa.blocked(True)
        assert table.voa.blocked is True
        assert "insertion_loss" not in voa.parameters  # this box does not tell it


def test_a_value_outside_its_limits_is_refused_by_hal_and_not_sent(table: Table) -> None:
    with instrument("voa", table.voa) as voa, instrument("pm", table.pm) as pm:
        for parameter, wrong, kind in (
            (voa.attenuation, 41.0, hal.RangeError),
            (voa.attenuation, "much", hal.ValueTypeError),
            (pm.averaging, 0, hal.RangeError),
            (pm.averaging, 1.5, hal.ValueTypeError),
        ):
            before = parameter()
            with pytest.raises(kind):  # before QCoDeS takes a first step towards it
                parameter.validate(wrong)
            with pytest.raises(kind) as told:
                parameter(wrong)
            assert "voa" in str(told.value) or parameter.name in str(told.value)
            assert parameter() == before


def test_units_have_states_words_and_channels(tmp_path: Path) -> None:
    with (
        launch("toshiba.receiver", directory=tmp_path, warm=True) as end,
        hal.Receiver.open("toshiba.receiver", name="bob", timeout=10, **end.resources) as device,
        instrument("bob", device) as bob,
    ):
        assert bob.state() == device.state().value == "AUTH"
        assert bob.shutter() == "CLOSED"
        with pytest.raises(ValueError, match="HALF"):
            bob.shutter("HALF")
        bob.shutter("OPEN")
        assert device.shutter is hal.Shutter.OPEN
        assert len(bob.detectors) == len(device.detectors)
        assert bob.detectors[1].temperature.unit == "degC"
        assert bob.detectors[1].temperature.label == "Detectors[1] temperature"
        assert bob.detectors[1].dead_time() == device.detectors[1].dead_time
        assert bob.get_idn()["serial"] == device.identity().serial_number
        record = bob.snapshot(update=True)
        assert record["parameters"]["state"]["value"] == "AUTH"
        assert record["readings"]["detectors[1].dead_time"]["quality"] == "good"
        nested = record["submodules"]["detectors"]["channels"]["bob_detectors_1"]["parameters"]
        assert nested["dead_time"]["value"] == device.detectors[1].dead_time
        json.dumps(record, cls=importlib.import_module("qcodes.utils").NumpyJSONEncoder)


def test_the_cache_has_the_time_of_the_reading_and_no_value_where_there_is_none(table: Table) -> None:
    with instrument("pm", table.pm) as pm:
        readings = pm.update()
        assert pm.power.cache.timestamp.timestamp() == pytest.approx(readings["power"].utc_ns / 1e9, abs=1e-5)
        assert pm.power.cache.valid
        table.voa.blocked = True
        table.settle()
        record = pm.snapshot(update=True)
        assert not pm.power.cache.valid
        assert record["readings"]["power"]["quality"] == "bad"
        assert "no level in dBm" in record["readings"]["power"]["error"]
        assert record["readings"]["wavelength"]["quality"] == "good"
        with pytest.raises(hal.NoDataError, match="no level in dBm"):
            pm.power()


def test_a_snapshot_of_a_dead_device_comes_after_one_timeout_and_the_device_recovers(table: Table) -> None:
    with instrument("pm", table.pm) as pm:
        power = pm.power()
        hang = table.pm_end.faults.add("hang", direction="to_unit", seconds=60)
        start = time.monotonic()
        record = pm.snapshot(update=True)
        assert in_time(start, 2.5)  # value by value it would be five timeouts, and the IDN's
        assert "thorlabs.pm100" in record["error"]
        assert record["parameters"]["power"]["value"] == power  # what was known
        with pytest.raises(hal.DeviceTimeoutError, match="no reply"):
            pm.power()
        hang.remove()
        assert pm.power() == pytest.approx(power, abs=0.01)
        assert pm.snapshot(update=True)["error"] == ""


def test_an_unplugged_device_is_told_as_such_and_recovers(table: Table) -> None:
    with instrument("voa", table.voa) as voa:
        table.voa_end.faults.add("unplug", direction="to_unit", count=1, seconds=0.1)
        with pytest.raises(hal.TransportError):
            voa.output_power()
        deadline = time.monotonic() + 10
        while True:
            try:
                assert voa.output_power() == pytest.approx(POWER_DBM, abs=0.5)
                break
            except hal.TransportError:
                assert time.monotonic() < deadline
                time.sleep(0.02)


def test_an_instrument_closes_the_device_that_it_opened_and_no_other(table: Table) -> None:
    with instrument("pm", table.pm):
        pass
    assert table.pm.power == pytest.approx(POWER_DBM, abs=0.01)
    with launch("keysight.attenuator") as end:
        opened = ours.OpenedInstrument("box", "keysight.attenuator", timeout=5, **end.resources)
        assert opened.attenuation() == 0
        device: Any = opened.device
        opened.close()
        with pytest.raises(hal.ClosedError):
            _ = device.attenuation
    with pytest.raises(hal.ConfigurationError):
        ours.OpenedInstrument("box", "keysight.atenuator", control="visa:TCPIP::127.0.0.1::1::SOCKET")


def test_a_station_file_of_qcodes_opens_it(tmp_path: Path) -> None:
    qcodes: Any = importlib.import_module("qcodes.station")
    with launch("keysight.attenuator") as end:
        file = tmp_path / "station.yaml"
        file.write_text(
            "instruments:\n  voa:\n    type: tokaido.lab.qcodes.OpenedInstrument\n    init:\n"
            f"      driver: keysight.attenuator\n      timeout: 5\n      control: {end.resources['control']}\n"
        )
        station = qcodes.Station(config_file=str(file), default=False)
        voa = station.load_instrument("voa")
        assert voa.attenuation() == 0
        station.close_all_registered_instruments()


def test_the_example_sweeps(table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.util.spec_from_file_location("qcodes_sweep", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    example: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    assert len(EXAMPLE.read_text(encoding="utf-8").splitlines()) <= 25
    waits = SimpleNamespace(sleep=lambda _: table.settle(), perf_counter=time.perf_counter)
    monkeypatch.setattr(importlib.import_module("qcodes.dataset.dond.do_nd"), "time", waits)
    config = importlib.import_module("qcodes").config
    monkeypatch.setitem(config.current_config.core, "db_location", config.core.db_location)
    devices = {"voa": table.voa, "pm": table.pm}
    try:
        found = example.sweep(SimpleNamespace(device=lambda name, role: devices[name]), str(tmp_path / "runs.db"))
        data = found.get_parameter_data()["pm_power"]
        found.conn.close()
    finally:
        importlib.import_module("qcodes.instrument").Instrument.close_all()
    assert data["pm_power"] == pytest.approx([POWER_DBM - loss for loss in range(0, 21, 2)], abs=0.02)


def test_nothing_is_written_to_the_home_folder(tmp_path: Path) -> None:
    program = "import tokaido.lab.qcodes, qcodes; assert not qcodes.config.telemetry.enabled"
    home = tmp_path / "home"
    home.mkdir()
    subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "HOME": str(home)}, check=True, timeout=50, cwd=tmp_path
    )
    assert list(home.rglob("*")) == []


@pytest.mark.parametrize("driver", sorted(one.name for one in hal.drivers()))
def test_no_name_of_a_value_is_one_of_qcodes_own(driver: str) -> None:
    with (
        launch(driver) as end,
        hal.Device.open(driver, timeout=10, **end.resources) as device,
        instrument("box", device) as box,
    ):
        taken = {name for kind in type(box).__mro__ for name in vars(kind)}
        assert taken.isdisjoint({*device.values(), *device.queries()})
        for path in device.value_paths():
            *part, name = path.replace("[", ".").replace("]", "").split(".")
            owner = getattr(box, part[0])[int(part[1])] if part else box
            assert owner.parameters[name].unit == device.find(path)[1].unit
