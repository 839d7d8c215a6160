"""Sealed messages (page, section 2), on an attenuator whose commands the page's worked messages happen to use."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import pytest

from tokaido.emulators.nec._seal import SealedMessages
from tokaido.emulators.scpi import Dialect, Parameters, ScpiError, ScpiModel, command

if TYPE_CHECKING:
    from collections.abc import Callable

S = 1_000_000_000


class Sealed(ScpiModel):
    """An attenuator that takes sealed messages."""

    SERIAL_NUMBER = "TKNT0001"
    dialect = Dialect(stop_after_command_error=True)

    def __init__(self) -> None:
        self.sets = 0
        super().__init__()
        self.sealing = SealedMessages(self, self.serial_number)

    def takes_whole(self, message: str) -> bool:
        return self.sealing.take(message)

    def reset(self) -> None:
        self.attenuation = 35.0

    def identity(self) -> str:
        return f"NEC-STYLE,TB-TX8,{self.serial_number},1.0.0"

    @command("SOURce:ATTenuation", 1)
    def set_attenuation(self, p: Parameters) -> None:
        value = float(p.texts[0])
        if not 0 <= value <= 60:
            raise ScpiError(-222, "SOUR:ATT takes 0 to 60 dB")
        self.attenuation = value
        self.sets += 1

    @command("SOURce:ATTenuation?")
    def ask_attenuation(self, p: Parameters) -> str:
        return f"{self.attenuation:.10g}"

    @command("KEY:STARt")
    def start(self, p: Parameters) -> None:
        raise ScpiError(130, "SECURITY_HOLD: KEY:STAR is allowed in STANDBY", text="Not in this state")

    @command("LONG?")
    def ask_at_length(self, p: Parameters) -> str:
        return "x" * 30_000

    @command("SAY?", 1)
    def complain(self, p: Parameters) -> str:
        raise ScpiError(-104, p.texts[0])

    def line(self, text: str) -> str:
        self.receive("control", text.encode("latin-1") + b"\n")
        return self.take("control").decode()

    def wait(self, seconds: float) -> None:
        self.advance(self.now_ns + round(seconds * S))


def request(number: str, rest: str, serial: str = "TKNT0001") -> str:
    return f"SEAL? #H{number},#H{zlib.crc32((serial + number + rest).encode('latin-1')):08X};{rest}"


def reply(number: str, rest: str, serial: str = "TKNT0001") -> str:
    return f"#H{number},#H{zlib.crc32((serial + number + rest).encode()):08X},{rest}\n"


@pytest.fixture
def box() -> Sealed:
    return Sealed()


def test_the_worked_messages_of_the_page(box: Sealed) -> None:
    say = box.line
    assert say("SEAL? #H00A1F0,#H4A533139;*IDN?") == (
        '#H00A1F0,#H6FB0B60E,0,"No error";NEC-STYLE,TB-TX8,TKNT0001,1.0.0\n'
    )
    assert say("SEAL? #H00A1F2,#H4566E771;SOUR:ATT 12.5;:SOUR:ATT?") == '#H00A1F2,#H72E9D282,0,"No error";12.5\n'
    assert say("SEAL? #H00A1F3,#H0FBAEFCA;SOUR:ATT 99;:SOUR:ATT?") == (
        '#H00A1F3,#HBEFF3203,-222,"Data out of range;SOUR:ATT takes 0 to 60 dB"\n'
    )
    assert say("SEAL? #H00A1F4,#H1A67F9E6;KEY:STAR") == (
        '#H00A1F4,#HEFF7B3B0,130,"Not in this state;SECURITY_HOLD: KEY:STAR is allowed in STANDBY"\n'
    )
    assert say("SOUR:ATT?") == "12.5\n"


@pytest.mark.parametrize(
    "write",
    [lambda text: f":{text}", lambda text: text.replace("SEAL?", "seal?"), lambda text: text + "\r", str],
    ids=["colon", "lower case", "CR", "plain"],
)
def test_the_header_is_written_as_others_are_and_the_end_of_the_line_is_not_counted(
    box: Sealed, write: Callable[[str], str]
) -> None:
    assert box.line(write(request("000001", "SOUR:ATT?"))) == reply("000001", '0,"No error";35')


def test_another_box_does_not_believe_it_and_says_so_under_its_own_seal(box: Sealed) -> None:
    assert box.line(request("000001", "SOUR:ATT 3", "TKNT0002")) == reply("000001", '110,"Seal does not match"')
    assert box.attenuation == 35


def test_every_digit_counts(box: Sealed) -> None:
    good = request("000001", "SOUR:ATT 31")
    for place in range(len("SEAL? #H"), len(good)):
        other = "0" if good[place] != "0" else "1"
        box.line(good[:place] + other + good[place + 1 :])
        box.line(good[:place] + good[place + 1 :])
    assert box.attenuation == 35
    assert box.sets == 0
    box.line(good)
    assert box.attenuation == 31


def test_who_is_there_is_asked_without_a_serial_number_and_alone(box: Sealed) -> None:
    assert "TKNT0001" in box.line(request("000001", "*IDN?", ""))
    assert box.line(request("000002", "*IDN?")).split(",")[2] == "110"
    assert box.line(request("000003", "*IDN?;*IDN?", "")).split(",")[2] == "110"
    assert box.line(request("000004", "*IDN?;*IDN?")).count("NEC-STYLE") == 2


def test_an_error_ends_the_message_and_is_told_and_not_queued(box: Sealed) -> None:
    box.line("*CLS")
    answer = box.line(request("000001", "SOUR:ATT?;:SOUR:ATT 99;:SOUR:ATT 5"))
    assert answer == reply("000001", '-222,"Data out of range;SOUR:ATT takes 0 to 60 dB";35')
    assert box.attenuation == 35
    assert box.line("SYST:ERR:COUN?;*ESR?") == "0;16\n"
    box.line(request("000002", "NONSENSE"))
    assert box.line("SYST:ERR:COUN?;*ESR?") == "0;32\n"
    box.line(request("000003", "KEY:STAR"))
    assert box.line("SYST:ERR:COUN?;*ESR?") == "0;8\n"


def test_a_wrong_seal_and_a_reused_id_set_the_device_error_bit(box: Sealed) -> None:
    box.line("*CLS")
    box.line(request("000001", "SOUR:ATT 3", "OTHER"))
    assert box.line("*ESR?") == "8\n"
    box.line(request("000001", "SOUR:ATT 3"))
    box.line(request("000001", "SOUR:ATT 4"))
    assert box.line("*ESR?;:SYST:ERR:COUN?") == "8;0\n"


@pytest.mark.parametrize("text", ["SOUR:ATT?;SEAL? #H000001,#H00000000", "*CLS;:SEAL? #H000001,#H00000000"])
def test_a_seal_behind_another_header_is_a_syntax_error(box: Sealed, text: str) -> None:
    box.line(text)
    assert box.line("SYST:ERR?").startswith("-1")


@pytest.mark.parametrize(
    "text",
    [
        "SEAL?",
        "SEAL? ;SOUR:ATT 3",
        "SEAL? #H000001;SOUR:ATT 3",
        "SEAL? #H000001,#H0000000;SOUR:ATT 3",
        "SEAL? #H00000a,#H00000000;SOUR:ATT 3",
        "SEAL? #H000001,#H00000000,1;SOUR:ATT 3",
        "SEAL? #H000001,#H00000000",
        "SEAL? 1,2;SOUR:ATT 3",
    ],
)
def test_other_parameters_are_an_error_like_any_and_nothing_behind_is_carried_out(box: Sealed, text: str) -> None:
    assert box.line(text) == ""
    assert box.line("SYST:ERR?").startswith("-104,")
    assert box.line("SYST:ERR:COUN?") == "0\n"
    assert box.attenuation == 35


@pytest.mark.parametrize("header", ["SEAL", "SEAM?", "EAL?", "SEALS?", "SEAL:X?"])
def test_a_header_that_is_nearly_it_carries_nothing_out(box: Sealed, header: str) -> None:
    assert box.line(request("000001", "SOUR:ATT 3").replace("SEAL?", header)) == ""
    assert box.line("SYST:ERR?").startswith("-113,")
    assert box.attenuation == 35


# --- repeats --------------------------------------------------------------------------------------------------------


def test_a_repeated_request_gets_the_remembered_reply_and_is_not_carried_out_again(box: Sealed) -> None:
    first = box.line(request("000001", "SOUR:ATT 3;:SOUR:ATT?"))
    box.line("SOUR:ATT 7")
    assert box.line(request("000001", "SOUR:ATT 3;:SOUR:ATT?")) == first == reply("000001", '0,"No error";3')
    assert box.attenuation == 7


def test_an_error_is_remembered_too(box: Sealed) -> None:
    first = box.line(request("000001", "KEY:STAR"))
    assert box.line(request("000001", "KEY:STAR")) == first
    assert box.line(request("000001", "SOUR:ATT 3")) == reply("000001", '115,"Id reused"')


def test_another_text_under_a_remembered_id_is_refused(box: Sealed) -> None:
    box.line(request("000001", "SOUR:ATT 3"))
    assert box.line(request("000001", "SOUR:ATT 4")) == reply("000001", '115,"Id reused"')
    assert box.attenuation == 3


def test_a_refusal_has_the_seal_that_its_request_calls_for_but_for_that_of_the_seal_itself(box: Sealed) -> None:
    box.line(request("000001", "SOUR:ATT?"))
    assert box.line(request("000001", "*IDN?", "")) == reply("000001", '115,"Id reused"', "")
    assert box.line(request("000002", "*IDN?")) == reply("000002", '110,"Seal does not match"')


def test_requests_are_forgotten_after_30_s(box: Sealed) -> None:
    box.line(request("000001", "SOUR:ATT 3"))
    box.wait(30)
    assert ",115," in box.line(request("000001", "SOUR:ATT 4"))
    box.wait(0.001)
    assert box.line(request("000001", "SOUR:ATT 4")) == reply("000001", '0,"No error"')
    assert box.attenuation == 4


def test_the_last_16_requests_are_remembered(box: Sealed) -> None:
    box.line(request("000001", "SOUR:ATT 3"))
    for number in range(2, 17):
        box.line(request(f"{number:06X}", "SOUR:ATT?"))
    assert ",115," in box.line(request("000001", "SOUR:ATT 4"))
    box.line(request("000011", "SOUR:ATT?"))
    assert ",0," in box.line(request("000001", "SOUR:ATT 4"))


def test_a_request_with_a_wrong_seal_is_not_remembered(box: Sealed) -> None:
    box.line(request("000001", "SOUR:ATT 3", "OTHER"))
    assert box.line(request("000001", "SOUR:ATT 4")) == reply("000001", '0,"No error"')


# --- what could break a reply ---------------------------------------------------------------------------------------


def test_a_reply_that_would_be_too_long_ends_before_what_does_not_fit(box: Sealed) -> None:
    box.line("*CLS")
    answer = box.line(request("000001", "LONG?;LONG?;LONG?;SOUR:ATT 3"))
    assert answer.split(";")[0].endswith(',-430,"Query DEADLOCKED"')
    assert 60_000 < len(answer) <= 65_536
    assert box.attenuation == 35
    assert box.line("*ESR?") == "4\n"


def test_quotation_marks_in_an_error_are_doubled_so_that_the_reply_can_be_read(box: Sealed) -> None:
    assert box.line(request("000001", 'SAY? "a"')) == reply("000001", '-104,"Data type error;""a"""')


def test_what_is_not_ascii_is_an_invalid_character_even_under_a_right_seal(box: Sealed) -> None:
    answer = box.line(request("000001", "SOUR:ATT 3\xe9"))
    assert answer == reply("000001", '-101,"Invalid character"')
    assert box.attenuation == 35


def test_random_bytes_behind_a_seal_never_raise(box: Sealed) -> None:
    import random

    chance = random.Random(1)
    for number in range(300):
        rest = chance.randbytes(chance.randrange(60)).decode("latin-1").replace("\n", "").replace("\r", "")
        answer = box.line(request(f"{number:06X}", rest))
        assert answer.startswith(f"#H{number:06X},#H")
        assert answer.isascii()
