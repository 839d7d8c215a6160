"""What the state machine of a unit does by itself, seen through the console of Toshiba-style units."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tokaido.emulators.toshiba import ReceiverModel, TransmitterModel
from tokaido_testing.console import Program, seal

STATES = (
    "OFF SELFTEST WARMUP AUTH ALIGN STANDBY RUN TRACK DEGRADED REALIGN FAULT SECURITY_HOLD ZEROIZE".split()  # noqa: SIM905
)
Kind = type[TransmitterModel] | type[ReceiverModel]


def in_state(kind: Kind, state: str) -> Program:
    model = kind()
    model.prepare(state)
    return Program(model)


@pytest.mark.parametrize("kind", [TransmitterModel, ReceiverModel])
def test_what_is_powered_on_comes_up_by_itself(kind: Kind) -> None:
    program = Program(kind())
    program.data("PWR ON")
    program.pass_time(1.9)
    assert program.data("STAT?") == "SELFTEST"
    program.pass_time(0.2)
    assert program.data("STAT?") == "WARMUP"
    seconds = 2.0
    while program.data("STAT?") == "WARMUP":
        program.pass_time(1)
        seconds += 1
    assert program.data("STAT?") == "AUTH"
    assert seconds == pytest.approx(40 if kind is TransmitterModel else 60, abs=8)
    assert program.active() == set()


def test_temperatures_settle_exponentially_and_show_a_little_noise() -> None:
    program = Program(ReceiverModel())
    program.data("PWR ON")
    off = []
    for _ in range(5):
        program.pass_time(8)
        off.append(abs(float(program.data("DET0:TEMP?")) + 30))
    ratios = [after / before for before, after in pairwise(off)]
    assert ratios == pytest.approx([ratios[0]] * 4, rel=0.05)
    program.pass_time(300)
    readings = set()
    for _ in range(20):
        program.pass_time(0.5)
        readings.add(program.data("DET0:TEMP?"))
    assert len(readings) > 5
    assert all(abs(float(reading) + 30) < 0.1 for reading in readings)


def test_a_unit_alone_waits_in_auth_and_complains_only_when_an_answer_is_due() -> None:
    model = TransmitterModel()
    model.warm()
    program = Program(model)
    program.pass_time(60)
    assert program.data("STAT?") == "AUTH"
    assert program.active() == set()
    model.load_psk(bytes(4096))
    program.pass_time(2.9)
    assert program.active() == set()
    program.pass_time(0.3)
    assert program.active() == {"PEER_UNREACHABLE"}
    assert program.data("STAT?") == "AUTH"


def test_key_start_realigns_first_if_the_unit_is_not_aligned() -> None:
    program = in_state(ReceiverModel, "STANDBY")
    program.data("SAFE")
    program.data("KEY START")
    assert program.data("STAT?") == "REALIGN,BIAS"
    program.pass_time(41)
    assert program.data("STAT?") == "RUN"


@pytest.mark.parametrize(("order", "goal"), [("ALN START", "STANDBY")])
def test_a_realignment_goes_back_to_where_it_came_from(order: str, goal: str) -> None:
    program = in_state(TransmitterModel, "STANDBY")
    program.data(order)
    program.pass_time(41)
    assert program.data("STAT?") == goal


def test_a_servo_moves_now_and_then() -> None:
    program = in_state(ReceiverModel, "RUN")
    seen = set()
    for _ in range(100):
        program.pass_time(0.5)
        seen.add(program.data("STAT?"))
    assert seen == {"RUN", "TRACK"}


def test_a_degraded_unit_realigns_after_30_s_or_recovers_before() -> None:
    program = in_state(ReceiverModel, "RUN")
    model = program.model
    assert isinstance(model, ReceiverModel)
    model.faults.add("light_lost")
    program.pass_time(1)
    assert program.data("STAT?") == "DEGRADED"
    model.faults.remove("light_lost")
    program.pass_time(0.2)
    assert program.data("STAT?") == "RUN"
    model.faults.add("light_lost")
    program.pass_time(31)
    assert program.data("STAT?").startswith("REALIGN")
    assert program.data("SES?") == "-"


@pytest.mark.parametrize("state", STATES)
def test_the_safe_state(state: str) -> None:
    transmitter, receiver = in_state(TransmitterModel, state), in_state(ReceiverModel, state)
    transmitter.data("SAFE")
    receiver.data("SAFE")
    assert transmitter.data("EMI?") == "0"
    assert transmitter.data("VOA:ATT?") == "60"
    assert receiver.data("SHT?") == "CLOSED"
    assert [receiver.data(f"DET{i}:BIAS?") for i in (0, 1)] == ["0", "0"]


@pytest.mark.parametrize("state", ["OFF", "FAULT", "SECURITY_HOLD", "ZEROIZE"])
def test_some_states_are_safe_by_themselves(state: str) -> None:
    assert in_state(TransmitterModel, state).data("EMI?") == "0"
    receiver = in_state(ReceiverModel, state)
    assert receiver.data("SHT?") == "CLOSED"
    assert receiver.data("DET0:CNT?") == "0"


def test_an_alignment_brings_the_settings_back_that_safe_took() -> None:
    program = in_state(TransmitterModel, "STANDBY")
    program.data("VOA:ATT 33")
    program.data("SAFE")
    program.data("ALN START")
    assert program.data("VOA:ATT?") == "33"
    assert program.data("EMI?") == "1"


def test_zeroize_erases_the_preshared_key_and_ends_in_off() -> None:
    program = in_state(TransmitterModel, "RUN")
    assert program.data("PSK?") == "1"
    program.data("SEC ZEROIZE,TKTX0001")
    assert program.data("PSK?") == "0"
    assert program.data("STAT?") == "ZEROIZE"
    program.pass_time(1.1)
    assert program.data("STAT?") == "OFF"


# --- the lease ------------------------------------------------------------------------------------------------------


def test_a_lease_that_runs_out_does_what_safe_does() -> None:
    program = in_state(TransmitterModel, "RUN")
    assert program.data("LSE?") == "0,0,-"
    assert program.data("LSE 30,7F3A09C2") == "30,30,7F3A09C2"
    program.pass_time(20)
    assert program.data("LSE?") == "30,10,7F3A09C2"
    assert program.data("LSE:KEEP 7F3A09C2") == ""
    program.pass_time(29.9)
    assert program.data("STAT?") in ("RUN", "TRACK")
    program.pass_time(0.2)
    assert program.data("STAT?") == "STANDBY"
    assert program.data("EMI?") == "0"
    assert program.data("LSE?") == "0,0,-"
    assert program.active() == {"LEASE_EXPIRED"}
    program.data("LSE 0,7F3A09C2")
    assert program.active() == set()


def test_no_request_renews_a_lease_but_its_holder_s_own() -> None:
    """A program that reads beside a dead controller keeps nothing alive, sealed or not; nor does a repeated request."""
    program = in_state(TransmitterModel, "RUN")
    program.data("LSE 5,7F3A09C2")
    kept = seal("TKTX0001", "#00C0DE LSE:KEEP 7F3A09C2")
    for _ in range(6):
        program.line(kept)
        program.data("STAT?")
        program.data("TEL?")
        program.line("STAT?")
        program.line("#000001 LSE:KEEP 7F3A09C2*00000000")
        assert program.ask("LSE:KEEP 7F3A09C3").startswith("ERR 32 REFUSED ")
        program.pass_time(1)
    assert program.data("STAT?") == "STANDBY"
    assert program.ask("LSE:KEEP 7F3A09C2").startswith("ERR 32 REFUSED nobody holds")


def test_a_lease_is_taken_over_and_never_ended_for_another() -> None:
    program = in_state(TransmitterModel, "RUN")
    program.data("LSE 5,7F3A09C2")
    assert program.ask("LSE 0,00000001").startswith("ERR 32 REFUSED 7F3A09C2 holds")
    program.line("lse 60,0000abcd")  # an operator
    assert program.ask("LSE:KEEP 7F3A09C2").startswith("ERR 32 REFUSED 0000ABCD holds")
    program.pass_time(50)
    assert program.data("LSE?") == "60,10,0000ABCD"
    program.data("LSE 0,0000ABCD")
    assert program.data("LSE?") == "0,0,-"


def test_a_lease_counts_in_every_state() -> None:
    program = in_state(ReceiverModel, "OFF")
    program.data("LSE 5,7F3A09C2")
    program.pass_time(5.1)
    assert program.active() == {"LEASE_EXPIRED"}
    assert program.data("STAT?") == "OFF"
