"""Bluesky's plans over emulated devices."""

from __future__ import annotations

import asyncio
import datetime
import importlib.util
import math
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

import tokaido.hal as hal
from tokaido.emulators import launch
from tokaido.lab.bluesky import DeviceReader, DeviceStatus, MovableValue
from tokaido_testing.extras import later, needs
from tokaido_testing.table import POWER_DBM, Table

if TYPE_CHECKING:
    from collections.abc import Iterator

REASON = "needs the extra `bluesky`, which `make setup` installs"
pytestmark = needs("bluesky", REASON)
bluesky = later("bluesky")
protocols = later("bluesky.protocols")
plans = later("bluesky.plans")
stubs = later("bluesky.plan_stubs")
EXAMPLE = Path(__file__).parents[3] / "examples" / "bluesky_scan.py"


class Settling:
    """A clock whose waits let the light on the table settle."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()

    def utc_ns(self) -> int:
        return time.time_ns()

    def wait(self, seconds: float, event: threading.Event | None = None) -> bool:
        self._table.settle()
        return False


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Table]:
    with Table(tmp_path, timeout=0.5) as table:
        yield table


@pytest.fixture
def engine() -> Iterator[Any]:
    """A RunEngine whose thread ends with the test."""
    loop = asyncio.new_event_loop()
    made = bluesky().RunEngine(loop=loop, context_managers=[])  # none, so that no signal handler is set
    try:
        yield made
    finally:
        loop.call_soon_threadsafe(loop.stop)
        for thread in threading.enumerate():
            if thread.name == "bluesky-run-engine":
                thread.join(10)
        loop.close()


class Documents:
    """What a RunEngine emitted."""

    def __init__(self) -> None:
        self._emitted: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, name: str, document: dict[str, Any]) -> None:
        self._emitted.append((name, document))

    def named(self, name: str) -> list[dict[str, Any]]:
        return [document for kind, document in self._emitted if kind == name]


def test_the_protocols_are_met(table: Table) -> None:
    reader, movable = DeviceReader(table.pm), MovableValue(table.voa, "attenuation")
    for protocol in ("Readable", "Triggerable", "Configurable", "HasHints"):
        assert isinstance(reader, getattr(protocols(), protocol)), protocol
    for protocol in ("Readable", "Movable", "Locatable", "Checkable", "HasHints"):
        assert isinstance(movable, getattr(protocols(), protocol)), protocol
    assert isinstance(DeviceStatus(lambda: None, "nothing"), protocols().Status)


def test_a_scan_of_the_attenuator_gives_the_power_at_every_step(table: Table, engine: Any) -> None:
    voa = MovableValue(table.voa, "attenuation", name="voa", settle_s=0.2, clock=Settling(table))
    documents = Documents()
    engine(plans().scan([DeviceReader(table.pm, name="pm")], voa, 0, 20, 5), documents)
    data = [event["data"] for event in documents.named("event")]
    assert [row["voa"] for row in data] == pytest.approx([0, 5, 10, 15, 20])
    assert [row["pm_power"] for row in data] == pytest.approx([POWER_DBM - row["voa"] for row in data], abs=0.02)
    assert {row["pm_power_quality"] for row in data} == {"good"}
    (descriptor,) = documents.named("descriptor")
    assert descriptor["data_keys"]["pm_power"]["units"] == "dBm"
    assert descriptor["data_keys"]["voa"]["limits"] == {"control": {"low": 0, "high": 40}}
    assert descriptor["hints"]["voa"] == {"fields": ["voa"]}
    assert descriptor["configuration"]["pm"]["data"]["pm_averaging"] == table.pm.averaging
    assert documents.named("stop")[0]["exit_status"] == "success"


def test_count_reads_a_unit_with_its_limits_words_and_states(engine: Any) -> None:
    with (
        launch("toshiba.receiver", warm=True) as end,
        hal.Receiver.open("toshiba.receiver", name="bob", timeout=10, **end.resources) as device,
    ):
        reader = DeviceReader(device, ["state", "chassis_temperature", "shutter", "qber", "detectors[0].bias"])
        documents = Documents()
        engine(plans().count([reader], num=3), documents)
        events = documents.named("event")
        keys = documents.named("descriptor")[0]["data_keys"]
    assert len(events) == 3
    data = events[0]["data"]
    assert data["bob_state"] == "AUTH"
    assert data["bob_shutter"] == "CLOSED"
    assert math.isnan(data["bob_qber"])
    assert data["bob_qber_quality"] == "bad"
    assert keys["bob_chassis_temperature"]["limits"]["warning"] == {"low": 0, "high": 45}
    assert keys["bob_chassis_temperature"]["limits"]["alarm"] == {"low": -10, "high": 60}
    assert keys["bob_chassis_temperature"]["units"] == "degC"
    assert keys["bob_shutter"]["choices"] == ["OPEN", "CLOSED"]
    assert keys["bob_detectors_0_bias"]["source"] == "tokaido:bob#detectors[0].bias"


def test_a_reading_has_the_time_of_its_measurement_and_says_that_it_is_an_earlier_one(table: Table) -> None:
    reader = DeviceReader(table.bob, ["detectors[0].dark_count_rate", "detectors[0].count_rate"], name="bob")
    before = time.time()
    reader.trigger().exception(10)
    time.sleep(0.05)  # the reading is the trigger's
    after = time.time() - 0.05
    given: Any = reader.read()
    assert given["bob_detectors_0_count_rate_quality"]["value"] == "good"
    assert before <= given["bob_detectors_0_count_rate"]["timestamp"] <= after
    dark = given["bob_detectors_0_dark_count_rate"]
    assert given["bob_detectors_0_dark_count_rate_quality"]["value"] == "earlier"
    assert dark["timestamp"] == pytest.approx(before - 36, abs=5)  # at the last alignment
    assert dark["alarm_severity"] == 0


def test_a_stale_reading_is_said_to_be_stale(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(table.bob.detectors[0]).dark_count_rate, "stale_after_s", 10.0)
    reader = DeviceReader(table.bob, ["detectors[0].dark_count_rate"], name="bob")
    given: Any = reader.read()
    assert given["bob_detectors_0_dark_count_rate_quality"]["value"] == "stale"
    assert given["bob_detectors_0_dark_count_rate"]["alarm_severity"] == 1


def test_a_value_that_there_is_not_is_no_number_and_spoils_no_other(table: Table) -> None:
    table.voa.blocked = True
    table.settle()
    given: Any = DeviceReader(table.pm, ["power", "wavelength"], name="pm").read()
    assert math.isnan(given["pm_power"]["value"])
    assert given["pm_power"]["alarm_severity"] < 0
    assert "no level in dBm" in given["pm_power"]["message"]
    assert given["pm_wavelength_quality"]["value"] == "good"


def test_a_status_fails_with_the_error_of_hal(table: Table, engine: Any) -> None:
    voa = MovableValue(table.voa, "attenuation", name="voa")
    status = voa.set(50.0)
    told: list[Any] = []
    status.add_callback(told.append)
    assert isinstance(status.exception(10), hal.RangeError)
    assert status.done
    assert not status.success
    assert told == [status]
    with pytest.raises(hal.RangeError):
        voa.check_value(50.0)
    with pytest.raises(Exception, match="voa") as failed:
        engine(plans().scan([], voa, 0, 50, 3))
    assert isinstance(failed.value.__cause__, hal.RangeError)
    assert table.voa.attenuation == 25.0


def test_a_device_that_hangs_fails_its_trigger_and_recovers(table: Table, engine: Any) -> None:
    reader = DeviceReader(table.pm, ["power"], name="pm")
    hang = table.pm_end.faults.add("hang", direction="to_unit", seconds=60)
    with pytest.raises(Exception, match="pm") as failed:
        engine(plans().count([reader]))
    assert isinstance(failed.value.__cause__, hal.DeviceTimeoutError)
    hang.remove()
    documents = Documents()
    engine(plans().count([reader]), documents)
    assert documents.named("event")[0]["data"]["pm_power"] == pytest.approx(POWER_DBM, abs=0.02)


def test_a_setting_is_located_and_moved_relative_to_itself(table: Table, engine: Any) -> None:
    voa = MovableValue(table.voa, "attenuation", name="voa")
    assert voa.locate() == {"setpoint": 0.0, "readback": 0.0}
    engine(stubs().mv(voa, 3.0))
    engine(stubs().mvr(voa, 2.5))
    assert voa.locate() == {"setpoint": 5.5, "readback": 5.5}
    blocked = MovableValue(table.voa, "blocked")
    engine(stubs().mv(blocked, True))
    assert table.voa.blocked is True
    assert next(iter(blocked.describe().values()))["dtype"] == "boolean"
    shutter = MovableValue(table.bob, "shutter", name="shutter")
    engine(stubs().mv(shutter, "CLOSED"))
    assert table.bob.shutter is hal.Shutter.CLOSED
    assert isinstance(shutter.set("AJAR").exception(10), hal.RangeError)


def test_what_is_not_there_or_cannot_be_set_is_refused(table: Table) -> None:
    with pytest.raises(hal.ConfigurationError, match="has no value 'powr'"):
        DeviceReader(table.pm, ["powr"])
    with pytest.raises(hal.ConfigurationError, match="cannot be set"):
        MovableValue(table.pm, "power")


def test_the_example_prints_a_table(table: Table, engine: Any, capsys: pytest.CaptureFixture[str]) -> None:
    spec = importlib.util.spec_from_file_location("bluesky_scan", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    example: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    assert len(EXAMPLE.read_text(encoding="utf-8").splitlines()) <= 25
    devices = {"voa": table.voa, "pm": table.pm}
    example.run(engine, SimpleNamespace(device=lambda name, role: devices[name]), settle_s=0.0)
    shown = capsys.readouterr().out
    assert shown.count("good") == 11
    assert "20.000" in shown


def test_an_expired_calibration_makes_a_reading_uncertain_and_stands_in_the_source(table: Table) -> None:
    day = datetime.date(2025, 1, 2)
    table.pm.close()
    offset = hal.Calibration("dBm", day, "bench", offset=20.0, valid_until=day)
    control = table.pm_end.resources["control"]
    with hal.PowerMeter.open("thorlabs.pm100", name="pm", control=control, calibrations={"power": offset}) as pm:
        reader = DeviceReader(pm, ["power"])
        read: Any = reader.read()
        source = reader.describe()["pm_power"]["source"]
    assert read["pm_power"]["value"] == pytest.approx(POWER_DBM + 20, abs=0.01)
    assert (read["pm_power_quality"]["value"], read["pm_power"]["alarm_severity"]) == ("uncertain", 1)
    assert source == "tokaido:pm#power (calibrated: offset +20 dBm, 2025-01-02, bench, valid until 2025-01-02)"
