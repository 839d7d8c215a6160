"""The console: for a person, for a program, seals, repeats, alarm lines between lines (page, sections 1 to 3)."""

from __future__ import annotations

import pytest

from tokaido.emulators.toshiba import ReceiverModel, TransmitterModel
from tokaido.hal import ConfigurationError
from tokaido_testing.console import Program, seal


@pytest.fixture
def unit() -> TransmitterModel:
    model = TransmitterModel("TKTX0001")
    model.prepare("STANDBY")
    return model


@pytest.fixture
def program(unit: TransmitterModel) -> Program:
    return Program(unit)


def test_the_worked_lines_of_the_page(unit: TransmitterModel, program: Program) -> None:
    assert program.line("#00A1F0 IDN?*7F1E5713") == ["=00A1F0 OK TOSHIBA-STYLE,T12-TX,TKTX0001,1.0.0,TQC1*3DACDCA8"]
    assert program.line("#00A1F1 LAS:POW?*C4FADCAB")[0].startswith("=00A1F1 OK -0.")
    assert program.line("#00A1F2 VOA:ATT 12.5*25A4300E") == ["=00A1F2 OK 12.5*6969B926"]
    assert program.line("#00A1F3 VOA:ATT 99*2250761E") == ["=00A1F3 ERR 22 RANGE VOA:ATT takes 0 to 60 dB*03E46874"]
    unit.add_fault("cover_opened")
    assert program.line("#00A1F4 KEY START*60C52B78") == [
        "!000001 RAISED TAMPER CRITICAL the cover was opened*2A627B40",
        "=00A1F4 ERR 30 STATE SECURITY_HOLD: KEY START is allowed in STANDBY*A2B03440",
    ]


@pytest.mark.parametrize("ending", ["\r", "\n", "\r\n"])
def test_every_line_end_ends_one_line(program: Program, ending: str) -> None:
    line = seal("TKTX0001", "#000001 EMI?")
    assert program.line(line, ending) == [seal("TKTX0001", "=000001 OK 1")]
    assert program.line(seal("TKTX0001", "#000002 EMI?"), ending) == [seal("TKTX0001", "=000002 OK 1")]


def test_a_line_may_come_in_pieces_and_several_in_one(unit: TransmitterModel, program: Program) -> None:
    first, second = seal("TKTX0001", "#000001 EMI?"), seal("TKTX0001", "#000002 RNG?")
    unit.receive("control", first[:7].encode())
    assert program.read() == []
    unit.receive("control", f"{first[7:]}\r{second}\r".encode())
    assert program.read() == [seal("TKTX0001", "=000001 OK 1"), seal("TKTX0001", "=000002 OK 1")]


def test_can_throws_away_the_line_that_was_begun(unit: TransmitterModel, program: Program) -> None:
    unit.receive("control", b"#000001 VOA:\x18")
    assert program.line("\x18" + seal("TKTX0001", "#000002 EMI?")) == [seal("TKTX0001", "=000002 OK 1")]
    unit.receive("control", b"voa\x18")
    assert program.read() == ["voa"]
    assert program.line("\x18" + seal("TKTX0001", "#000003 EMI?")) == ["", seal("TKTX0001", "=000003 OK 1")]


def test_a_nul_between_lines_is_ignored(unit: TransmitterModel, program: Program) -> None:
    unit.receive("control", b"\0\0")
    assert program.data("EMI?") == "1"


@pytest.mark.parametrize("serial", ["TKTX0002", ""])
def test_a_line_sealed_for_another_box_is_not_carried_out(program: Program, serial: str) -> None:
    reply = program.line(seal(serial, "#000001 VOA:ATT 3"))
    assert reply[0].startswith("=000001 ERR 10 CHECKSUM ")
    assert program.data("VOA:ATT?") == "35"


def test_identity_is_sealed_without_a_serial_number(program: Program) -> None:
    assert program.line(seal("TKTX0001", "#000001 IDN?"))[0].startswith("=000001 ERR 10 CHECKSUM")
    assert program.line(seal("", "#000002 IDN?"))[0].startswith("=000002 OK TOSHIBA-STYLE,T12-TX,TKTX0001")


@pytest.mark.parametrize("line", ["#", "#garbage", "#00a1f0 EMI?*00000000", "#00A1F EMI?*00000000"])
def test_without_a_readable_id_there_is_no_answer(program: Program, line: str) -> None:
    assert program.line(line) == []


@pytest.mark.parametrize("command", ["EMI?  ", " EMI?", "VOA:ATT  3", "VOA:ATT 3 4", "", "EMI? *3"])
def test_what_is_not_a_line_of_the_contract_is_a_syntax_error(program: Program, command: str) -> None:
    assert program.line(seal("TKTX0001", f"#000001 {command}"))[0].startswith("=000001 ERR 11 SYNTAX ")


def test_a_byte_outside_ascii_makes_the_line_bad(program: Program) -> None:
    assert program.line(seal("TKTX0001", "#000001 EMI\x07?"))[0].startswith("=000001 ERR 11 SYNTAX ")


def test_a_line_too_long_is_thrown_away_up_to_its_end(program: Program) -> None:
    body, _, sealed = program.line("#000001 " + "A" * 300)[0].rpartition("*")
    assert body.startswith("= ERR 12 TOO_LONG ")
    assert seal("TKTX0001", body) == f"{body}*{sealed}"
    assert program.data("EMI?") == "1"


@pytest.mark.parametrize(
    ("command", "error"),
    [
        ("NONSENSE", "20 UNKNOWN"),
        ("KEY?", "20 UNKNOWN"),
        ("LAS:POW 3", "20 UNKNOWN"),
        ("HELP", "20 UNKNOWN"),
        ("SHT?", "20 UNKNOWN"),
        ("emi?", "20 UNKNOWN"),
        ("EMI? 1", "21 ARGUMENT"),
        ("VOA:ATT", "21 ARGUMENT"),
        ("VOA:ATT abc", "21 ARGUMENT"),
        ("VOA:ATT nan", "21 ARGUMENT"),
        ("VOA:ATT 1_0", "21 ARGUMENT"),
        ("VOA:ATT 0x10", "21 ARGUMENT"),
        ("BLK 1e6", "21 ARGUMENT"),
        ("PWR", "21 ARGUMENT"),
        ("PWR UP", "21 ARGUMENT"),
        ("SAFE NOW", "21 ARGUMENT"),
        ("SEC ZEROIZE", "21 ARGUMENT"),
        ("VOA:ATT -0.1", "22 RANGE"),
        ("VOA:ATT 60.1", "22 RANGE"),
        ("VOA:ATT 1e300", "22 RANGE"),
        ("IM:BIAS -10.5", "22 RANGE"),
        ("BLK 99999", "22 RANGE"),
        ("LSE 4,7F3A09C2", "22 RANGE"),
        ("LSE 3601,7F3A09C2", "22 RANGE"),
        ("LSE 30,7F3A09C", "22 RANGE"),
        ("LSE 30,7f3a09c2", "22 RANGE"),
        ("LSE 30", "21 ARGUMENT"),
        ("LSE 30,7F3A09C2,1", "21 ARGUMENT"),
        ("LSE:KEEP", "21 ARGUMENT"),
        ("LSE:KEEP -", "22 RANGE"),
        ("LSE:KEEP?", "20 UNKNOWN"),
        ("MU:DEC 0.5", "32 REFUSED"),
        ("MU:SIG 0.1", "32 REFUSED"),
        ("SEC ZEROIZE,TKTX9999", "32 REFUSED"),
    ],
)
def test_refusals_have_their_number_and_name(program: Program, command: str, error: str) -> None:
    before = program.data("TEL?").split(" ")[1:]
    assert program.ask(command).startswith(f"ERR {error} ")
    settings = [item for item in before if item.startswith(("VOA", "MU:", "PRB", "BLK", "IM:BIAS"))]
    assert set(settings) <= set(program.data("TEL?").split(" "))


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("VOA:ATT 0", "0"),
        ("VOA:ATT 60", "60"),
        ("VOA:ATT -0", "0"),
        ("IM:BIAS -1.25", "-1.25"),
        ("BLK 300000", "300000"),
        ("MU:VAC 2.1e-05", "2.1e-05"),
        ("LSE 0,7F3A09C2", "0,0,-"),
        ("LSE 5,7F3A09C2", "5,5,7F3A09C2"),
    ],
)
def test_a_setting_answers_with_what_is_in_force(program: Program, command: str, answer: str) -> None:
    assert program.data(command) == answer
    assert program.data(command.partition(" ")[0] + "?") == answer


# --- repeats --------------------------------------------------------------------------------------------------------


def test_a_repeated_request_is_not_carried_out_again(unit: TransmitterModel, program: Program) -> None:
    line = seal("TKTX0001", "#000001 SAFE")
    assert program.line(line) == [seal("TKTX0001", "=000001 OK")]
    unit.prepare("STANDBY")
    assert program.line(line) == [seal("TKTX0001", "=000001 OK")]
    assert program.data("EMI?") == "1"


def test_a_refusal_is_remembered_like_a_success(unit: TransmitterModel, program: Program) -> None:
    line = seal("TKTX0001", "#000001 KEY STOP")
    refusal = program.line(line)
    unit.prepare("RUN")
    assert program.line(line) == refusal
    assert program.data("STAT?") == "RUN"


def test_an_id_with_another_text_is_refused(program: Program) -> None:
    program.line(seal("TKTX0001", "#000001 VOA:ATT 3"))
    assert program.line(seal("TKTX0001", "#000001 VOA:ATT 4"))[0].startswith("=000001 ERR 13 ID_REUSED ")
    assert program.data("VOA:ATT?") == "3"


def test_requests_are_forgotten_after_30_s(program: Program) -> None:
    program.line(seal("TKTX0001", "#000001 VOA:ATT 3"))
    program.pass_time(29.9)
    assert "ID_REUSED" in program.line(seal("TKTX0001", "#000001 VOA:ATT 4"))[0]
    program.pass_time(0.2)
    assert program.line(seal("TKTX0001", "#000001 VOA:ATT 4")) == [seal("TKTX0001", "=000001 OK 4")]


def test_the_last_16_requests_are_remembered(program: Program) -> None:
    program.line(seal("TKTX0001", "#000001 VOA:ATT 3"))
    for _ in range(15):
        program.data("EMI?")
    assert "ID_REUSED" in program.line(seal("TKTX0001", "#000001 VOA:ATT 4"))[0]
    program.data("EMI?")
    assert program.line(seal("TKTX0001", "#000001 VOA:ATT 4"))[0].startswith("=000001 OK 4")


def test_a_request_with_a_wrong_seal_is_not_remembered(program: Program) -> None:
    program.line("#000001 VOA:ATT 3*00000000")
    assert program.line(seal("TKTX0001", "#000001 VOA:ATT 4"))[0].startswith("=000001 OK 4")


# --- a person -------------------------------------------------------------------------------------------------------


def typed(unit: TransmitterModel, text: str) -> str:
    unit.receive("control", text.encode())
    return unit.take("control").decode()


def test_a_person_sees_an_echo_a_result_and_a_prompt(unit: TransmitterModel) -> None:
    assert typed(unit, "\r") == "\r\nTKTX0001 STANDBY> "
    assert typed(unit, "voa:") == "voa:"
    assert typed(unit, "att 12.5\r") == "att 12.5\r\n12.5 dB\r\nTKTX0001 STANDBY> "
    assert typed(unit, "VOA:ATT 99\r") == (
        "VOA:ATT 99\r\nerror 22 RANGE: VOA:ATT takes 0 to 60 dB\r\nTKTX0001 STANDBY> "
    )
    assert typed(unit, "las:pow?\r").split("\r\n")[1].endswith(" dBm")


def test_a_person_can_take_back_what_was_typed(unit: TransmitterModel) -> None:
    typed(unit, "\r")
    assert typed(unit, "\x7f") == ""
    assert typed(unit, "EMX\x08I?\r") == "EMX\b \bI?\r\n1\r\nTKTX0001 STANDBY> "


def test_help_lists_commands_with_argument_unit_and_states(unit: TransmitterModel) -> None:
    everything = typed(unit, "HELP\r")
    for needle in ("KEY START", "VOA:ATT", "0 to 60 dB", "OFF, WARMUP, AUTH, STANDBY", "[dBm]", "SEC ZEROIZE"):
        assert needle in everything
    some = typed(unit, "help las\r").split("\r\n")[1:-1]
    assert some
    assert all(line.startswith("LAS:") for line in some)


def test_every_command_of_help_is_known(unit: TransmitterModel) -> None:
    program = Program(unit)
    for line in typed(unit, "HELP\r").split("\r\n")[1:-1]:
        assert "UNKNOWN" not in program.ask(line.split()[0])


def test_an_alarm_line_never_comes_inside_what_a_person_types(unit: TransmitterModel) -> None:
    typed(unit, "\rEM")
    unit.add_fault("chassis_hot")
    unit.advance(unit.now_ns + 60_000_000_000)
    assert unit.take("control") == b""
    shown = typed(unit, "I?\r")
    assert shown.startswith("I?\r\n1\r\n!000001 RAISED CHASSIS_TEMP WARNING ")


def test_an_alarm_line_leaves_a_waiting_prompt_and_prints_it_again(unit: TransmitterModel) -> None:
    typed(unit, "\r")
    unit.add_fault("cover_opened")
    shown = unit.take("control").decode()
    assert shown.startswith("\r\n!000001 RAISED TAMPER ")
    assert shown.endswith("\r\nTKTX0001 SECURITY_HOLD> ")


def test_a_program_may_follow_a_person(unit: TransmitterModel, program: Program) -> None:
    typed(unit, "\r")
    assert program.line(seal("TKTX0001", "#000001 EMI?")) == ["", seal("TKTX0001", "=000001 OK 1")]


# --- odds and ends --------------------------------------------------------------------------------------------------


def test_tel_lists_every_reading_and_setting_and_names_what_is_missing() -> None:
    unit = ReceiverModel("TKRX0001")
    program = Program(unit)
    line = program.data("TEL?")
    values = dict(item.split("=") for item in line.split(" "))
    assert len(line) < 2048
    assert values["QBER"] == values["CLK:POW"] == values["VIS"] == "!NO_DATA"
    assert values["SHT"] == "CLOSED"
    assert values["DET1:BIAS"] == "0"
    assert values["BLK"] == "10000000"


@pytest.mark.parametrize("serial", ["ABC", "a" * 8, "A" * 25, "TK TX"])
def test_a_serial_number_has_its_form(serial: str) -> None:
    with pytest.raises(ConfigurationError):
        TransmitterModel(serial)


def test_random_bytes_never_raise(unit: TransmitterModel) -> None:
    import random

    chance = random.Random(1)
    for _ in range(200):
        unit.receive("control", chance.randbytes(chance.randrange(80)) + b"#00" * chance.randrange(3))
        unit.take("control")
    unit.receive("control", b"\r")
    unit.take("control")
    assert Program(unit).data("RNG?") == "1"
