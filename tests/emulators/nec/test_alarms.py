"""Alarms: each is reached by a fault, latches and ends as the page says; the log, and what it loses (section 4.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tokaido.emulators.nec import ReceiverModel, TransmitterModel
from tokaido_testing.sealed import Instrument

if TYPE_CHECKING:
    from collections.abc import Callable

    Build = Callable[[], TransmitterModel | ReceiverModel]

# code: severity, state afterwards (None: as before), what ends it
PAGE = {
    "LASER_TEMP": ("MAJOR", "FAULT", "FAUL:CLE"),
    "LASER_POWER": ("MAJOR", "FAULT", "FAUL:CLE"),
    "PHOTON_NUMBER": ("CRITICAL", "FAULT", "FAUL:CLE"),
    "RNG_FAIL": ("CRITICAL", "FAULT", "FAUL:CLE"),
    "DET_TEMP": ("MAJOR", "FAULT", "FAUL:CLE"),
    "DETECTOR_BLINDING": ("CRITICAL", "SECURITY_HOLD", "SEC:ACKN"),
    "TROJAN_LIGHT": ("CRITICAL", "SECURITY_HOLD", "SEC:ACKN"),
    "TAMPER": ("CRITICAL", "SECURITY_HOLD", "SEC:ACKN"),
    "AUTH_MISMATCH": ("CRITICAL", "SECURITY_HOLD", "SEC:ACKN"),
    "QBER_ABORT": ("CRITICAL", "SECURITY_HOLD", "SEC:ACKN"),
    "PHASE_ERROR_ABORT": ("CRITICAL", "SECURITY_HOLD", "SEC:ACKN"),
    "DETECTOR_MISMATCH": ("CRITICAL", "SECURITY_HOLD", "SEC:ACKN"),
    "QUARANTINE": ("CRITICAL", None, "SEC:ACKN"),
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
    "LEASE_EXPIRED": ("MINOR", "STANDBY", "lease"),
    "CHASSIS_TEMP": ("WARNING", None, ""),
}
BUILDS: dict[str, Build] = {
    "transmitter": TransmitterModel,
    "nanowires": ReceiverModel,
    "photodiodes": lambda: ReceiverModel(detectors="avalanche"),
}
SLOW = {("nanowires", "detector_warmup_failure")}  # 12 h; test_hardware.py has it
WALK = [
    pytest.param(build, fault, code, id=f"{name} {fault}")
    for name, build in BUILDS.items()
    for fault, code in build().MODEL_FAULTS.items()
    if (name, fault) not in SLOW
]


def test_every_alarm_of_the_page_has_a_fault() -> None:
    assert {code for build in BUILDS.values() for code in build().MODEL_FAULTS.values()} == set(PAGE)


@pytest.mark.parametrize(("build", "fault", "code"), WALK)
def test_each_fault_leads_to_its_alarm_and_each_alarm_ends_as_the_page_says(
    build: Build, fault: str, code: str
) -> None:
    model = build()
    instrument = Instrument(model)
    severity, after, ends = PAGE[code]
    besides = {"QBER_HIGH"} if code == "QBER_ABORT" else set()  # it is above that limit too
    if fault.endswith("warmup_failure"):
        instrument.data("UNIT:POW ON")
    else:
        model.prepare("RUN")
        instrument.pass_time(3)
    model.add_fault(fault)
    instrument.pass_time(3)
    for _ in range(700):
        if code in instrument.active():
            break
        instrument.pass_time(1)
    assert instrument.active() == {code} | besides
    fields = instrument.data("STAT:ALAR?").split(",")
    number = fields.index(code)
    assert fields[number + 1] == severity
    assert fields[number + 3] == str(int(ends in ("FAUL:CLE", "SEC:ACKN")))
    log = instrument.data("STAT:ALAR:LOG? 0").split(",")
    assert ["RAISED", code, severity] in [log[i : i + 3] for i in range(2, len(log), 5)]
    instrument.pass_time(0.1)
    assert instrument.state() in ({after} if after else {"RUN", "TRACK"})
    if ends in ("FAUL:CLE", "SEC:ACKN") and fault in model.faults:
        refused = instrument.ask(ends)
        assert (refused.code, refused.text) == (132, f"Refused;the cause of {code} lasts")
    model.faults.remove(fault)
    instrument.pass_time(10)
    if ends in ("FAUL:CLE", "SEC:ACKN"):
        for _ in range(9):  # a part that is too warm takes its time to cool
            assert instrument.active() == {code} | besides
            if instrument.ask(ends).code == 0:
                break
            instrument.pass_time(10)
        leads_to = {"FAUL:CLE": "SELFTEST", "SEC:ACKN": "AUTH" if after else "RUN"}[ends]
        assert instrument.state() in {leads_to, "TRACK"}
    elif ends == "lease":
        instrument.data('UNIT:LEAS 0,"7F3A09C2"')
    elif ends == "":
        for _ in range(29):
            if not instrument.active():
                break
            instrument.pass_time(10)
    else:
        instrument.pass_time(50)
    assert instrument.active() == ({code} if ends == "block" else besides)


# --- the log --------------------------------------------------------------------------------------------------------


def flicker(instrument: Instrument, times: int) -> None:
    for _ in range(times):
        instrument.model.add_fault("keystore_full")
        instrument.pass_time(0.05)
        instrument.model.faults.remove("keystore_full")  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
        instrument.pass_time(0.05)


@pytest.fixture
def tx() -> Instrument:
    model = TransmitterModel()
    model.prepare("RUN")
    return Instrument(model)


def test_the_log_has_the_changes_above_a_number_oldest_first(tx: Instrument) -> None:
    assert tx.data("STAT:ALAR?;:STAT:ALAR:LOG? 0") == "0;0"
    flicker(tx, 2)
    text = '"64 key blocks wait to be drawn"'
    assert tx.data("STAT:ALAR:LOG? 0") == (
        f"4,1,RAISED,KEYSTORE_FULL,MAJOR,{text},2,CLEARED,KEYSTORE_FULL,MAJOR,{text},"
        f"3,RAISED,KEYSTORE_FULL,MAJOR,{text},4,CLEARED,KEYSTORE_FULL,MAJOR,{text}"
    )
    assert tx.data("STAT:ALAR:LOG? 3") == f"4,4,CLEARED,KEYSTORE_FULL,MAJOR,{text}"
    assert tx.data("STAT:ALAR:LOG? 4;:STAT:ALAR:LOG? 99") == "4;4"
    assert tx.data("STAT:ALAR?") == "4"


def test_the_log_keeps_64_changes_and_a_gap_shows_what_is_lost(tx: Instrument) -> None:
    flicker(tx, 40)
    fields = tx.data("STAT:ALAR:LOG? 0").split(",")
    numbers = [int(number) for number in fields[1::5]]
    assert fields[0] == "80"
    assert numbers == list(range(17, 81))
    assert [int(number) for number in tx.data("STAT:ALAR:LOG? 70").split(",")[1::5]] == list(range(71, 81))


def test_the_age_of_an_alarm_counts_from_when_it_was_raised(tx: Instrument) -> None:
    tx.model.add_fault("keystore_full")
    tx.pass_time(10)
    number, code, severity, age, latched = tx.data("STAT:ALAR?").split(",")
    assert (number, code, severity, latched) == ("1", "KEYSTORE_FULL", "MAJOR", "0")
    assert float(age) == pytest.approx(10, abs=0.2)


def test_a_security_alarm_outlives_a_power_cycle(tx: Instrument) -> None:
    tx.model.add_fault("cover_opened")
    tx.model.faults.remove("cover_opened")  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    tx.data("UNIT:POW OFF;:UNIT:POW ON")
    tx.pass_time(60)
    assert tx.state() == "SECURITY_HOLD"
    tx.data("SEC:ACKN")
    assert tx.state() == "AUTH"
