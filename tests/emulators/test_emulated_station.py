"""A station whose devices are emulated within the program: the file of the laboratory, and nothing of it touched."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

import tokaido.hal as hal
from tokaido.emulators import EmulatedStation, SteppedClock
from tokaido.emulators.ends import in_process_names
from tokaido.emulators.testing import Leftovers

LAB = Path(__file__).parents[2] / "examples" / "lab.toml"


def test_the_file_that_opens_equipment_opens_emulated_devices() -> None:
    described = hal.Station.from_file(LAB)
    left = Leftovers()
    with EmulatedStation.from_file(LAB, seed=1) as station:
        assert list(station.devices) == list(described.devices)
        assert station.folder == LAB.parent
        voa = station.device("voa", hal.VariableAttenuator)
        meter = station.device("meter", hal.PowerMeter)
        before = meter.power
        voa.attenuation = 10.0
        station.clock.wait(1)
        assert before - meter.power == pytest.approx(10, abs=0.01)
        lease_file = station.links["field"].lease_file
        assert lease_file is not None
        assert LAB.parent not in lease_file.parents
        assert lease_file.parent.is_dir()
        station.link("field").move("A")
        assert lease_file.exists()
    assert left.found() == []
    assert not lease_file.parent.exists()
    assert not (LAB.parent / "keys").exists()


def test_events_happen_at_their_emulated_second_and_orders_at_once() -> None:
    clock = SteppedClock()
    with EmulatedStation.from_file(LAB, clock=clock, events={2: "bend patch 6", 4: "mend patch"}) as station:
        assert station.clock is clock
        meter = station.device("meter", hal.PowerMeter)
        begun = meter.power
        clock.wait(3)
        assert begun - meter.power == pytest.approx(6, abs=0.01)
        clock.wait(2)
        assert meter.power == pytest.approx(begun, abs=0.01)
        station.emulation.order("bend", "patch", "3")
        clock.wait(1)
        assert begun - meter.power == pytest.approx(3, abs=0.01)


def test_a_device_that_nothing_emulates_is_a_mistake_and_nothing_stays_open() -> None:
    text = "[devices.a]\ndriver = 'keysight.attenuator'\ncontrol = 'visa:TCPIP::192.0.2.1::5025::SOCKET'\n"
    text += "emulator = { serial_number = 'MY1' }\n"
    text += "[devices.b]\ndriver = 'keysight.attenuator'\ncontrol = 'visa:TCPIP::192.0.2.2::5025::SOCKET'\n"
    threads = threading.active_count()
    with pytest.raises(hal.ConfigurationError, match="b would be the real device"):
        EmulatedStation.from_text(text)
    assert in_process_names() == []
    assert threading.active_count() == threads
    with pytest.raises(hal.ConfigurationError, match="not an order"):
        EmulatedStation.from_file(LAB, events={1: "sever A"})
    with pytest.raises(hal.ConfigurationError, match="no fibre 'C'"):
        EmulatedStation.from_file(LAB, events={1: "cut C"})
    assert in_process_names() == []


def test_devices_reach_their_safe_state_before_what_emulates_them_is_gone(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="tokaido.hal.changes")
    with EmulatedStation.from_file(LAB) as station:
        station.on_exit = "safe"
        station.device("voa", hal.VariableAttenuator)
    assert any(record.getMessage().startswith("voa: blocked") for record in caplog.records), caplog.text
    station.close()
