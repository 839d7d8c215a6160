"""The control port: refusals, status registers, common commands, the lease (page, sections 1, 2 and 4)."""

from __future__ import annotations

import pytest

from tokaido.emulators.nec import ReceiverModel, TransmitterModel
from tokaido.emulators.nec._texts import number
from tokaido.hal import ConfigurationError
from tokaido_testing.sealed import Instrument, request

Kind = type[TransmitterModel] | type[ReceiverModel]


def in_state(kind: Kind, state: str, **options: object) -> Instrument:
    model = kind(**options)  # type: ignore[arg-type]
    model.prepare(state)
    return Instrument(model)


@pytest.fixture
def tx() -> Instrument:
    return in_state(TransmitterModel, "STANDBY")


@pytest.fixture
def rx() -> Instrument:
    return in_state(ReceiverModel, "STANDBY")


# --- who is there ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "identity"),
    [
        (TransmitterModel(), "NEC-STYLE,TB-TX8,TKNT0001,1.0.0"),
        (TransmitterModel("ABCD", sub_channels=1), "NEC-STYLE,TB-TX1,ABCD,1.0.0"),
        (ReceiverModel(), "NEC-STYLE,TB-RX8S,TKNR0001,1.0.0"),
        (ReceiverModel(sub_channels=3, detectors="avalanche"), "NEC-STYLE,TB-RX3A,TKNR0001,1.0.0"),
    ],
)
def test_a_unit_says_what_it_is(model: TransmitterModel | ReceiverModel, identity: str) -> None:
    instrument = Instrument(model)
    assert instrument.data("*IDN?") == identity
    assert instrument.line("*idn?") == f"{identity}\n"
    assert model.identity()["model"] == identity.split(",")[1]


@pytest.mark.parametrize("options", [{"sub_channels": 0}, {"sub_channels": 9}, {"sub_channels": True}])
def test_there_are_one_to_eight_sub_channels(options: dict[str, int]) -> None:
    for kind in (TransmitterModel, ReceiverModel):
        with pytest.raises(ConfigurationError, match="sub-channels"):
            kind(**options)  # type: ignore[arg-type]


def test_there_are_two_kinds_of_detectors_and_a_form_of_serial_numbers() -> None:
    with pytest.raises(ConfigurationError, match="nanowire or avalanche"):
        ReceiverModel(detectors="bolometer")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigurationError, match="serial number"):
        ReceiverModel("abc")


# --- headers and parameters -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", ["SOURCE:ATTENUATION?", "sour:att?", ":SOUR:ATTenuation?", "Source:Att?"])
def test_headers_have_a_long_and_a_short_form(tx: Instrument, header: str) -> None:
    assert tx.data(header) == "35"


def test_path_memory_and_parts_without_a_number(tx: Instrument) -> None:
    assert tx.data("SOUR:PHOT:SIGN?;DEC?;VAC?") == "0.5;0.2;0.001"
    assert tx.data("CHAN:STAT?;:CHAN2:STAT?;WAV?;:CHAN3:STAT?") == "ON;ON;1547.72;OFF"


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("NONSENSE", -113),
        ("SOUR:ATT:X?", -113),
        ("SOUR:EMIS 1", -113),
        ("UNIT:POW?", -113),
        ("KEY:STAR?", -113),
        ("INP:SHUT?", -113),
        ("DET1:BIAS?", -113),
        ("CHAN0:STAT?", -114),
        ("CHAN9:STAT ON", -114),
        ("SOUR:ATT? 1", -108),
        ("SOUR:ATT 1,2", -108),
        ("UNIT:SAFE 1", -108),
        ("KEY:STAR NOW", -108),
        ("SOUR:ATT", -109),
        ("UNIT:POW", -109),
        ("SEC:ZER", -109),
        ("STAT:ALAR:LOG?", -109),
        ('LINK:SEL "A"', -109),
        ('LINK:SEL "A","B",1,2', -108),
        ("SOUR:ATT abc", -104),
        ("SOUR:ATT nan", -104),
        ("SOUR:ATT 1_0", -104),
        ("SOUR:ATT #H10", -104),
        ('SOUR:ATT "3"', -104),
        ("SOUR:ATT 3dB", -104),
        ("KEY:BLOC 100000.5", -104),
        ("CHAN1:STAT (1)", -104),
        ('CHAN1:STAT "ON"', -104),
        ("SEC:ZER TKNT0001", -104),
        ('SEC:ZER "TKNT0001', -104),
        ("LINK:SEL A,B", -104),
        ('LINK:SEL "TKNR0001","p",x', -104),
        ("STAT:ALAR:LOG? x", -104),
        ("SOUR:ATT -0.1", -222),
        ("SOUR:ATT 60.1", -222),
        ("SOUR:ATT 1e300", -222),
        ("KEY:BLOC 99999", -222),
        ('UNIT:LEAS 4,"7F3A09C2"', -222),
        ('UNIT:LEAS 3601,"7F3A09C2"', -222),
        ("STAT:ALAR:LOG? -1", -222),
        ('LINK:SEL "TKNR0001",""', -222),
        ('LINK:SEL "-","-"', -222),
        ('LINK:SEL "no","p"', -222),
        ('LINK:SEL "TKNR0001","a b"', -222),
        ('LINK:SEL "TKNR0001","p",-1', -222),
        ("CHAN1:STAT MAYBE", -224),
        ("UNIT:POW UP", -224),
        ("SOUR:PHOT:DEC 0.5", 132),
        ("SOUR:PHOT:SIGN 0.1", 132),
        ("SOUR:PHOT:SIGN 0.201", 132),
        ('SEC:ZER "TKNT9999"', 132),
        ('LINK:SEL "TKNR0001","north"', 132),
        ("KEY:STOP", 130),
        ("UNIT:POW ON", 130),
    ],
)
def test_refusals_have_their_number_and_change_nothing(tx: Instrument, message: str, code: int) -> None:
    before = tx.everything()
    reply = tx.ask(message)
    assert (reply.code, reply.data) == (code, None)
    assert tx.everything() == before
    tx.line("*CLS")
    assert tx.line(message) == ""
    assert tx.line("SYST:ERR?").startswith(f"{code},")
    assert tx.line("SYST:ERR?") == '0,"No error"\n'


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ("SOUR:ATT 99", "Data out of range;SOUR:ATT takes 0 to 60 dB"),
        ("SOUR:PHOT:SIGN 2", "Data out of range;SOUR:PHOT:SIGN takes 0.05 to 1"),
        ('UNIT:LEAS 1,"7F3A09C2"', "Data out of range;UNIT:LEAS takes 0, or 5 to 3600 s"),
        ("CHAN2:STAT HALF", "Illegal parameter value;CHAN2:STAT takes ON or OFF"),
        ("KEY:STOP", "Not in this state;STANDBY: KEY:STOP is allowed in RUN, TRACK, DEGRADED, REALIGN"),
        ('SEC:ZER "OTHER"', "Refused;that is the serial number of another unit"),
    ],
)
def test_a_refusal_says_what_would_be_right(tx: Instrument, message: str, text: str) -> None:
    assert tx.ask(message).text == text


def test_header_goes_before_parameters_range_before_state_and_state_before_reason() -> None:
    running = in_state(TransmitterModel, "RUN")
    assert running.ask("SOUR:ATTX 99").code == -113
    assert running.ask("SOUR:ATT abc").code == -104
    assert running.ask("SOUR:ATT 99").code == -222
    assert running.ask("SOUR:PHOT:DEC 0.5").code == 130
    assert in_state(TransmitterModel, "STANDBY").ask("SOUR:PHOT:DEC 0.5").code == 132


@pytest.mark.parametrize(
    ("order", "question", "answer"),
    [
        ("SOUR:ATT 0", "SOUR:ATT?", "0"),
        ("SOUR:ATT +1.25E1", "SOUR:ATT?", "12.5"),
        ("SOUR:ATT -0", "SOUR:ATT?", "0"),
        ("SOUR:ATT .5", "SOUR:ATT?", "0.5"),
        ("SOUR:PHOT:VAC 2.1e-05", "SOUR:PHOT:VAC?", "2.1e-05"),
        ("KEY:BLOC 300000", "KEY:BLOC?", "300000"),
        ("CHAN3:STAT on", "CHAN3:STAT?", "ON"),
        ("SOUR:PROB:DEC 0.25", "SOUR:PROB:SIGN?", "0.65"),
        ('UNIT:LEAS 5,"7F3A09C2"', "UNIT:LEAS?", '5,5,"7F3A09C2"'),
    ],
)
def test_what_is_ordered_is_in_force(tx: Instrument, order: str, question: str, answer: str) -> None:
    assert tx.data(f"{order};:{question}") == answer


def test_no_number_is_minus_nought() -> None:
    assert [number(value, ".2f") for value in (-0.001, 0.0, -0.01, 3.0)] == ["0.00", "0.00", "-0.01", "3.00"]


def test_a_message_after_a_mistyped_header_is_thrown_away(tx: Instrument) -> None:
    tx.line("NONSENSE;SOUR:ATT 3")
    assert tx.data("SOUR:ATT?") == "35"


def test_a_message_has_at_most_4096_characters(tx: Instrument) -> None:
    message = "SOUR:ATT 3;" + " " * (4096 - 11)
    assert tx.line(message + " ") == ""
    assert tx.line("SYST:ERR?").startswith("-363,")
    assert tx.data("SOUR:ATT?") == "35"
    tx.line(message)
    assert tx.data("SOUR:ATT?") == "3"


def test_a_reply_has_at_most_65536_characters() -> None:
    rx = in_state(ReceiverModel, "RUN", detectors="avalanche")
    question = ";".join([":FETC:ALL?"] * 40)
    assert rx.line(question) == ""
    assert rx.line("SYST:ERR?").startswith("-430,")
    reply = rx.ask(question)
    assert reply.code == -430
    assert 40_000 < len(reply.data or "") < 65_536


def test_signs_that_do_not_belong_here_are_refused(tx: Instrument) -> None:
    tx.model.receive("control", b"SOUR:ATT 3\xff\n")
    assert tx.line("SYST:ERR?").startswith("-101,")
    assert tx.data("SOUR:ATT?") == "35"


def test_errors_with_quotation_marks_can_be_read(tx: Instrument) -> None:
    tx.line('"oh"')
    code, _, text = tx.line("SYST:ERR?").rstrip().partition(",")
    assert code == "-102"
    assert text.count('"') == 2


# --- common commands ------------------------------------------------------------------------------------------------


def test_reset_takes_the_safe_state_and_changes_nothing_else(tx: Instrument, rx: Instrument) -> None:
    tx.data("SOUR:PHOT:SIGN 0.7")
    before = tx.everything()
    tx.line("*RST")
    after = tx.everything()
    assert tx.data("SOUR:EMIS?;ATT?") == "0;60"
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"SOUR:EMIS", "SOUR:ATT", "FETC:POW", "FETC:POW:ATT"} | {
        f"CHAN{c}:{what}" for c in (1, 2) for what in ("POW", "CURR")
    }
    rx.line("*RST")
    assert rx.data("INP:SHUT?;:DET16:BIAS?;:KEY:PSK?") == "CLOSED;0;1"


def test_reset_stops_a_running_unit() -> None:
    running = in_state(ReceiverModel, "RUN")
    running.line("*RST")
    assert running.state() == "STANDBY"


def test_self_test_tells_of_a_latched_fault(tx: Instrument) -> None:
    assert tx.data("*TST?") == "0"
    tx.model.add_fault("rng_failure")
    tx.pass_time(0.1)
    assert tx.data("*TST?") == "1"
    assert tx.data("SOUR:RAND?") == "0"


def test_operations_are_complete_at_once(tx: Instrument) -> None:
    assert tx.data("CAL:STAR;*OPC?") == "1"
    assert tx.state() == "REALIGN"


# --- status registers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "condition"),
    [("OFF", 0), ("WARMUP", 2), ("AUTH", 0), ("ALIGN", 1), ("REALIGN", 1), ("STANDBY", 0), ("RUN", 16 + 256)],
)
def test_the_operation_condition_follows_the_state(state: str, condition: int) -> None:
    for kind in (TransmitterModel, ReceiverModel):
        instrument = in_state(kind, state)
        assert instrument.data("STAT:OPER:COND?") == str(condition)


@pytest.mark.parametrize(
    ("kind", "fault", "condition"),
    [
        (TransmitterModel, "laser_power_loss", 8),
        (TransmitterModel, "laser_temperature_runaway", 16),
        (TransmitterModel, "rng_failure", 512),
        (TransmitterModel, "cover_opened", 512),
        (TransmitterModel, "chassis_hot", 16),
        (TransmitterModel, "keystore_full", 1024),
        (ReceiverModel, "light_lost", 8),
        (ReceiverModel, "clock_unlocked", 32),
        (ReceiverModel, "cryostat_warm", 16),
        (ReceiverModel, "detector_blinding", 512),
        (ReceiverModel, "qber_high", 1024),
    ],
)
def test_the_questionable_condition_follows_the_alarms(kind: Kind, fault: str, condition: int) -> None:
    instrument = in_state(kind, "RUN")
    instrument.pass_time(3)
    assert instrument.data("STAT:QUES:COND?") == "0"
    instrument.model.add_fault(fault)
    instrument.pass_time(60 if fault == "chassis_hot" else 15 if "runaway" in fault or "warm" in fault else 1)
    assert instrument.data("STAT:QUES:COND?") == str(condition)
    assert int(instrument.data("STAT:QUES?")) & condition == condition
    assert instrument.data("STAT:QUES?") == "0"


def test_a_state_that_passes_at_once_is_latched_in_the_events(rx: Instrument) -> None:
    rx.data("STAT:OPER?;:CAL:STAR;:UNIT:SAFE")
    assert rx.data("STAT:OPER:COND?;:STAT:OPER?;:STAT:OPER?") == "0;1;0"


def test_enabled_events_request_service(rx: Instrument) -> None:
    rx.line("*CLS;:STAT:QUES:ENAB 8;*SRE 8")
    assert rx.model.service_request_enable == 8
    assert rx.model.status_byte(message_available=False) == 0
    rx.model.add_fault("light_lost")
    rx.pass_time(1)
    assert rx.model.status_byte(message_available=False) == 8 | 64
    rx.line("STAT:QUES?")
    assert rx.model.status_byte(message_available=False) == 0


def test_a_program_that_waits_for_a_state_is_told_by_the_events() -> None:
    rx = in_state(ReceiverModel, "REALIGN")
    rx.line("*CLS;:STAT:OPER:ENAB 16;*SRE 128")
    rx.pass_time(29)
    assert rx.model.status_byte(message_available=False) == 0
    rx.pass_time(2)
    assert rx.state() == "RUN"
    assert rx.model.status_byte(message_available=False) == 128 | 64


# --- the lease ------------------------------------------------------------------------------------------------------


def test_a_lease_that_runs_out_does_what_safe_does() -> None:
    tx = in_state(TransmitterModel, "RUN")
    assert tx.data("UNIT:LEAS?") == '0,0,""'
    tx.data('UNIT:LEAS 30,"7F3A09C2"')
    tx.pass_time(20)
    assert tx.data("UNIT:LEAS?") == '30,10,"7F3A09C2"'
    tx.data('UNIT:LEAS:KEEP "7F3A09C2"')
    assert tx.data("UNIT:LEAS?") == '30,30,"7F3A09C2"'
    tx.pass_time(30.1)
    assert tx.line("UNIT:STAT?;:SOUR:EMIS?;:UNIT:LEAS?") == 'STANDBY,NONE;0;0,0,""\n'
    assert tx.active() == {"LEASE_EXPIRED"}
    tx.data('UNIT:LEAS 0,"7F3A09C2"')
    assert tx.active() == set()


def test_no_request_renews_a_lease_but_its_holder_s_own() -> None:
    """A program that reads beside a dead controller keeps nothing alive, sealed or not; nor does a repeated request."""
    tx = in_state(TransmitterModel, "RUN")
    tx.data('UNIT:LEAS 5,"7F3A09C2"')
    for _ in range(6):
        tx.data("UNIT:STAT?")
        tx.line("FETC:ALL?")
        tx.line(request("TKNT0001", "00C0DE", 'UNIT:LEAS:KEEP "7F3A09C2"'))
        tx.line(request("OTHER", "000001", 'UNIT:LEAS:KEEP "7F3A09C2"'))
        assert tx.ask('UNIT:LEAS:KEEP "7F3A09C3"').code == 132
        tx.pass_time(1)
    assert tx.line("UNIT:STAT?") == "STANDBY,NONE\n"
    assert tx.ask('UNIT:LEAS:KEEP "7F3A09C2"').code == 132


def test_a_lease_is_taken_over_and_never_ended_for_another() -> None:
    tx = in_state(TransmitterModel, "RUN")
    tx.data('UNIT:LEAS 5,"7F3A09C2"')
    refused = tx.ask('UNIT:LEAS 0,"00000001"')
    assert (refused.code, refused.text) == (132, "Refused;7F3A09C2 holds the lease; take it over first")
    tx.line('UNIT:LEAS 60,"0000ABCD"')  # an operator
    assert tx.ask('UNIT:LEAS:KEEP "7F3A09C2"').code == 132
    tx.pass_time(50)
    assert tx.data("UNIT:LEAS?") == '60,10,"0000ABCD"'
    tx.data('UNIT:LEAS 0,"0000ABCD"')
    assert tx.data("UNIT:LEAS?") == '0,0,""'


@pytest.mark.parametrize(
    ("order", "code"),
    [
        ("UNIT:LEAS 30", -109),
        ('UNIT:LEAS 30,"7F3A09C2",1', -108),
        ("UNIT:LEAS 30,7F3A09C2", -104),
        ('UNIT:LEAS 30,"7f3a09c2"', -222),
        ('UNIT:LEAS 30,"7F3A09C"', -222),
        ('UNIT:LEAS ABC,"7F3A09C2"', -104),
        ("UNIT:LEAS:KEEP", -109),
        ("UNIT:LEAS:KEEP 1", -104),
        ('UNIT:LEAS:KEEP ""', -222),
        ("UNIT:LEAS:KEEP?", -113),
    ],
)
def test_a_holder_of_another_form_is_none(order: str, code: int) -> None:
    assert in_state(TransmitterModel, "RUN").ask(order).code == code


# --- the worked messages of the page --------------------------------------------------------------------------------


def test_the_worked_messages_of_the_page(tx: Instrument) -> None:
    assert tx.line("SEAL? #H00A1F0,#H4A533139;*IDN?") == (
        '#H00A1F0,#H6FB0B60E,0,"No error";NEC-STYLE,TB-TX8,TKNT0001,1.0.0\n'
    )
    assert ',0,"No error";-0.' in tx.line("SEAL? #H00A1F1,#H75D34207;CHAN1:POW?")
    assert tx.line("SEAL? #H00A1F2,#H4566E771;SOUR:ATT 12.5;:SOUR:ATT?") == '#H00A1F2,#H72E9D282,0,"No error";12.5\n'
    assert tx.line("SEAL? #H00A1F3,#H0FBAEFCA;SOUR:ATT 99;:SOUR:ATT?") == (
        '#H00A1F3,#HBEFF3203,-222,"Data out of range;SOUR:ATT takes 0 to 60 dB"\n'
    )
    tx.model.add_fault("cover_opened")
    assert tx.line("SEAL? #H00A1F4,#H1A67F9E6;KEY:STAR") == (
        '#H00A1F4,#HEFF7B3B0,130,"Not in this state;SECURITY_HOLD: KEY:STAR is allowed in STANDBY"\n'
    )


def test_random_bytes_never_raise(tx: Instrument) -> None:
    import random

    chance = random.Random(1)
    for _ in range(300):
        tx.model.receive("control", chance.randbytes(chance.randrange(80)) + b"CHAN1:" * chance.randrange(3) + b"\n")
        tx.model.take("control")
    tx.line("*CLS")
    assert tx.data("SOUR:RATE?") == "1250000000"
