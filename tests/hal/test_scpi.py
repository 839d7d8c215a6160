"""SCPI: commands that are confirmed, device errors that become ours, blocks and channel lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokaido.hal import (
    DeviceError,
    DeviceTimeoutError,
    NoDataError,
    OutcomeUnknownError,
    ProtocolError,
    RefusedError,
    Resource,
)
from tokaido.hal.transports import (
    NOT_MINE,
    ScpiCodec,
    ScpiDialect,
    VisaTransport,
    device_error,
    drain_errors,
    read_event_status,
    read_status_byte,
)
from tokaido.hal.transports._scpi import LONGEST_QUEUE
from tokaido.hal.wire.ieee488 import EventStatus, StatusByte, block_length, decode_block, encode_block
from tokaido.hal.wire.scpi import LONGEST_LIST, decode_channels, decode_errors, encode_channels, split_replies
from tokaido_testing.patience import patient
from tokaido_testing.visa_peers import SocketPeer

if TYPE_CHECKING:
    from collections.abc import Generator


class ScpiPeer(SocketPeer):
    """A box with an error queue that does what it is told, but for `OXC`, and is silent on commands."""

    def __init__(self) -> None:
        self.queue: list[str] = []
        self.stuck = False
        self.silent = False
        super().__init__()

    def _answer(self, line: str) -> None:
        self.questions.append(line)
        said: list[str] = []
        for part in line.split(";"):
            match part.lstrip(":").upper():
                case "*IDN?":
                    said.append("Polatis,I-OST-24x24-LU1-DMHNS,002414,6.5.2.18")
                case "*OPC?":
                    said.append("1")
                case "*STB?":
                    said.append("68")
                case "*ESR?":
                    said.append("+160")
                case "SYST:ERR?":
                    said.append(self.queue[0] if self.queue else '0, "No error"')
                    if not self.stuck:
                        self.queue = self.queue[1:]
                case "CONN (@1),(@49)":
                    self.queue.append('-222,"Data out of range;port 49"')
                case "CONN (@1),(@17)":
                    pass
                case "STATE?":
                    said.append("(@1),(@17)")
                case _:
                    self.queue.append('-113,"Undefined header"')
        if said and not self.silent:
            self._say((";".join(said) + "\r\n").encode("ascii"))


@pytest.fixture
def box() -> Generator[ScpiPeer]:
    with ScpiPeer() as peer:
        yield peer


@pytest.fixture
def line(box: ScpiPeer) -> Generator[VisaTransport]:
    resource = Resource.parse(f"visa:TCPIP::127.0.0.1::{box.port}::SOCKET")
    with VisaTransport(resource, ScpiCodec(), timeout_s=patient(0.2)) as transport:
        yield transport


# --- exchanges --------------------------------------------------------------------------------------------------------


def test_a_query_is_sent_as_it_is(box: ScpiPeer, line: VisaTransport) -> None:
    assert line.query("*IDN?").startswith("Polatis,")
    assert box.questions == ["*IDN?"]


def test_a_command_is_confirmed_in_one_exchange_and_sent_once(box: ScpiPeer, line: VisaTransport) -> None:
    assert line.command("CONN (@1),(@17)") == ""
    assert line.command("CONN (@1),(@17);STATE?") == "(@1),(@17)"
    assert box.questions[0] == "CONN (@1),(@17);*OPC?;:SYST:ERR?"


def test_a_device_error_carries_the_devices_own_code_and_text_and_spoils_nothing(line: VisaTransport) -> None:
    with pytest.raises(RefusedError, match="Data out of range;port 49") as caught:
        line.command("CONN (@1),(@49)")
    assert caught.value.code == "-222"
    assert caught.value.command == "CONN (@1),(@49)"
    assert line.command("CONN (@1),(@17)") == ""
    assert line.generation == 1


def test_a_query_that_the_device_does_not_know_times_out_and_its_error_is_read_afterwards(line: VisaTransport) -> None:
    with pytest.raises(DeviceTimeoutError):
        line.query("FOO?")
    assert drain_errors(line, timeout=1.0) == [(-113, "Undefined header")]
    assert drain_errors(line) == []


def test_a_queue_that_never_empties_is_given_up(box: ScpiPeer, line: VisaTransport) -> None:
    box.queue, box.stuck = ["+7, Lamp hot"], True
    with pytest.raises(DeviceError, match=f"not empty after {LONGEST_QUEUE}") as caught:
        drain_errors(line)
    assert caught.value.code == "7"


def test_the_queue_may_come_in_one_reply(box: ScpiPeer, line: VisaTransport) -> None:
    box.queue = ['-222,"a",-100,"b"', '0,"No error"']
    assert drain_errors(line) == [(-222, "a"), (-100, "b")]


def test_registers_are_read_as_flags(line: VisaTransport) -> None:
    assert read_status_byte(line) == StatusByte.ERROR_QUEUE | StatusByte.REQUEST
    assert read_event_status(line) == EventStatus.POWER_ON | EventStatus.COMMAND_ERROR


def test_the_lost_confirmation_of_a_command_is_unknown(box: ScpiPeer, line: VisaTransport) -> None:
    box.silent = True
    with pytest.raises(OutcomeUnknownError):
        line.command("CONN (@1),(@17)")
    assert len(box.questions) == 1


# --- the codec alone --------------------------------------------------------------------------------------------------


def outcome(reply: str, dialect: ScpiDialect | None = None) -> object:
    return ScpiCodec(dialect).request("X 1", repeatable=False).accept(reply.encode("ascii"))


@pytest.mark.parametrize(
    "reply", ['1;0, "No error"', '1;+0,"No error"\r', "\n1;+0, No Error", "+1;0,No error", ' 1 ; 0 , "" ']
)
def test_every_way_to_say_that_all_is_well_is_understood(reply: str) -> None:
    assert outcome(reply) == ""


@pytest.mark.parametrize(
    "reply",
    ["", "\r"],
)
def test_a_blank_line_is_nobodys_reply(reply: str) -> None:
    assert outcome(reply) is NOT_MINE


def test_a_confirmation_alone_is_the_first_line_of_two() -> None:
    assert outcome("1") is NOT_MINE


@pytest.mark.parametrize("reply", ["0", '0,"No error"', '0;0,"No error"', "1;", "1;x", '1;0,"No'])
def test_what_confirms_nothing_is_garbled(reply: str) -> None:
    with pytest.raises(ProtocolError):
        outcome(reply)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (-100, RefusedError),
        (-113, RefusedError),
        (-221, RefusedError),
        (-222, RefusedError),
        (-230, NoDataError),
        (-240, DeviceError),
        (-310, DeviceError),
        (-350, DeviceError),
        (-410, DeviceError),
        (7, DeviceError),
    ],
)
def test_the_class_of_an_error_says_what_happened(code: int, kind: type[DeviceError]) -> None:
    with pytest.raises(DeviceError, match="why") as caught:
        outcome(f'1;{code},"why"')
    assert type(caught.value) is kind
    assert caught.value.code == str(code)
    assert type(device_error(code, "why")) is kind


def test_a_device_that_skips_the_rest_of_a_message_after_an_error_is_understood() -> None:
    with pytest.raises(RefusedError):
        outcome('-113,"Undefined header"')


def test_a_dialect_has_its_own_confirmation() -> None:
    errors_only = ScpiDialect(confirmation="", error_query=":system:error?", command_end="\r\n", reply_end="\r")
    codec = ScpiCodec(errors_only)
    assert codec.request("X 1", repeatable=False).payload == b"X 1;:system:error?\r\n"
    assert codec.terminator == b"\r"
    assert outcome('0, "No error"', errors_only) == ""
    assert outcome("1", ScpiDialect(error_query="")) == ""
    with pytest.raises(ValueError, match="nothing answers"):
        ScpiDialect(confirmation="", error_query="")


@pytest.mark.parametrize("text", ["A\nB", "é", "a\0"])
def test_a_request_is_one_line_of_ascii(text: str) -> None:
    with pytest.raises(ValueError, match="not one line"):
        ScpiCodec().request(text, repeatable=True)


@given(st.binary())
def test_no_reply_makes_the_codec_raise_anything_but_its_own_errors(frame: bytes) -> None:
    for repeatable in (True, False):
        try:
            ScpiCodec().request("X?", repeatable=repeatable).accept(frame)
        except (ProtocolError, DeviceError):
            continue


QUOTED = st.text(st.characters(min_codepoint=32, max_codepoint=126))


@given(st.lists(st.tuples(st.integers(-999, 999).filter(bool), QUOTED.map(str.strip)), min_size=1, max_size=4))
def test_any_queue_comes_back(entries: list[tuple[int, str]]) -> None:
    said = ",".join(f'{code}, "{text.replace(chr(34), 2 * chr(34))}"' for code, text in entries)
    assert decode_errors(said) == tuple(entries)
    assert split_replies(f"1;{said};2") == ["1", said, "2"]


@given(st.text())
def test_no_text_makes_the_queues_parser_raise_anything_but_its_own_error(text: str) -> None:
    for prefix in ("", "0", '0,"', "-100,"):
        try:
            decode_errors(prefix + text)
        except ProtocolError:
            continue


# --- blocks -----------------------------------------------------------------------------------------------------------


@given(st.binary(max_size=2000))
def test_any_block_comes_back(data: bytes) -> None:
    block = encode_block(data)
    assert block_length(block) == len(block)
    for end in (b"", b"\n", b"\r\n"):
        assert decode_block(block + end) == data
    assert decode_block(b"#0" + data + b"\n") == data
    for cut in range(min(len(block), 12)):
        length = block_length(block[:cut])
        assert length is None or length == len(block)
        with pytest.raises(ProtocolError):
            decode_block(block[:cut])


@given(st.binary(max_size=50))
def test_no_bytes_make_the_block_decoder_raise_anything_but_its_own_error(frame: bytes) -> None:
    for prefix in (b"", b"#", b"#1", b"#9", b"#3x"):
        for parse in (decode_block, block_length):
            try:
                parse(prefix + frame)
            except ProtocolError:
                continue


def test_a_block_is_written_as_the_standard_says() -> None:
    assert encode_block(b"ABC") == b"#13ABC"
    assert encode_block(bytes(1000))[:6] == b"#41000"
    assert decode_block(b"#9000000003ABC\n") == b"ABC"


# --- channel lists ----------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 999_999_999), max_size=200))
def test_any_channels_come_back(channels: list[int]) -> None:
    text = encode_channels(channels)
    assert decode_channels(text) == tuple(channels)
    assert ":" not in text


@given(st.text(alphabet=st.sampled_from("(@)0123456789:,! -x\u0663"), max_size=30))
def test_no_list_makes_the_parser_raise_anything_but_its_own_error(text: str) -> None:
    for whole in (text, f"(@{text})"):
        try:
            assert all(isinstance(channel, int) for channel in decode_channels(whole))
        except ProtocolError:
            continue


@pytest.mark.parametrize(
    ("text", "channels"),
    [
        ("(@)", ()),
        ("(@1,2,5:7)", (1, 2, 5, 6, 7)),
        (" (@ 3:1 , 9 ) ", (3, 2, 1, 9)),
        ("(@4:4)", (4,)),
    ],
)
def test_ranges_are_read(text: str, channels: tuple[int, ...]) -> None:
    assert decode_channels(text) == channels


@pytest.mark.parametrize("text", ["", "1,2", "(@1", "(@1,)", "(@-1)", "(@1!2)", "(@1:2:3)", f"(@1:{LONGEST_LIST + 1})"])
def test_what_is_no_list_of_channels_is_refused(text: str) -> None:
    with pytest.raises(ProtocolError):
        decode_channels(text)


def test_channels_that_cannot_be_written_are_refused() -> None:
    with pytest.raises(ValueError, match="channels lie in"):
        encode_channels([-1])
