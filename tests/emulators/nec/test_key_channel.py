"""The key channel in MessagePack (page, section 5), and that no key byte ever shows."""

from __future__ import annotations

import json
from itertools import count
from typing import Any

import msgspec
import pytest

from tokaido.emulators.nec import ReceiverModel, TransmitterModel
from tokaido.emulators.nec._keyformat import MAX_HEADER, NecKeyFormat
from tokaido.emulators.nec._unit import MAX_CONNECTIONS
from tokaido.emulators.units import BlockOutcome, Refusal
from tokaido.hal import KeyBlockFacts, KeyMaterial
from tokaido_testing.sealed import Instrument

KEY = bytes(range(64))
HOST = "0123456789abcdef"


class Host:
    """A program at the key channel of a model in process."""

    def __init__(self, model: TransmitterModel | ReceiverModel, peer: bytes = b"peer") -> None:
        self.model = model
        self.peer = peer
        self.numbers = count(100)

    def send(self, header: object, *payload: bytes) -> list[tuple[dict[str, Any], list[bytes]]]:
        """Send a message as it is and return what comes back, headers decoded."""
        frames = [header if isinstance(header, bytes) else msgspec.msgpack.encode(header), *payload]
        self.model.receive_message(self.peer, "key", frames)
        return self.read()

    def read(self) -> list[tuple[dict[str, Any], list[bytes]]]:
        messages = self.model.take_messages()
        assert all(peer == self.peer for peer, _ in messages)
        return [(msgspec.msgpack.decode(frames[0]), frames[1:]) for _, frames in messages]

    def ask(self, verb: str, *payload: bytes, **members: object) -> tuple[dict[str, Any], list[bytes]]:
        number = next(self.numbers)
        header = {"n": number, "verb": verb, "serial_number": self.model.serial_number, "host": HOST, **members}
        ((reply, frames),) = self.send(header, *payload)
        assert reply["n"] == number
        assert reply["serial_number"] == self.model.serial_number
        return reply, frames


@pytest.fixture
def model() -> TransmitterModel:
    made = TransmitterModel()
    made.prepare("RUN")
    return made


@pytest.fixture
def host(model: TransmitterModel) -> Host:
    return Host(model)


def give_block(model: TransmitterModel, number: int = 0, key: bytes = KEY) -> None:
    session = model.blocks.session
    assert session is not None
    facts = KeyBlockFacts("of its distillation", number, 8 * len(key), "lim2014", "chernoff", 1e-10, False, True)
    outcome = BlockOutcome("accepted", number=number, qber=0.01, key=KeyMaterial(key), facts=facts)
    model.blocks.block_ended(session, outcome)


def test_a_hello_needs_no_serial_number(model: TransmitterModel, host: Host) -> None:
    ((reply, payload),) = host.send({"n": 1, "verb": "hello", "protocol": "NQK1", "from": "anybody"})
    assert payload == []
    assert reply == {
        "n": 1,
        "ok": True,
        "protocol": "NQK1",
        "vendor": "NEC-STYLE",
        "model": "TB-TX8",
        "serial_number": "TKNT0001",
        "firmware": "1.0.0",
        "emulated": True,
    }
    assert host.ask("hello", protocol="TQK1")[0]["code"] == "RANGE"


def test_a_request_for_another_box_is_refused(host: Host) -> None:
    ((reply, _),) = host.send({"n": 1, "verb": "status", "serial_number": "TKNT0002"})
    assert (reply["ok"], reply["code"]) == (False, "WRONG_UNIT")
    ((reply, _),) = host.send({"n": 2, "verb": "status"})
    assert reply["code"] == "MALFORMED"
    assert host.ask("status")[0]["state"] == "RUN"


# --- numbers --------------------------------------------------------------------------------------------------------


def test_a_number_must_rise_and_a_request_that_came_twice_is_not_carried_out_twice(
    model: TransmitterModel, host: Host
) -> None:
    status = {"verb": "status", "serial_number": "TKNT0001"}
    assert [reply["n"] for reply, _ in host.send({"n": 7, **status})] == [7]
    for number in (7, 6, 1):
        assert host.send({"n": number, **status}) == []
    assert [reply["n"] for reply, _ in host.send({"n": 8, **status})] == [8]
    give_block(model)
    ack = {"n": 9, "verb": "ack", "serial_number": "TKNT0001", "host": HOST, "session": model.session_id, "number": 0}
    commit = {**ack, "verb": "commit", "n": 10}
    assert host.send(ack)[0][0]["state"] == "acked"
    assert host.send(commit)[0][0]["state"] == "committed"
    assert model.store.committed == 1
    assert host.send(commit) == []


def test_numbers_are_those_of_a_connection(model: TransmitterModel, host: Host) -> None:
    other = Host(model, b"other")
    status = {"verb": "status", "serial_number": "TKNT0001"}
    assert len(host.send({"n": 1000, **status})) == 1
    assert len(other.send({"n": 1, **status})) == 1
    assert host.send({"n": 999, **status}) == []
    assert len(other.send({"n": 2, **status})) == 1


@pytest.mark.parametrize("number", [0, -1, 1.5, "1", True, None, 2**64 - 1])
def test_only_a_positive_integer_is_a_number(host: Host, number: object) -> None:
    replies = host.send({"n": number, "verb": "status", "serial_number": "TKNT0001"})
    assert len(replies) == (number == 2**64 - 1)


def test_a_refused_request_uses_its_number_up(host: Host) -> None:
    assert host.send({"n": 5, "verb": "nonsense", "serial_number": "TKNT0001"})[0][0]["code"] == "UNKNOWN"
    assert host.send({"n": 5, "verb": "status", "serial_number": "TKNT0001"}) == []


def test_the_memory_of_connections_is_bounded(model: TransmitterModel) -> None:
    for i in range(MAX_CONNECTIONS + 10):
        Host(model, b"%d" % i).send({"n": 5, "verb": "status", "serial_number": "TKNT0001"})
    assert len(model._last_number) == MAX_CONNECTIONS


# --- what cannot be read --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\xc1",
        b"{}",
        msgspec.msgpack.encode([1, 2]),
        msgspec.msgpack.encode({1: 2}),
        msgspec.msgpack.encode("n"),
        b"\x91" * 100_000,
        b"\xdf\xff\xff\xff\xff",
        msgspec.msgpack.encode({"n": 1, "verb": "status", "fill": "x" * MAX_HEADER}),
    ],
    ids=range(9),
)
def test_what_is_no_header_is_dropped(host: Host, frame: bytes) -> None:
    assert host.send(frame) == []
    assert host.send(frame, b"payload") == []
    assert host.ask("status")[0]["ok"]


def test_a_header_without_a_verb_and_a_message_of_too_many_frames_are_malformed(host: Host) -> None:
    assert host.send({"n": 1, "serial_number": "TKNT0001"})[0][0]["code"] == "MALFORMED"
    assert host.send({"n": 2, "verb": 3, "serial_number": "TKNT0001"})[0][0]["code"] == "MALFORMED"
    assert "64 frames" in host.ask("status", *[b""] * 64)[0]["text"]
    assert "64 frames" not in host.ask("status", *[b""] * 63)[0]["text"]
    assert host.send(b"") == []
    assert NecKeyFormat().request_id([]) is None
    with pytest.raises(Refusal):
        NecKeyFormat().decode([])


def test_unknown_members_are_ignored(host: Host) -> None:
    assert host.ask("status", extra={"nested": [1, b"2"]})[0]["ok"]


def test_random_bytes_never_raise(host: Host) -> None:
    import random

    chance = random.Random(1)
    for _ in range(500):
        host.send(chance.randbytes(chance.randrange(60)))
    assert host.ask("status")[0]["ok"]


# --- keys -----------------------------------------------------------------------------------------------------------


def test_a_block_is_drawn_acknowledged_and_committed(model: TransmitterModel, host: Host) -> None:
    give_block(model)
    assert model.panel.status.operation.condition & 512 == 0
    model.advance(model.now_ns + 50_000_000)
    assert model.panel.status.operation.condition & 512
    reply, payload = host.ask("draw", max=4, wait_ms=0)
    (block,) = reply["blocks"]
    assert payload == [KEY]
    assert (block["session"], block["number"], block["bits"]) == (model.session_id, 0, 512)
    assert block["emulated"] is True
    for verb, state in (("ack", "acked"), ("commit", "committed"), ("commit", "committed")):
        assert host.ask(verb, session=block["session"], number=0)[0]["state"] == state
    assert Instrument(model).data("KEY:COUN?") == "0,1"


def test_a_preshared_key_is_loaded_over_the_key_channel() -> None:
    model = TransmitterModel()
    host, instrument = Host(model), Instrument(model)
    assert instrument.data("KEY:PSK?;AUTH?;:LINK:LIST?") == '0;0;""'
    assert host.ask("load_psk", bytes(100))[0]["code"] == "PSK_SIZE"
    assert host.ask("load_psk", bytes(range(256)) * 16)[0]["loaded"] == 4096
    present, left, links = instrument.data("KEY:PSK?;AUTH?;:LINK:LIST?").split(";")
    assert present == "1"
    assert int(left) > 30_000
    assert links == f'"","",{left}'
    assert host.ask("load_psk", bytes(reversed(range(256))) * 16, peer="TKNR0001", path="north.1")[0]["ok"]
    assert instrument.data("LINK:LIST?") == f'"","",{left},"TKNR0001","north.1",{left}'
    instrument.data('LINK:SEL "TKNR0001","north.1",7')
    assert instrument.data("LINK:SEL?") == '"TKNR0001","north.1",7'
    refused = instrument.ask('LINK:SEL "","",6')
    assert (refused.code, refused.text) == (132, "Refused;fencing token 6 is below 7")
    instrument.data('LINK:SEL "",""')
    assert instrument.data("LINK:SEL?") == '"","",7'
    instrument.data('SEC:ZER "TKNT0001"')
    assert instrument.data("LINK:LIST?;:KEY:PSK?") == '"";0'


# --- telemetry ------------------------------------------------------------------------------------------------------


def test_telemetry_has_the_names_of_fetch_all_and_nil_for_what_is_missing(model: TransmitterModel, host: Host) -> None:
    assert host.ask("subscribe", interval_ms=100)[0]["lease_s"] == 30
    model.advance(model.now_ns + 150_000_000)
    ((event, payload),) = host.read()
    assert payload == []
    assert (event["n"], event["event"], event["seq"], event["state"]) == (0, "telemetry", 1, "RUN")
    listed = Instrument(model).everything()
    assert list(event["values"]) == list(listed)
    for name, value in event["values"].items():
        text = listed[name][0]
        if text == "9.91E37":
            assert value is None
        elif isinstance(value, float):
            assert value == pytest.approx(float(text), rel=0.2, abs=0.5)
        else:
            assert value == text
    assert event["values"]["CHAN1:STAT"] == "ON"
    assert event["values"]["SOUR:ATT"] == 35.0


def test_an_alarm_is_told_and_events_are_counted(model: TransmitterModel, host: Host) -> None:
    host.ask("subscribe", interval_ms=60_000)
    model.add_fault("keystore_full")
    model.advance(model.now_ns + 100_000_000)
    model.faults.remove("keystore_full")
    model.advance(model.now_ns + 100_000_000)
    events = [event for event, _ in host.read()]
    assert [(e["n"], e["seq"], e["change"], e["code"]) for e in events] == [
        (0, 1, "RAISED", "KEYSTORE_FULL"),
        (0, 2, "CLEARED", "KEYSTORE_FULL"),
    ]


# --- custody --------------------------------------------------------------------------------------------------------


def test_no_key_byte_shows_at_the_control_port_in_a_header_or_in_a_text() -> None:
    model = TransmitterModel()
    host, instrument = Host(model), Instrument(model)
    psk = bytes(range(256)) * 16
    host.ask("load_psk", psk)
    model.prepare("RUN")
    give_block(model)
    instrument.pass_time(1)
    host.ask("subscribe", interval_ms=100)
    instrument.pass_time(0.2)
    shown = [json.dumps(header, default=repr) for header, _ in host.read()]
    reply, _ = host.ask("draw", max=1, wait_ms=0)
    shown += [json.dumps(reply), repr(model.store), repr(model.blocks), repr(model.panel), repr(vars(model.panel))]
    for question in ("FETC:ALL?", "KEY:COUN?", "KEY:SESS?", "STAT:ALAR:LOG? 0", "LINK:LIST?", "SYST:ERR:ALL?"):
        shown.append(instrument.data(question))
    everything = "\n".join(shown)
    assert "FETC:QBER" in everything
    for secret in (KEY, psk):
        for piece in (secret[8:16], secret[40:48]):
            for form in (piece.hex(), piece.decode("latin-1"), repr(piece)[2:-1], json.dumps(list(piece))[1:-1]):
                assert form not in everything
