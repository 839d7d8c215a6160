"""Sweeps over an emulated optical table in virtual time."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest

import tokaido.hal as hal
import tokaido.lab as lab

if TYPE_CHECKING:
    from pathlib import Path

    from tokaido.emulators import Bench
    from tokaido.emulators.testing import FaultBox

pytestmark = pytest.mark.tokaido_station_file("table.toml")


@dataclass
class Table:
    """What is on the table: light of alice goes over the switch and the attenuator to the meter."""

    switch: hal.OpticalSwitch
    voa: hal.VariableAttenuator
    meter: hal.PowerMeter
    other: hal.PowerMeter
    clock: hal.Clock

    def sweep(self, over: Any, read: Any, **options: Any) -> Any:
        return lab.sweep(over, read, **{"settle": 0.3, "clock": self.clock, **options})


@pytest.fixture
def table(tokaido_station: hal.Station, tokaido_clock: hal.Clock, tokaido_bench: Bench) -> Table:
    cast("Any", tokaido_bench.devices["alice"].model).prepare("STANDBY")
    found = Table(
        tokaido_station.device("osw", hal.OpticalSwitch),
        tokaido_station.device("voa", hal.VariableAttenuator),
        tokaido_station.device("pm", hal.PowerMeter),
        tokaido_station.device("pm2", hal.PowerMeter),
        tokaido_clock,
    )
    found.switch.connect(1, 1)
    return found


def test_a_power_follows_the_attenuator_with_its_unit_and_its_time(table: Table) -> None:
    read = [("power", table.meter), ("output_power", table.voa)]
    found = table.sweep({("attenuation", table.voa): [0, 10, 20.0]}, read)
    assert found["power"].dims == ("attenuation",)
    assert found["power"].attrs == found.attenuation.attrs | {"units": "dBm"}
    assert found.attenuation.attrs == {"units": "dB"}
    power = found["power"]
    assert np.allclose(power - power[0], [0, -10, -20], atol=0.01)
    assert (found["power_reason"] == "").all()
    assert np.allclose(power - found["output_power"], -0.3, atol=0.02)  # the connector behind the attenuator
    assert (np.diff(found["utc"]) >= np.timedelta64(300, "ms")).all()
    assert found["utc"].values[0] > np.datetime64("2026-01-01")
    assert (found.attrs["complete"], found.attrs["ended"], found.attrs["points_done"]) == (1, "", 3)


def test_a_grid_sets_only_what_changes_and_takes_a_switch_and_a_declaration(table: Table) -> None:
    moves: list[object] = []

    def noted(value: float) -> None:
        moves.append(value)

    found = table.sweep(
        {
            noted: [1, 2],
            lab.Connection(table.switch, 1): [1, 2, 0],
            (hal.VariableAttenuator.attenuation, table.voa): [0, 3],
        },
        [("power", table.meter), ("power", table.other)],
    )
    assert dict(found.sizes) == {"noted": 2, "in1": 3, "attenuation": 2}
    assert moves == [1, 2]
    assert np.isfinite(found["pm.power"].sel(in1=1)).all()
    assert np.isnan(found["pm.power"].sel(in1=[2, 0])).all()
    assert np.isfinite(found["pm2.power"].sel(in1=2)).all()
    assert np.isnan(found["pm2.power"].sel(in1=[1, 0])).all()
    assert found["pm.power_reason"].sel(noted=1, in1=0, attenuation=3).item().startswith("bad: power: the meter reads")
    assert table.switch.connections() == {}


def test_the_data_set_says_what_the_devices_were_before(table: Table) -> None:
    table.voa.attenuation = 7.5
    found = table.sweep({("attenuation", table.voa): [1]}, [table.voa], devices=[table.switch], seed=11)
    told = json.loads(found.attrs["devices"])
    assert set(told) == {"voa", "osw"}
    assert told["voa"]["identity"] == {
        name: getattr(table.voa.identity(), name) for name in ("vendor", "model", "serial_number", "firmware")
    }
    assert told["voa"]["settings"]["attenuation"] == {"value": 7.5, "unit": "dB", "quality": "good"}
    assert set(told["voa"]["settings"]) == {"attenuation", "blocked", "wavelength"}
    assert told["osw"]["connections"]["outputs_by_input"] == {"1": 1}
    assert found.attrs["seed"] == 11
    assert found.attrs["tokaido_version"]
    assert found.attrs["utc_start"] < found.attrs["utc_end"]
    assert {"blocked", "wavelength", "output_power"} <= set(found)  # all of the device but what is swept
    assert "attenuation" not in found.data_vars
    assert table.voa.attenuation == 1.0


def test_settings_are_put_back_if_that_is_asked(table: Table) -> None:
    table.voa.attenuation = 7.5
    over = {
        lab.Connection(table.switch, 1): [2, 3],
        ("attenuation", table.voa): [1, 2],
        ("blocked", table.voa): [True],
    }
    found = table.sweep(over, [("power", table.other)], restore=True)
    assert (table.voa.attenuation, table.voa.blocked, table.switch.connections()) == (7.5, False, {1: 1})
    assert found.attrs["not_restored"] == ""
    assert found.blocked.values.tolist() == [True]


def test_every_mistake_is_told_and_nothing_is_set(table: Table) -> None:
    table.voa.attenuation = 5.0
    over: dict[Any, Any] = {
        ("attenuation", table.voa): [1, 41, "much", float("nan")],
        ("output_power", table.voa): [1],
        ("attenuatoin", table.voa): [1],
        lab.Connection(table.switch, 2): [1, 5],
        lab.Connection(table.switch, 9): [1],
        lab.Knob("drive", print, "V", range=(0, 2)): [3],
        (lambda value: None): [1],
        7: [1],
        ("wavelength", table.voa): [],
    }
    with pytest.raises(hal.ConfigurationError) as error:
        table.sweep(over, [("powr", table.meter), 8])
    assert len(error.value.mistakes) == 13
    text = str(error.value)
    for part in (
        "attenuation to 41: attenuation takes 0 to 40 dB",
        "attenuation to 'much'",
        "attenuation to nan",
        "output_power of voa is measured",
        "Did you mean attenuation",
        "there is no output 5",
        "there is no input 9",
        "drive takes 0 to 2 V",
        "Take a Knob",
        "7 cannot be swept",
        "wavelength: there is no value",
        "Did you mean power",
        "8 cannot be read",
    ):
        assert part in text
    assert table.voa.attenuation == 5.0
    assert table.switch.connections() == {1: 1}


def test_what_makes_no_sweep_is_refused(table: Table) -> None:
    one = ("attenuation", table.voa)
    for over, read, options, why in (
        ({}, [table.meter], {}, "nothing is swept"),
        ({one: [1]}, [], {}, "nothing is read"),
        ([one], [table.meter], {}, "is a mapping"),
        ({one: 3}, [table.meter], {}, "in a list"),
        ({one: [1]}, [one], {}, "stands twice"),
        ({one: [1]}, [lab.Probe("utc", lambda: 1.0)], {}, "the time of a point"),
        ({one: [1]}, [table.meter], {"settle": -1}, "settle must lie"),
        ({lab.Knob("drive", print): [1]}, [table.meter], {"restore": True}, "nothing reads it"),
    ):
        with pytest.raises(hal.ConfigurationError, match=why):
            table.sweep(over, read, **options)


def test_ctrl_c_returns_what_was_done_and_puts_back(table: Table) -> None:
    table.voa.attenuation = 5.0
    waits = iter([None, None, KeyboardInterrupt()])

    def wait() -> None:
        table.clock.wait(0.3)
        if (found := next(waits)) is not None:
            raise found

    found = table.sweep({("attenuation", table.voa): [0, 1, 2, 3]}, [("power", table.meter)], settle=wait, restore=True)
    assert np.isfinite(found["power"].values).tolist() == [True, True, False, False]
    assert found["power_reason"].values.tolist() == ["", "", "not reached", "not reached"]
    assert np.isnat(found["utc"].values).tolist() == [False, False, True, True]
    attributes = found.attrs
    assert (attributes["complete"], attributes["ended"], attributes["points_done"]) == (0, "interrupted", 2)
    assert table.voa.attenuation == 5.0


def test_a_device_that_goes_ends_it_and_costs_nothing_that_was_done(table: Table, faults: FaultBox) -> None:
    def unplug_at_the_third(value: int) -> None:
        if value == 2:
            faults.unplug("pm")

    over = {unplug_at_the_third: [0, 1, 2, 3], ("attenuation", table.voa): [3, 4]}
    found = table.sweep(over, [("power", table.meter)], restore=False)
    assert found.attrs["points_done"] == 4
    assert found.attrs["complete"] == 0
    assert "pm" in found.attrs["ended"]
    assert np.isfinite(found["power"].values[:2]).all()
    assert np.isnan(found["power"].values[2:]).all()
    with pytest.raises(hal.TransportError):  # and without a device from the beginning nothing is swept
        table.sweep(over, [("power", table.meter)])


def test_what_cannot_be_put_back_is_told(table: Table, faults: FaultBox) -> None:
    def wait() -> None:
        if table.voa.attenuation == 2.0:
            faults.unplug("voa")

    over = {lab.Connection(table.switch, 1): [2], ("attenuation", table.voa): [1, 2]}
    found = table.sweep(over, [("power", table.meter)], settle=wait, restore=True)
    assert found.attrs["not_restored"].startswith("attenuation: ")
    assert table.switch.connections() == {1: 1}  # the others are put back all the same


def test_a_mistake_in_a_callable_keeps_what_was_done(table: Table) -> None:
    def inverse(value: float) -> None:
        _ = 1 / value

    found = table.sweep({inverse: [2, 1, 0, -1]}, [("power", table.meter)])
    assert found.attrs["ended"] == "ZeroDivisionError: division by zero"
    assert found.attrs["points_done"] == 2


def test_states_words_flags_and_callables_are_read(table: Table, tokaido_station: hal.Station) -> None:
    alice = tokaido_station.device("alice", hal.Transmitter)
    stale = hal.Reading(1.0, "V", 0, 75.0, hal.Quality.STALE)
    answers = iter([hal.Reading(0.5, "V", 0, 0.0, hal.Quality.GOOD), stale, float("nan")])

    def colour() -> str:
        return "red"

    found = table.sweep(
        {("attenuation", table.voa): np.arange(3)},
        [("state", alice), lab.Probe("volts", lambda: next(answers)), colour, ("blocked", table.voa)],
    )
    assert found["state"].values.tolist() == ["STANDBY"] * 3
    assert found["colour"].values.tolist() == ["red"] * 3
    assert found["volts"].attrs == {"units": "V"}
    assert np.array_equal(found["volts"], [0.5, np.nan, np.nan], equal_nan=True)
    assert found["volts_reason"].values.tolist() == ["", "stale: 75 s old", "nothing was read"]
    assert found["blocked"].values.tolist() == [0.0] * 3


def test_it_goes_into_a_file_and_back(table: Table, tmp_path: Path) -> None:
    pytest.importorskip("scipy")
    import xarray

    found = table.sweep({("attenuation", table.voa): [0, 1]}, [table.meter], seed=3)
    found.to_netcdf(tmp_path / "sweep.nc", engine="scipy")
    with xarray.open_dataset(tmp_path / "sweep.nc", engine="scipy") as read:
        assert np.allclose(read["power"], found["power"])
        assert read["power"].attrs["units"] == "dBm"
        assert json.loads(read.attrs["devices"]) == json.loads(found.attrs["devices"])
        assert read.attrs["complete"] == 1


def test_a_bar_shows_how_far_it_is_where_that_is_asked(table: Table, capfd: pytest.CaptureFixture[str]) -> None:
    table.sweep({("attenuation", table.voa): [0, 1]}, [("power", table.meter)])
    assert capfd.readouterr() == ("", "")
    table.sweep({("attenuation", table.voa): [0, 1]}, [("power", table.meter)], progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert "2/2" in err
    assert "attenuation 1" in err


def test_without_xarray_it_says_what_to_install(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    table.voa.attenuation = 5.0
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(hal.TokaidoError, match=r"needs xarray.*tokaido\[lab\]"):
        table.sweep({("attenuation", table.voa): [0, 1]}, [("power", table.meter)])
    assert table.voa.attenuation == 5.0
