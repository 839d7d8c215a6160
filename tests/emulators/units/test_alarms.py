"""Alarms of any unit: what clears them, what they outlive, and which goes before which."""

from __future__ import annotations

import pytest

from tokaido.emulators.toshiba import ReceiverModel, TransmitterModel
from tokaido.hal import ConfigurationError
from tokaido_testing.console import Program


def test_a_rate_alarm_clears_only_above_a_fifth() -> None:
    model = ReceiverModel()
    model.prepare("RUN")
    program = Program(model)
    model.add_fault("rate_drop")
    program.pass_time(3)
    assert program.active() == {"RATE_LOW"}
    model.faults.remove("rate_drop")
    program.pass_time(0.2)
    assert program.active() == set()


def test_a_chassis_alarm_clears_only_below_43_degrees() -> None:
    model = TransmitterModel()
    model.prepare("STANDBY")
    program = Program(model)
    model.chassis.temperature = 45.1
    program.pass_time(0.1)
    assert program.active() == {"CHASSIS_TEMP"}
    model.chassis.temperature = 43.5
    program.pass_time(0.1)
    assert program.active() == {"CHASSIS_TEMP"}
    model.chassis.temperature = 42.9
    program.pass_time(0.1)
    assert program.active() == set()


def test_a_security_alarm_outlives_a_power_cycle() -> None:
    model = TransmitterModel()
    model.prepare("RUN")
    program = Program(model)
    model.add_fault("cover_opened")
    model.faults.remove("cover_opened")
    program.data("PWR OFF")
    program.data("PWR ON")
    program.pass_time(60)
    assert program.data("STAT?") == "SECURITY_HOLD"
    program.data("SEC ACK")
    assert program.data("STAT?") == "AUTH"


def test_a_cold_unit_that_was_tampered_with_warms_up_after_the_acknowledgement() -> None:
    model = TransmitterModel()
    program = Program(model)
    model.add_fault("cover_opened")
    program.data("PWR ON")
    program.pass_time(20)
    assert program.data("STAT?") == "SECURITY_HOLD"
    assert program.active() == {"TAMPER"}
    model.faults.remove("cover_opened")
    program.data("PWR OFF")
    program.data("PWR ON")
    program.pass_time(3)
    model.add_fault("cover_opened")
    model.faults.remove("cover_opened")
    program.data("SEC ACK")
    assert program.data("STAT?") == "WARMUP"
    program.pass_time(60)
    assert program.data("STAT?") == "AUTH"
    assert program.active() == set()


def test_security_goes_before_a_fault_and_the_fault_is_not_forgotten() -> None:
    model = TransmitterModel()
    model.prepare("RUN")
    program = Program(model)
    model.add_fault("rng_failure")
    program.pass_time(0.1)
    assert program.data("STAT?") == "FAULT"
    model.add_fault("cover_opened")
    assert program.data("STAT?") == "SECURITY_HOLD"
    model.faults.remove("cover_opened")
    program.data("SEC ACK")
    assert program.data("STAT?") == "FAULT"


def test_a_fault_of_the_other_unit_is_unknown() -> None:
    with pytest.raises(ConfigurationError):
        TransmitterModel().add_fault("detector_blinding")
