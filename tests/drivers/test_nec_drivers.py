"""The NEC-style drivers where a transcript cannot go: spoilt and lost replies, other boxes, HiSLIP, whole units."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tokaido.hal as hal
from tokaido.drivers.nec import AvalancheDetector, NanowireDetector, Receiver, Transmitter, _texts
from tokaido.drivers.nec._seal import MAX_MESSAGE, OVERHEAD, SealedMessages
from tokaido.hal.driver import Answer
from tokaido.hal.transports import NOT_MINE
from tokaido_testing.nec_box import SealedBox, opened, reply_line
from tokaido_testing.visa_peers import HislipPeer

# --- seals ------------------------------------------------------------------------------------------------------------


def sealed_codec() -> SealedMessages:
    codec = SealedMessages()
    codec.serial_number = "TKNT0001"
    codec._ids = itertools.count(0x00A000)
    return codec


RIGHT = reply_line("00A000", '0,"No error";-0.52', "TKNT0001")


@given(st.integers(0, len(RIGHT) - 1), st.integers(0, 255))
def test_a_reply_with_one_wrong_byte_is_never_a_value(place: int, byte: int) -> None:
    request = sealed_codec().request("CHAN1:POW?", repeatable=True)
    assert request.accept(RIGHT.encode()) == "-0.52"
    frame = bytearray(RIGHT.encode())
    if frame[place] == byte:
        return
    frame[place] = byte
    with suppress(hal.ProtocolError):
        assert request.accept(bytes(frame)) is NOT_MINE


@given(st.one_of(st.binary(max_size=80), st.binary(max_size=60).map(lambda tail: RIGHT[:9].encode() + tail)))
def test_noise_is_never_a_value_and_raises_nothing_foreign(frame: bytes) -> None:
    request = sealed_codec().request("CHAN1:POW?", repeatable=True)
    with suppress(hal.ProtocolError):
        assert request.accept(frame) is NOT_MINE


@given(st.integers(0, len(RIGHT) - 1))
def test_a_reply_that_was_cut_is_never_a_value(length: int) -> None:
    request = sealed_codec().request("CHAN1:POW?", repeatable=True)
    with suppress(hal.ProtocolError):
        assert request.accept(RIGHT[:length].encode()) is NOT_MINE


def test_ids_count_up_and_wrap() -> None:
    codec = sealed_codec()
    codec._ids = itertools.count(0xFFFFFF)
    ids = [codec.request("UNIT:STAT?", repeatable=True).payload[8:14] for _ in range(2)]
    assert ids == [b"FFFFFF", b"000000"]


@pytest.mark.parametrize("text", ["", "SOUR:ATT?\n", "SOUR:ÅTT?", "x" * (MAX_MESSAGE - OVERHEAD + 1)])
def test_what_is_no_message_is_refused_before_it_is_sent(text: str) -> None:
    with pytest.raises(hal.ProtocolError, match="not a message"):
        sealed_codec().request(text, repeatable=True)
    longest = sealed_codec().request("x" * (MAX_MESSAGE - OVERHEAD), repeatable=True)
    assert len(longest.payload) == MAX_MESSAGE + 1


@given(st.lists(st.text(st.characters(min_codepoint=32, max_codepoint=126)), min_size=1))
def test_texts_come_back_from_the_wire_as_they_went(texts: list[str]) -> None:
    assert _texts.fields_of(",".join(map(_texts.quoted, texts))) == texts


@pytest.mark.parametrize("text", ["9.9E37", "NAN", "-9.9E37", "+9.91000000E+037"])
def test_a_time_bin_unit_s_other_spellings_of_no_value_are_none_either(text: str) -> None:
    found = _texts.report(f"FETC:POW,{text},{text},FETC:TEMP:CHAS,25.5,0")
    assert isinstance(found["FETC:POW"], hal.NoDataError)
    assert found["FETC:TEMP:CHAS"] == Answer("25.5", 0.0)
    with pytest.raises(hal.NoDataError):
        Transmitter.laser_power.decode(_texts.answer(f"{text},{text}").text)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60))
@pytest.mark.parametrize(
    "decode",
    [_texts.identity, _texts.answer, _texts.report, _texts.last_change, _texts.alarm_log],
)
def test_no_text_makes_a_decoder_raise_what_a_transport_does_not_expect(decode: Any, text: str) -> None:
    with suppress(hal.ProtocolError, ValueError, LookupError):
        decode(text)


# --- spoilt, late, doubled and foreign replies ------------------------------------------------------------------------


def garbled(identifier: str, right: str) -> list[str]:
    return [right[:-1] + chr(ord(right[-1]) ^ 1)]


def cut(identifier: str, right: str) -> list[str]:
    return [right[:-2]]


def foreign(identifier: str, right: str) -> list[str]:
    return [reply_line(identifier, '0,"No error";99', "TKNT0002")]


def unsealed(identifier: str, right: str) -> list[str]:
    return [f'#H{identifier},#H00000000,0,"No error";99']


def of_no_form(identifier: str, right: str) -> list[str]:
    return [reply_line(identifier, "99", "TKNT0001")]


@pytest.mark.parametrize("fault", [garbled, cut, foreign, unsealed, of_no_form])
def test_a_spoilt_reply_is_a_protocol_error_and_the_next_call_is_right(fault: Any) -> None:
    box = SealedBox()
    box.answers["SOUR:ATT?"] = "12.5"
    with opened(box) as tx:
        box.faults.append(fault)
        with pytest.raises(hal.ProtocolError, match=r"garbled|another form"):
            _ = tx.attenuation
        assert tx.attenuation == 12.5
    assert box.heard.count("*IDN?") == 2  # it asked again who is there


def test_a_message_that_was_spoilt_on_its_way_is_a_protocol_error_and_may_be_asked_again() -> None:
    box = SealedBox()
    box.answers["SOUR:ATT?"] = "12.5"
    with opened(box) as tx:
        box.faults.append(lambda identifier, _: [reply_line(identifier, '110,"Seal does not match"', "TKNT0001")])
        with pytest.raises(hal.ProtocolError, match="110, 'Seal does not match'"):
            _ = tx.attenuation
        assert tx.attenuation == 12.5


def test_a_late_reply_answers_no_other_question() -> None:
    box = SealedBox()
    box.answers |= {"SOUR:ATT?": "12.5", "SOUR:PHOT:SIGN?": "0.5", "KEY:BAS?": "0.78"}
    late: list[str] = []

    def hold(identifier: str, right: str) -> list[str]:
        late.append(right)
        return []

    with opened(box) as tx:
        box.faults.append(hold)
        with pytest.raises(hal.DeviceTimeoutError):
            _ = tx.attenuation
        box.faults += [lambda _, right: [right], lambda _, right: [late[0], right, right]]
        assert tx.signal_mean_photon_number == 0.5
        assert tx.key_basis_probability == 0.78
        assert tx.signal_mean_photon_number == 0.5  # the doubled reply answered nobody


def test_a_command_whose_reply_is_lost_is_sent_once_and_says_so() -> None:
    box = SealedBox()
    with opened(box) as tx:
        box.faults.append(lambda *_: [])
        with pytest.raises(hal.OutcomeUnknownError, match="read the state"):
            tx.start()
        assert tx.state() is hal.UnitState.STANDBY
    assert box.heard.count("KEY:STAR") == 1


def test_a_setting_whose_reply_cannot_be_read_may_have_been_carried_out() -> None:
    box = SealedBox()
    box.answers["SOUR:ATT 12.5;:SOUR:ATT?"] = "12.5,soon"
    with opened(box) as tx, pytest.raises(hal.OutcomeUnknownError, match="read the value, then decide") as caught:
        tx.attenuation = 12.5
    assert "'soon'" in str(caught.value)
    assert box.heard.count("SOUR:ATT 12.5;:SOUR:ATT?") == 1


def test_a_setting_that_reads_back_otherwise_is_an_error() -> None:
    box = SealedBox()
    box.answers["SOUR:ATT 12.5;:SOUR:ATT?"] = "12"
    with opened(box) as tx, pytest.raises(hal.DeviceError, match=r"set to 12\.5 and reads back 12"):
        tx.attenuation = 12.5


# --- who is there -----------------------------------------------------------------------------------------------------


def test_opening_asks_two_questions_and_changes_nothing() -> None:
    box = SealedBox()
    with opened(box, serial_number="TKNT0001") as tx:
        assert tx.identity() == hal.Identity("NEC-STYLE", "TB-TX8", "TKNT0001", "1.0.0")
    assert box.heard == ["*IDN?", "STAT:ALAR?", "*IDN?"]


@pytest.mark.parametrize(
    ("identity", "options"),
    [
        ("NEC-STYLE,TB-TX8,TKNT0002,1.0.0", {"serial_number": "TKNT0001"}),
        ("NEC-STYLE,TB-RX8S,TKNR0001,1.0.0", {}),
        ("NEC-STYLE,TB-TX9,TKNT0001,1.0.0", {}),
        ("NEC-STYLE,TB-TX8S,TKNT0001,1.0.0", {}),
        ("TOSHIBA-STYLE,TB-TX8,TKNT0001,1.0.0", {}),
        ("NEC-STYLE,TB-TX8,tknt0001,1.0.0", {}),
    ],
)
def test_another_box_is_refused_before_anything_else_is_asked(identity: str, options: dict[str, str]) -> None:
    box = SealedBox()
    box.answers["*IDN?"] = identity
    with pytest.raises(hal.WrongDeviceError, match=r"expected NEC-STYLE.* and found"), opened(box, kind="T", **options):
        pass
    assert box.heard == ["*IDN?"]


@pytest.mark.parametrize("model", ["TB-TX8", "TB-RX8", "TB-RX8B", "TB-RX0S", "TB-RX12S"])
def test_what_is_no_receiver_is_refused(model: str) -> None:
    with pytest.raises(hal.WrongDeviceError, match="TB-RX"), opened(SealedBox(model), kind="R"):
        pass


def test_a_box_that_was_exchanged_is_noticed_before_anything_else_is_asked() -> None:
    box = SealedBox()
    with opened(box) as tx:
        box.faults.append(garbled)
        box.answers["SOUR:ATT?"] = "12.5"
        with pytest.raises(hal.ProtocolError):
            _ = tx.attenuation
        box.answers["*IDN?"] = "NEC-STYLE,TB-TX8,TKNT0002,1.0.0"
        box.heard.clear()
        with pytest.raises(hal.WrongDeviceError, match="TKNT0001 and found"):
            tx.start()
    assert box.heard == ["*IDN?"]


# --- whole units ------------------------------------------------------------------------------------------------------


def report_of(kind: type[hal.Unit], sub_channels: int, detector: type[hal.Detector] | None) -> str:
    """Return a report with a value for everything the classes declare, as the page has the unit make it."""
    device = kind({"control": hal.Resource.parse("visa:TCPIP::192.0.2.7::5025::SOCKET")}, name="unopened")
    letter = "" if detector is None else "S" if detector is NanowireDetector else "A"
    model = f"TB-{'TX' if detector is None else 'RX'}{sub_channels}{letter}"
    device._found = type(device).models.fullmatch(model)  # type: ignore[attr-defined]
    items = ["UNIT:STAT,RUN,0", "KEY:PSK,1,0"]
    for owner, _, prefix in device._owners():
        for value in owner.values().values():
            if value.unsupported:
                continue
            texts = {bool: "ON", hal.Shutter: "OPEN", str: '"00112233445566aa/4/KEY/1000"'}
            text = texts.get(value.kind, "1")
            items.append(f"{prefix}{value.command},{text},0")
    device.close()
    return ",".join(items)


@pytest.mark.parametrize(
    ("kind", "model", "detector", "count"),
    [
        (Transmitter, "TB-TX8", None, 8),
        (Receiver, "TB-RX8S", NanowireDetector, 24),
        (Receiver, "TB-RX8A", AvalancheDetector, 24),
    ],
)
def test_a_whole_unit_is_read_in_one_exchange(
    kind: type[hal.Unit], model: str, detector: type[hal.Detector] | None, count: int
) -> None:
    box = SealedBox(model)
    box.answers["FETC:ALL?"] = report_of(kind, 8, detector)
    with opened(box) as unit:
        box.heard.clear()
        readings = unit.telemetry()
        assert box.heard == ["FETC:ALL?"]
        declared = {f"{path}{name}" for owner, path, _ in unit._owners() for name, value in owner.values().items()
                    if not value.unsupported}  # fmt: skip
        assert len(unit.parts) == count
    assert set(readings) == declared
    assert {path: reading.error for path, reading in readings.items() if reading.quality is not hal.Quality.GOOD} == {}


def test_what_the_unit_cannot_give_is_a_bad_reading_and_spoils_no_other() -> None:
    box = SealedBox("TB-TX1")
    box.answers["FETC:ALL?"] = "FETC:QBER,9.91E37,9.91E37,SOUR:ATT,12.5,0,FETC:POW,nonsense,0,FETC:RATE:SECR,2.5E5,75"
    with opened(box) as tx:
        readings = tx.telemetry()
    assert readings[hal.Transmitter.attenuation].value == 12.5
    assert (readings["qber"].value, readings["qber"].quality) == (None, hal.Quality.BAD)
    assert "nonsense" in readings["laser_power"].error
    assert (readings["secret_key_rate"].value, readings["secret_key_rate"].quality) == (250_000.0, hal.Quality.STALE)
    assert readings["uptime"].error == "not in the device's report"


@pytest.mark.parametrize("text", ["FETC:QBER,1", "A,1,0,A,2,0", 'A,"1,0'])
def test_what_is_no_report_is_a_protocol_error(text: str) -> None:
    box = SealedBox()
    box.answers["FETC:ALL?"] = text
    with opened(box) as tx, pytest.raises(hal.ProtocolError):
        tx.telemetry()


@pytest.mark.parametrize(
    ("model", "count", "unit", "gated"), [("TB-RX8S", 8, ("K", "uA"), False), ("TB-RX3A", 3, ("degC", "V"), True)]
)
def test_the_model_says_how_many_parts_there_are_and_of_which_kind(
    model: str, count: int, unit: tuple[str, str], gated: bool
) -> None:
    with opened(SealedBox(model)) as rx:
        assert [part.path for part in rx.sub_channels] == [f"sub_channels[{i}]" for i in range(count)]
        assert [part.path for part in rx.detectors] == [f"detectors[{i}]" for i in range(2 * count)]
        kind = type(rx.detectors[0])
        assert (kind.temperature.unit, kind.bias.unit) == unit
        assert (hal.Capability.GATED_DETECTORS in rx.capabilities) is gated
        assert hal.Capability.POLARISATION_CONTROLLER not in rx.capabilities
        assert hal.Capability.INTERFEROMETER_STRETCHER not in rx.capabilities
    assert hal.Capability.GATED_DETECTORS in Receiver.capabilities


def test_what_a_unit_lacks_is_not_asked_for() -> None:
    box = SealedBox("TB-RX1S")
    with opened(box) as rx:
        box.heard.clear()
        with pytest.raises(hal.UnsupportedError, match="no gate"):
            _ = rx.detectors[0].gate_delay
        with pytest.raises(hal.UnsupportedError, match="no gate"):
            rx.detectors[0].gate_delay = 250.0
        with pytest.raises(hal.RangeError, match="0 to 40 uA"):
            rx.detectors[0].bias = 62.0
        with pytest.raises(hal.RangeError, match="5 to 3600"):
            rx.set_watchdog(4)
        with pytest.raises(hal.UnsupportedError, match="without its key channel"):
            rx.key_blocks(0)
    box.answers["*IDN?"] = "NEC-STYLE,TB-TX8,TKNT0001,1.0.0"
    with opened(box) as tx:
        box.heard.clear()
        with pytest.raises(hal.UnsupportedError, match="sub_channels"):
            _ = tx.laser_bias_current
    assert box.heard == []


def saying(text: str) -> Callable[[str, str], list[str]]:
    return lambda identifier, _: [reply_line(identifier, f'0,"No error";{text}', "TKNT0001")]


def test_alarm_events_are_waited_for() -> None:
    box = SealedBox()
    box.answers["STAT:ALAR:LOG? 0"] = "0"
    told = ["0", "0", '1,1,RAISED,TAMPER,CRITICAL,"the cover was opened"']
    with opened(box) as tx:
        assert tx.alarm_events() == ()
        box.faults += [saying(text) for text in told]
        events = tx.alarm_events(timeout=5)
    assert [(event.sequence, event.raised, event.code) for event in events] == [(1, True, "TAMPER")]
    assert not box.faults


def test_a_snapshot_has_states_values_and_the_identity() -> None:
    box = SealedBox("TB-RX1A", "TKNR0001")
    box.answers |= {
        "FETC:ALL?": "DET2:BIAS,62,0",
        "KEY:PSK?": "1",
        "KEY:SESS?": '""',
        "KEY:COUN?": "3,7",
        "SENS:CLOC:LOCK?": "1",
    }
    with opened(box) as rx:
        record = rx.snapshot()
    assert record["identity"]["model"] == "TB-RX1A"
    assert record["values"]["detectors[1].bias"]["value"] == 62.0
    assert record["states"] == {
        "state": "STANDBY", "alignment_step": "NONE", "preshared_key_loaded": "1", "session": "-",
        "key_blocks_waiting": "3", "key_blocks_committed": "7", "clock_locked": "1",
    }  # fmt: skip
    assert record["errors"] == []


# --- HiSLIP -----------------------------------------------------------------------------------------------------------


class HislipBox(HislipPeer):
    """A sealed box behind a HiSLIP server."""

    def __init__(self, box: SealedBox) -> None:
        self.box = box
        super().__init__()

    def _serve(self, connection: Any, kind: int, number: int, payload: bytes) -> None:
        if kind != 7:
            super()._serve(connection, kind, number, payload)
            return
        for reply in self.box(payload.decode("ascii").removesuffix("\n")):
            self._reply(connection, "", number, f"{reply}\n".encode("ascii"))


def test_the_same_messages_go_over_hislip() -> None:
    box = SealedBox()
    box.answers |= {"SOUR:ATT 12.5;:SOUR:ATT?": "12.5", "CHAN8:POW?": "-0.52"}
    with (
        HislipBox(box) as peer,
        hal.Transmitter.open("nec.transmitter", control=f"visa:TCPIP::127.0.0.1::hislip0,{peer.port}::INSTR") as tx,
    ):
        assert isinstance(tx, Transmitter)
        tx.attenuation = 12.5
        assert tx.sub_channels[7].power == -0.52
        box.faults.append(foreign)
        with pytest.raises(hal.ProtocolError, match="sealed by another unit"):
            _ = tx.sub_channels[7].power
        assert tx.sub_channels[7].power == -0.52


def test_a_serial_resource_is_refused() -> None:
    with pytest.raises(hal.ConfigurationError, match="takes visa here"):
        hal.Transmitter.open("nec.transmitter", control="serial:/dev/ttyUSB0")
