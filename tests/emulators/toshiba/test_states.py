"""The state machine (page, sections 4, 6 and 7). The table below was written by hand from the page."""

from __future__ import annotations

import pytest

from tokaido.emulators.toshiba import ReceiverModel, TransmitterModel
from tokaido_testing.console import Program

STATES = (
    "OFF SELFTEST WARMUP AUTH ALIGN STANDBY RUN TRACK DEGRADED REALIGN FAULT SECURITY_HOLD ZEROIZE".split()  # noqa: SIM905
)
SETUP = {"OFF", "WARMUP", "AUTH", "STANDBY"}
RUNNING = {"RUN", "TRACK", "DEGRADED"}
ANY = set(STATES)
BOTH = {
    "PWR ON": {"OFF"},
    "PWR OFF": ANY - {"ZEROIZE"},
    "KEY START": {"STANDBY"},
    "KEY STOP": RUNNING | {"REALIGN"},
    "ALN START": {"STANDBY"},
    "SAFE": ANY,
    "FLT CLR": {"FAULT"},
    "SEC ACK": {"SECURITY_HOLD"},
    "SEC ZEROIZE,{serial}": ANY,
    "LSE 30,7F3A09C2": ANY,
    "BLK 200000": SETUP,
    "BAS 0.6": SETUP,
    "LNK -,-": SETUP,
    "LNK?": ANY,
    "LNK:LIST?": ANY,
    "IDN?": ANY,
    "STAT?": ANY,
    "ALM?": ANY,
    "TEL?": ANY,
    "UPT?": ANY,
    "RATE:SIFT?": ANY,
    "KEYS?": ANY,
    "SES?": ANY,
}
TRANSMITTER = {
    "VOA:ATT 30": SETUP,
    "IM:BIAS 3": SETUP,
    "MU:SIG 0.6": SETUP,
    "MU:DEC 0.2": SETUP,
    "MU:VAC 0.002": SETUP,
    "PRB:DEC 0.2": SETUP,
    "PRB:VAC 0.2": SETUP,
    "EMI?": ANY,
    "LAS:TEMP?": ANY,
    "CLK:RATE?": ANY,
}
RECEIVER = {
    "SHT CLOSED": SETUP,
    "DET0:BIAS 50": SETUP,
    "DET1:DLY 300": SETUP,
    "DET0:DEAD 20": SETUP,
    "DET1:CNT?": ANY,
    "IFM:TEMP?": ANY,
    "CLK:LOCK?": ANY,
}
LEADS_TO = {
    ("PWR ON", "OFF"): "SELFTEST",
    ("KEY START", "STANDBY"): "RUN",
    ("ALN START", "STANDBY"): "REALIGN",
    ("LNK -,-", "STANDBY"): "AUTH",
    ("FLT CLR", "FAULT"): "SELFTEST",
    ("SEC ACK", "SECURITY_HOLD"): "AUTH",
    **{("PWR OFF", state): "OFF" for state in ANY - {"ZEROIZE"}},
    **{("KEY STOP", state): "STANDBY" for state in (*RUNNING, "REALIGN")},
    **{("SAFE", state): "STANDBY" for state in (*RUNNING, "REALIGN", "ALIGN")},
    **{("SEC ZEROIZE,{serial}", state): "ZEROIZE" for state in ANY},
}
CASES = [
    pytest.param(kind, command, allowed, id=f"{kind.MODEL} {command}")
    for kind, own in ((TransmitterModel, TRANSMITTER), (ReceiverModel, RECEIVER))
    for command, allowed in {**BOTH, **own}.items()
]
Kind = type[TransmitterModel] | type[ReceiverModel]


def in_state(kind: Kind, state: str) -> Program:
    model = kind()
    model.prepare(state)
    return Program(model)


@pytest.mark.parametrize(("kind", "command", "allowed"), CASES)
def test_a_command_is_allowed_or_refused_in_every_state(kind: Kind, command: str, allowed: set[str]) -> None:
    for state in STATES:
        program = in_state(kind, state)
        reply = program.ask(command.format(serial=program.model.serial_number))
        after = program.data("STAT?").split(",")[0]
        if state in allowed:
            assert reply.startswith("OK"), (state, reply)
            assert after == LEADS_TO.get((command, state), state)
        else:
            assert reply.startswith(f"ERR 30 STATE {state}: "), (state, reply)
            assert after == state


def test_an_alignment_goes_through_its_steps_in_40_s() -> None:
    program = in_state(TransmitterModel, "ALIGN")
    seen: list[str] = []
    seconds = 0
    while (state := program.data("STAT?")) != "STANDBY":
        seen += [state] if state not in seen else []
        program.pass_time(0.5)
        seconds += 1
    assert seen == [f"ALIGN,{step}" for step in ("BIAS", "POL", "SYNC", "DELAY", "PHASE", "GATES")]
    assert seconds / 2 == pytest.approx(40, abs=1)


def test_a_receiver_without_light_waits_in_align() -> None:
    model = ReceiverModel()
    model.prepare("ALIGN")
    model.incoming = None
    program = Program(model)
    program.pass_time(120)
    assert program.data("STAT?") == "ALIGN,POL"
    assert program.active() == {"LOS"}
