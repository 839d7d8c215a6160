"""The key channel of the NEC-style driver against a small ROUTER under CURVE that knows only the page."""

from __future__ import annotations

import base64
import itertools
import logging
import os
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import tokaido.hal as hal
from tokaido.drivers.nec._keychannel import NecKeyChannel
from tokaido.drivers.toshiba._keychannel import ToshibaKeyChannel
from tokaido.hal import create_curve_keys
from tokaido.hal.transports import load_curve_secret
from tokaido_testing.nec_box import KeyBox, SealedBox, opened
from tokaido_testing.patience import patient

SESSION = "0123456789abcdef"
pack = msgspec.msgpack.encode


@pytest.fixture
def keys(tmp_path: Path) -> Iterator[KeyBox]:
    server, client = (create_curve_keys(tmp_path, name) for name in ("server", "client"))
    known = load_curve_secret(client.secret).public
    with KeyBox(load_curve_secret(server.secret).secret, {known}) as box:
        yield box


@pytest.fixture
def tx(keys: KeyBox, tmp_path: Path) -> Iterator[hal.Transmitter]:
    resource = (
        f"zmq:tcp://127.0.0.1:{keys.port}?server_key_file={tmp_path / 'server.key'}"
        f"&client_key_file={tmp_path / 'client.key_secret'}"
    )
    with opened(SealedBox(), keys=resource, timeout=patient(0.5)) as device:
        yield device


def verbs(box: KeyBox) -> list[str]:
    return [request["verb"] for request in box.requests]


# --- key blocks -------------------------------------------------------------------------------------------------------


def test_blocks_are_drawn_acknowledged_and_committed(keys: KeyBox, tx: hal.Transmitter) -> None:
    secrets = [os.urandom(64), os.urandom(32)]
    keys.blocks = {(SESSION, number): secret for number, secret in enumerate(secrets)}
    drawn = []
    for block in tx.key_blocks(0):
        with block, block.key.reveal() as view:
            drawn.append(bytes(view))
    assert drawn == secrets
    assert keys.committed == [(SESSION, 0), (SESSION, 1)]
    assert verbs(keys) == ["hello", "draw", "ack", "commit", "draw", "ack", "commit", "draw"]
    assert keys.requests[0]["protocol"] == "NQK1"
    assert "serial_number" not in keys.requests[0]
    assert {request["serial_number"] for request in keys.requests[1:]} == {"TKNT0001"}
    numbers = [request["n"] for request in keys.requests]
    assert numbers == sorted(set(numbers))
    assert numbers[0] > 0


def test_a_block_says_what_is_public_about_it(keys: KeyBox, tx: hal.Transmitter) -> None:
    keys.blocks = {(SESSION, 7): bytes(64)}
    (block,) = tx.key_blocks(0, limit=1)
    info = block.info
    assert info.name == ("TKNT0001", SESSION, 7)
    assert (info.bits, info.method, info.bound, info.emulated, info.insecure) == (
        512, "lim2014", "chernoff", True, False,
    )  # fmt: skip
    assert (info.peer, info.path) == ("TKNR0001", "west")
    assert keys.committed == []


def test_what_is_offered_again_is_handed_out_once(keys: KeyBox, tx: hal.Transmitter) -> None:
    keys.blocks = {(SESSION, number): os.urandom(32) for number in range(3)}
    blocks = list(tx.key_blocks(0))
    assert [block.info.number for block in blocks] == [0, 1, 2]
    assert len(keys.blocks) == 3  # none was committed


@pytest.mark.parametrize("change", [{"bits": 8}, {"number": -1}, {"session": ""}, {"bits": "512"}])
def test_a_block_that_is_not_as_announced_is_refused(keys: KeyBox, tx: hal.Transmitter, change: dict[str, Any]) -> None:
    keys.blocks = {(SESSION, 0): bytes(64)}
    keys.spoil.append(lambda reply, payload: [[pack({**reply, "blocks": [reply["blocks"][0] | change]}), *payload]])
    with pytest.raises(hal.ProtocolError):
        list(tx.key_blocks(0))
    assert "ack" not in verbs(keys)


def test_a_block_without_its_key_is_refused(keys: KeyBox, tx: hal.Transmitter) -> None:
    keys.blocks = {(SESSION, 0): bytes(64)}
    keys.spoil.append(lambda reply, payload: [[pack(reply)]])
    with pytest.raises(hal.ProtocolError, match="1 blocks announced and 0 sent"):
        list(tx.key_blocks(0))


# --- replies that are not what they should be -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spoilt", "error"),
    [
        (lambda reply, _: [[b"\xc1"]], "none of this protocol"),
        (lambda reply, _: [[b""]], "none of this protocol"),
        (lambda reply, _: [[pack([1, 2])]], "none of this protocol"),
        (lambda reply, _: [[b"\x82\xa1n\x01\xa1t" + b"\x91" * 50_000]], "none of this protocol"),
        (lambda reply, _: [[pack({"n": reply["n"], "ok": "yes"})]], "none of this protocol"),
        (lambda reply, _: [[pack(reply | {"serial_number": "TKNT0002"})]], "another unit's"),
        (lambda reply, _: [[pack(reply | {"text": "x" * 70_000})]], "a header of 70"),
    ],
)
def test_a_spoilt_reply_is_a_protocol_error_and_the_next_call_is_right(
    keys: KeyBox, tx: hal.Transmitter, spoilt: Any, error: str
) -> None:
    keys.blocks = {(SESSION, 0): bytes(64)}
    keys.spoil.append(spoilt)
    with pytest.raises(hal.ProtocolError, match=error):
        list(tx.key_blocks(0))
    assert [block.info.number for block in tx.key_blocks(0)] == [0]


def test_late_and_doubled_replies_answer_no_other_request(keys: KeyBox, tx: hal.Transmitter) -> None:
    keys.blocks = {(SESSION, 0): os.urandom(64)}

    def doubled(reply: dict[str, Any], payload: list[bytes]) -> list[list[bytes]]:
        older = pack(reply | {"n": reply["n"] - 1, "blocks": [], "state": "committed"})
        return [[older], [pack(reply), *payload], [pack(reply), *payload]]

    keys.spoil += [doubled, doubled, doubled]
    (block,) = tx.key_blocks(0, limit=1)
    block.commit()
    assert keys.committed == [(SESSION, 0)]


def test_numbers_go_up_on_every_connection_whatever_fails(keys: KeyBox, tx: hal.Transmitter) -> None:
    """A call that has to connect again greets first: the greeting must not take a number above the call's own."""
    keys.blocks = {(SESSION, number): os.urandom(32) for number in range(2)}
    assert len(list(tx.key_blocks(0, limit=1))) == 1
    keys.unplug()
    keys.plug()
    assert len(list(tx.key_blocks(0))) == 2
    keys.spoil.append(lambda *_: [])  # a lost reply: the connection is made again
    with pytest.raises(hal.DeviceTimeoutError):
        list(tx.key_blocks(0))
    assert len(list(tx.key_blocks(0))) == 2
    assert verbs(keys).count("hello") == 3
    assert keys.dropped == []


def test_numbers_go_up_when_many_threads_call_at_once(keys: KeyBox, tx: hal.Transmitter) -> None:
    failed: list[BaseException] = []

    def call() -> None:
        try:
            for _ in range(10):
                assert list(tx.key_blocks(0)) == []
        except BaseException as error:  # noqa: BLE001 - shown below
            failed.append(error)

    list(tx.key_blocks(0))
    threads = [threading.Thread(target=call) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert failed == []
    assert keys.dropped == []
    assert verbs(keys) == ["hello"] + ["draw"] * 61


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("STATE", hal.StateError),
        ("RANGE", hal.RefusedError),
        ("NO_BLOCK", hal.RefusedError),
        ("NOT_ACKED", hal.RefusedError),
        ("BUSY", hal.DeviceBusyError),
        ("WRONG_UNIT", hal.WrongDeviceError),
        ("INTERNAL", hal.DeviceError),
        ("UNKNOWN", hal.DeviceError),
    ],
)
def test_refusals_have_classes(keys: KeyBox, tx: hal.Transmitter, code: str, error: type[hal.TokaidoError]) -> None:
    keys.refusals["draw"] = code, "for a reason"
    with pytest.raises(error, match=f"{code}, for a reason") as caught:
        list(tx.key_blocks(0))
    assert type(caught.value) is error
    assert (caught.value.device, caught.value.command) == ("nec.transmitter", "draw")


@pytest.mark.parametrize(("what", "value"), [("serial_number", "TKNT0002"), ("protocol", "NQK2")])
def test_the_key_channel_of_another_unit_or_protocol_is_refused(
    keys: KeyBox, tx: hal.Transmitter, what: str, value: str
) -> None:
    setattr(keys, what, value)
    with pytest.raises(hal.WrongDeviceError, match="control port is TKNT0001's"):
        list(tx.key_blocks(0))
    assert verbs(keys) == ["hello"]


# --- the pre-shared key -----------------------------------------------------------------------------------------------


def test_a_preshared_key_is_loaded_for_the_link_that_is_named(keys: KeyBox, tx: hal.Transmitter) -> None:
    secret = os.urandom(4096)
    tx.load_preshared_key(hal.KeyMaterial(secret))
    tx.load_preshared_key(hal.KeyMaterial(secret), peer="TKNR0001", path="west")
    assert keys.loaded == [(secret, "", ""), (secret, "TKNR0001", "west")]
    assert "peer" not in keys.requests[1]


def test_a_preshared_key_of_another_size_is_refused_before_it_is_sent(keys: KeyBox, tx: hal.Transmitter) -> None:
    with pytest.raises(hal.KeyMaterialError, match="exactly 4096 bytes, this one 4095"):
        tx.load_preshared_key(hal.KeyMaterial(os.urandom(4095)))
    assert keys.requests == []


def test_a_preshared_key_whose_reply_is_lost_is_sent_once(keys: KeyBox, tx: hal.Transmitter) -> None:
    keys.spoil.append(lambda *_: [])
    with pytest.raises(hal.OutcomeUnknownError):
        tx.load_preshared_key(hal.KeyMaterial(os.urandom(4096)))
    assert len(keys.loaded) == 1


# --- the telemetry stream ---------------------------------------------------------------------------------------------


def event(sequence: int, **members: Any) -> bytes:
    return pack(
        {"n": 0, "event": "telemetry", "serial_number": "TKNT0001", "seq": sequence, "uptime_ms": 1500,
         "state": "RUN", "values": {}} | members
    )  # fmt: skip


def test_events_come_with_our_names_and_count_what_was_lost(keys: KeyBox, tx: hal.Transmitter) -> None:
    keys.events = [
        event(1, values={"SOUR:ATT": 12.5, "CHAN8:POW": None, "CHAN1:STAT": "ON", "OF:TOMORROW": 1}),
        event(2, serial_number="TKNT0002"),
        b"\xc1",
        b"\x81\xa2\xff\xfe\x01",
        b"\x81\xa1x" + b"\x91" * 50_000,
        pack({"n": 0, "event": "of tomorrow"}),
        event(4, event="alarm", change="RAISED", code="LOS", severity="MAJOR", text="no light"),
    ]
    first, second = itertools.islice(tx.telemetry_stream(0.1, timeout=2), 2)
    assert (first.sequence, first.lost, first.uptime_s, first.state) == (1, 0, 1.5, hal.UnitState.RUN)
    assert first.values == {"attenuation": 12.5, "sub_channels[7].power": None, "sub_channels[0].enabled": True}
    assert (second.sequence, second.lost) == (4, 2)
    assert second.alarm == hal.AlarmEvent(4, True, "LOS", hal.Severity.MAJOR, "no light")
    subscribed = [request for request in keys.requests if request["verb"] == "subscribe"]
    assert [request["interval_ms"] for request in subscribed] == [100]


def test_events_do_not_answer_requests(keys: KeyBox, tx: hal.Transmitter) -> None:
    keys.blocks = {(SESSION, 0): bytes(64)}
    keys.spoil.append(lambda reply, payload: [[event(1)], [pack(reply | {"n": 0})], [pack(reply), *payload]])
    assert [block.info.number for block in tx.key_blocks(0)] == [0]


@given(st.lists(st.binary(max_size=60), min_size=1, max_size=4))
@example([b'{"x":' + b"[" * 50_000])
@example([b"\x81\xa1x" + b"\x91" * 50_000])
def test_no_message_makes_either_channel_raise_what_is_not_ours(frames: list[bytes]) -> None:
    for kind in (NecKeyChannel, ToshibaKeyChannel):
        channel = kind(hal.Resource.parse("zmq:inproc://nobody"), "tx", "TKNT0001", clock=hal.SYSTEM_CLOCK,
                       timeout_s=1.0)  # fmt: skip
        events: deque[Any] = deque()
        channel._keep(frames, events)
        channel._keep([bytes(8), *frames], events)
        assert not events


@given(
    st.dictionaries(st.text(max_size=8), st.one_of(st.integers(0, 2**32), st.text(max_size=20), st.booleans())),
    st.lists(st.binary(max_size=20), max_size=3),
    st.integers(1, 2**31),
)
def test_what_is_packed_is_unpacked_alike(header: dict[str, Any], payload: list[bytes], number: int) -> None:
    for kind in (NecKeyChannel, ToshibaKeyChannel):
        channel = kind(hal.Resource.parse("zmq:inproc://nobody"), "tx", "TKNT0001", clock=hal.SYSTEM_CLOCK,
                       timeout_s=1.0)  # fmt: skip
        header.pop("n", None)
        message = channel._unpack([*channel._pack(number, header), *payload])
        assert message is not None
        assert (message[0], message[2]) == (number, payload)
        assert {**channel._decode(message[1], dict), "n": number} == {**header, "n": number}


def test_how_long_a_preshared_key_is_is_the_familys_to_say(
    keys: KeyBox, tx: hal.Transmitter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(NecKeyChannel, "preshared_key_bytes", 32)
    tx.load_preshared_key(hal.KeyMaterial(bytes(range(32))))
    assert keys.loaded == [(bytes(range(32)), "", "")]
    with pytest.raises(hal.KeyMaterialError, match="exactly 32 bytes, this one 4096"):
        tx.load_preshared_key(hal.KeyMaterial(bytes(4096)))


# --- no key shows -----------------------------------------------------------------------------------------------------


def test_no_key_byte_shows(keys: KeyBox, tx: hal.Transmitter, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secret, preshared = os.urandom(64), os.urandom(4096)
    keys.blocks = {(SESSION, 0): secret}
    seen: list[str] = []
    channel = tx._keys()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    channel._transport.add_sink(lambda record: seen.append(str(record)))
    tx.load_preshared_key(hal.KeyMaterial(preshared))
    keys.spoil.append(lambda reply, payload: [[pack(reply | {"serial_number": "TKNT0002"}), *payload]])
    with pytest.raises(hal.ProtocolError) as caught:
        list(tx.key_blocks(0))
    seen += [str(caught.value), repr(caught.value)]
    keys.refusals["load_psk"] = "PSK_SIZE", "not as long as it should be"
    with pytest.raises(hal.RefusedError) as refused:
        tx.load_preshared_key(hal.KeyMaterial(preshared))
    seen += [str(refused.value), repr(refused.value)]
    blocks = list(tx.key_blocks(0))
    seen += [repr(blocks), str(blocks[0].info), repr(channel), caplog.text]
    text = "\n".join(seen)
    assert "<4096 bytes>" in text
    for key in (secret, preshared):
        for form in (key.hex(), repr(key), base64.b64encode(key).decode()):
            piece = form[8:24]
            assert piece not in text
