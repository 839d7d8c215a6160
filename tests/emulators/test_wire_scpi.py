"""The SCPI core, against IEEE 488.2 and SCPI-99: what any instrument built on it answers."""

from __future__ import annotations

from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokaido.emulators.scpi import Dialect, Parameters, ScpiError, ScpiModel, command, parse_channels
from tokaido_testing.voa import Attenuator

MS = 1_000_000


class Voa(Attenuator):
    """The attenuator, asked in text."""

    def say(self, text: str) -> str:
        self.receive("control", text.encode() + b"\n")
        return self.take("control").decode()


@pytest.fixture
def voa() -> Voa:
    return Voa()


def test_every_mandatory_common_command_and_query_is_there(voa: Voa) -> None:
    assert voa.say("*IDN?") == "TOKAIDO,VOA-1,000001,1.0\n"
    for name in ("*ESE?", "*ESR?", "*OPC?", "*SRE?", "*STB?", "*TST?"):
        assert voa.say(name).strip().isdigit(), name
    for name in ("*CLS", "*ESE 4", "*OPC", "*RST", "*SRE 32", "*WAI"):
        assert voa.say(name) == "", name
    assert voa.say("SYST:ERR?") == '0,"No error"\n'


def test_power_on_is_reported_once(voa: Voa) -> None:
    assert (voa.say("*ESR?"), voa.say("*ESR?")) == ("128\n", "0\n")


@pytest.mark.parametrize("ending", ["\n", "\r", "\r\n"])
def test_cr_lf_or_both_end_a_message(voa: Voa, ending: str) -> None:
    voa.receive("control", f"SYST:VERS?{ending}SYST:VERS?{ending}".encode())
    assert voa.take("control") == b"1999.0\n1999.0\n"


@pytest.mark.parametrize("header", ["INPUT1:ATTENUATION", "inp:att", ":Inp1:Att", "INP:ATTENUATION"])
def test_long_and_short_forms_in_any_case_are_one_command(voa: Voa, header: str) -> None:
    assert voa.say(f"{header} 12.5;:{header.lstrip(':')}?") == "12.50\n"


def test_path_memory_holds_over_semicolons_and_common_commands(voa: Voa) -> None:
    voa.receive("control", b"INP:ATT 3;ATT?;*OPC?;ATT?;:SYST:ERR?\n")
    voa.advance(25 * MS)
    assert voa.take("control").decode() == '3.00;1;3.00;0,"No error"\n'
    assert voa.say("INP:ATT?;SYST:ERR?") == "3.00\n"  # INP:SYST:ERR? is none
    assert voa.say("SYST:ERR?").startswith("-113,")


@pytest.mark.parametrize(
    ("message", "code", "bit"),
    [
        ("FOO:BAR 1", -113, 32),
        ("*FOO?", -113, 32),
        ("INP2:ATT 1", -114, 32),
        ("INP:ATT", -109, 32),
        ("INP:ATT 1,2", -108, 32),
        ("INP:ATT 1,", -109, 32),
        ("INP:ATT(1)", -103, 32),
        ("!", -102, 32),
        ("INP:ATT one", -104, 32),
        ("INP:ATT 61", -222, 16),
        ("INP:ATT nan", -104, 32),
        ("INP:MODE SLOWER", -224, 16),
        ("INP:CHAN (@1", -171, 32),
        ("INP:CHAN (@1:2:3)", -171, 32),
        ("INP:CHAN (@9)", -222, 16),
        ("INP:CHAN 1", -104, 32),
    ],
)
def test_each_mistake_has_its_number_and_its_event_bit(voa: Voa, message: str, code: int, bit: int) -> None:
    voa.say("*CLS")
    assert voa.say(message) == ""
    assert voa.say("*ESR?;*STB?") == f"{bit};20\n"  # the error queue, and *ESR?'s own reply that waits
    assert voa.say("SYST:ERR?").startswith(f"{code},")
    assert voa.say("SYST:ERR?") == '0,"No error"\n'


def test_device_errors_and_query_errors_set_their_bits(voa: Voa) -> None:
    voa.say("*CLS")
    voa.error(-310)
    voa.error(501, text="lamp out")
    voa.query_error(-410)
    assert voa.say("*ESR?") == "12\n"
    assert voa.say("SYST:ERR:ALL?") == '-310,"System error",501,"lamp out",-410,"Query INTERRUPTED"\n'


def test_a_full_error_queue_ends_in_queue_overflow(voa: Voa) -> None:
    for _ in range(voa.dialect.queue_size + 3):
        voa.say("FOO")
    assert voa.say("SYST:ERR:COUN?") == "20\n"
    errors = [voa.say("SYST:ERR?") for _ in range(21)]
    assert errors[18].startswith("-113")
    assert errors[19:] == ['-350,"Queue overflow"\n', '0,"No error"\n']


def test_a_reply_to_an_error_query_has_255_characters_at_most(voa: Voa) -> None:
    voa.error(-240, "x" * 500)
    assert len(voa.say("SYST:ERR?").rstrip()) == 255


def test_status_byte_sums_up_events_errors_and_messages(voa: Voa) -> None:
    voa.say("*CLS;*ESE 32;*SRE 32")
    assert voa.status_byte(message_available=False) == 0
    voa.say("FOO")
    assert voa.status_byte(message_available=False) == 4 | 32 | 64
    assert voa.status_byte(message_available=True) == 4 | 16 | 32 | 64
    voa.say("*RST")
    assert voa.say("*ESE?;*SRE?;*STB?") == f"32;32;{4 | 16 | 32 | 64}\n"
    voa.say("*CLS")
    assert voa.say("*ESE?;*SRE?") == "32;32\n"
    assert voa.say("*SRE 255;*SRE?") == "191\n"


def test_operation_and_questionable_registers_latch_what_rises(voa: Voa) -> None:
    voa.say("STAT:OPER:ENAB 2;:STAT:QUES:ENAB 65535;:*CLS")
    voa.status.operation.set(1, on=True)
    voa.status.operation.set(1, on=False)
    assert voa.status_byte(message_available=False) & 128
    assert voa.say("STAT:OPER:COND?;EVEN?;:STAT:OPER?") == "0;2;0\n"
    assert voa.say("STAT:QUES:ENAB?") == "32767\n"
    assert voa.say("STAT:PRES;:STAT:OPER:ENAB?;:STAT:QUES:ENAB?;COND?;EVEN?") == "0;0;0;0\n"


def test_opc_query_waits_for_the_operation_and_holds_what_follows(voa: Voa) -> None:
    assert voa.say("INP:ATT 5;*OPC?;:SYST:ERR?") == ""
    assert voa.say("*IDN?") == ""
    due = voa.due_ns()
    assert due == 25 * MS
    voa.advance(due - 1)
    assert voa.take("control") == b""
    voa.advance(200 * MS)
    assert voa.take("control") == b'1;0,"No error"\nTOKAIDO,VOA-1,000001,1.0\n'
    assert voa.due_ns() is None


def test_opc_sets_its_bit_when_the_operation_ends_and_cls_takes_it_back(voa: Voa) -> None:
    voa.say("*CLS;INP:ATT 5;*OPC")
    assert voa.say("*ESR?") == "0\n"
    voa.advance(25 * MS)
    assert voa.say("*ESR?") == "1\n"
    voa.say("INP:ATT 6;*OPC;*CLS")
    voa.advance(60 * MS)
    assert voa.say("*ESR?") == "0\n"


def test_how_time_is_cut_makes_no_difference() -> None:
    transcripts = []
    for step in (1, 7, 25, 100):
        voa = Voa()
        voa.say("INP:ATT 5;*WAI;ATT 7;*OPC?;*ESR?")
        for ms in range(step, 701, step):
            voa.advance(ms * MS)
        transcripts.append(voa.take("control"))
    assert transcripts == [b"1;128\n"] * 4


def test_device_clear_forgets_input_and_output_but_no_status(voa: Voa) -> None:
    voa.say("FOO;INP:ATT 5;*OPC?")
    voa.receive("control", b"*ID")
    voa.clear_device()
    voa.advance(100 * MS)
    assert voa.take("control") == b""
    assert voa.say("SYST:ERR?").startswith("-113")
    assert voa.attenuation == 5.0


def test_a_message_that_never_ends_is_an_overrun_and_the_next_one_is_carried_out(voa: Voa) -> None:
    for _ in range(40):
        voa.receive("control", b"A" * 4096)
    assert voa.say("*IDN?") == ""  # it ends what was too long
    assert voa.say("SYST:ERR?") == '-363,"Input buffer overrun"\n'
    assert voa.say("SYST:ERR?") == '0,"No error"\n'


def test_a_message_whose_replies_have_no_end_is_a_deadlock(voa: Voa) -> None:
    for _ in range(60):
        voa.receive("control", b"*IDN?;" * 900 + b"*IDN?\n")
    voa.take("control")
    assert "-430" in voa.say("SYST:ERR:ALL?")


def test_strings_lists_and_quoted_semicolons_are_parameters(voa: Voa) -> None:
    assert voa.say('INP:NAME "a;b,""c""";NAME?') == '"a;b,""c"""\n'
    assert voa.say("INP:CHAN (@ 1, 2,5:7 );CHAN?") == "(@1,2,5,6,7)\n"
    assert voa.say("INP:CHAN (@);CHAN?") == "(@)\n"
    assert voa.say("INP:MODE fast;MODE?;MODE SLOW;MODE?") == "FAST;SLOW\n"


class Odd(Voa):
    """An instrument of another tongue."""

    dialect: ClassVar[Dialect] = Dialect(
        error_format="{code:+d}, {text}",
        no_error="No Error",
        queue_size=2,
        overflow="drop_new",
        terminator=b"\r\n",
        leading_colon=False,
        reset_clears_errors=True,
        opc_blocks=True,
        stop_after_command_error=True,
    )

    @command("INPut#:ATTenuation?")
    def ask_attenuation(self, p: Parameters) -> str:
        raise ScpiError(17, "of its own")


def test_dialects_differ_where_instruments_do() -> None:
    odd = Odd()
    assert odd.say("SYST:ERR?") == "+0, No Error\r\n"
    assert odd.say(":SYST:VERS?;SYST:VERS?") == ""
    for _ in range(3):
        odd.say("INP:ATT?")
    assert odd.say("SYST:ERR:COUN?") == "2\r\n"
    odd.say("SYST:ERR?")
    assert odd.say("SYST:ERR?") == "+17, Device-specific error;of its own\r\n"
    odd.say("FOO;*RST")
    assert odd.say("SYST:ERR?").startswith("-113")
    odd.say("FOO")
    odd.say("*RST")
    assert odd.say("SYST:ERR:COUN?") == "0\r\n"
    assert odd.say("INP:ATT 3;*OPC;*ESR?") == ""
    odd.advance(25 * MS)
    assert int(odd.take("control")) & 1


@given(st.lists(st.tuples(st.integers(1, 8), st.integers(1, 8)), max_size=8))
def test_channel_lists_are_read_as_written(pairs: list[tuple[int, int]]) -> None:
    text = ",".join(f"{a}:{b}" if a != b else f"{a}" for a, b in pairs)
    expected = [n for a, b in pairs for n in (range(a, b + 1) if a <= b else range(a, b - 1, -1))]
    assert parse_channels(f"(@{text})", 1, 8) == tuple(expected)


@given(st.binary(max_size=200))
def test_no_bytes_break_the_parser(data: bytes) -> None:
    voa = Voa()
    voa.receive("control", data + b"\n")
    voa.advance(1000 * MS)
    voa.take("control")
    assert voa.say("*CLS;SYST:ERR?") in ('0,"No error"\n', "")
    assert voa.say("*CLS;:SYST:ERR?") == '0,"No error"\n'


def test_a_model_without_the_common_base_class_is_none() -> None:
    with pytest.raises(TypeError):
        ScpiModel()  # type: ignore[abstract]  # pyright: ignore[reportAbstractUsage]
