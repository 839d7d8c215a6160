"""Alarms: each one is reached by a documented fault, latches as the page says, and ends as it says (section 5)."""

from __future__ import annotations

import re

import pytest

from tokaido.emulators.toshiba import ReceiverModel, TransmitterModel
from tokaido.emulators.units import MODEL_FAULTS
from tokaido_testing.console import Program, seal

Kind = type[TransmitterModel] | type[ReceiverModel]
# code: severity, state afterwards (None: as before), what ends it
PAGE = {
    "LASER_TEMP": ("MAJOR", "FAULT", "FLT CLR"),
    "LASER_POWER": ("MAJOR", "FAULT", "FLT CLR"),
    "PHOTON_NUMBER": ("CRITICAL", "FAULT", "FLT CLR"),
    "RNG_FAIL": ("CRITICAL", "FAULT", "FLT CLR"),
    "DET_TEMP": ("MAJOR", "FAULT", "FLT CLR"),
    "DETECTOR_BLINDING": ("CRITICAL", "SECURITY_HOLD", "SEC ACK"),
    "TROJAN_LIGHT": ("CRITICAL", "SECURITY_HOLD", "SEC ACK"),
    "TAMPER": ("CRITICAL", "SECURITY_HOLD", "SEC ACK"),
    "AUTH_MISMATCH": ("CRITICAL", "SECURITY_HOLD", "SEC ACK"),
    "QBER_ABORT": ("CRITICAL", "SECURITY_HOLD", "SEC ACK"),
    "PHASE_ERROR_ABORT": ("CRITICAL", "SECURITY_HOLD", "SEC ACK"),
    "DETECTOR_MISMATCH": ("CRITICAL", "SECURITY_HOLD", "SEC ACK"),
    "QUARANTINE": ("CRITICAL", None, "SEC ACK"),
    "AUTH_KEY_LOW": ("MAJOR", None, ""),
    "QBER_HIGH": ("MINOR", "DEGRADED", "block"),
    "RATE_LOW": ("MINOR", "DEGRADED", ""),
    "EC_FAIL": ("MINOR", None, "block"),
    "NO_KEY": ("WARNING", None, "block"),
    "LOS": ("MAJOR", "DEGRADED", ""),
    "SYNC_LOSS": ("MAJOR", "DEGRADED", ""),
    "PEER_UNREACHABLE": ("MAJOR", None, ""),
    "SETTINGS_MISMATCH": ("MINOR", None, ""),
    "KEYSTORE_FULL": ("MAJOR", None, ""),
    "LEASE_EXPIRED": ("MINOR", "STANDBY", "LSE"),
    "CHASSIS_TEMP": ("WARNING", None, ""),
}
WALK = [
    pytest.param(kind, fault, code, id=f"{kind.SIDE} {fault}")
    for kind in (TransmitterModel, ReceiverModel)
    for fault, code in MODEL_FAULTS[kind.SIDE].items()
]


def test_every_alarm_of_the_page_has_a_fault() -> None:
    assert {code for table in MODEL_FAULTS.values() for code in table.values()} == set(PAGE)


@pytest.mark.parametrize(("kind", "fault", "code"), WALK)
def test_each_fault_leads_to_its_alarm_and_each_alarm_ends_as_the_page_says(kind: Kind, fault: str, code: str) -> None:
    model = kind()
    program = Program(model)
    severity, after, ends = PAGE[code]
    besides = {"QBER_HIGH"} if code == "QBER_ABORT" else set()  # it is above that limit too
    if fault.endswith("warmup_failure"):
        program.data("PWR ON")
    else:
        model.prepare("RUN")
        program.pass_time(3)
    model.add_fault(fault)
    program.pass_time(3)
    for _ in range(700):
        if code in program.active():
            break
        program.pass_time(1)
    assert program.active() == {code} | besides
    line = next(line for line in program.alarms if f" {code} " in line)
    body = line.rpartition("*")[0]
    assert re.fullmatch(rf"!00000[12] RAISED {code} {severity} [ -~]+", body)
    assert line == seal(model.serial_number, body)
    assert program.data("ALM?").endswith(f",{int(ends in ('FLT CLR', 'SEC ACK'))}")
    program.pass_time(0.1)
    assert program.data("STAT?") in ({after} if after else {"RUN", "TRACK"})
    if ends in ("FLT CLR", "SEC ACK") and fault in model.faults:
        assert program.ask(ends).startswith("ERR 32 REFUSED ")
    model.faults.remove(fault)
    program.pass_time(10)
    if ends in ("FLT CLR", "SEC ACK"):
        for _ in range(9):  # a part that is too warm takes its time to cool
            assert program.active() == {code} | besides
            if program.ask(ends).startswith("OK"):
                break
            program.pass_time(10)
        leads_to = {"FLT CLR": "SELFTEST", "SEC ACK": "AUTH" if after else "RUN"}[ends]
        assert program.data("STAT?") in {leads_to, "TRACK"}
    elif ends == "LSE":
        program.data("LSE 0,7F3A09C2")
    elif ends == "":
        for _ in range(29):
            if not program.active():
                break
            program.pass_time(10)
    else:
        program.pass_time(50)
    assert program.active() == ({code} if ends == "block" else besides)


def test_alarm_lines_are_numbered_without_a_gap() -> None:
    model = TransmitterModel()
    model.prepare("RUN")
    program = Program(model)
    for _ in range(3):
        model.add_fault("keystore_full")
        program.pass_time(0.1)
        model.faults.remove("keystore_full")
        program.pass_time(0.1)
    program.read()
    numbers = [line[1:7] for line in program.alarms]
    assert numbers == [f"{i:06X}" for i in range(1, 7)]
    assert program.data("ALM?") == "000006"
