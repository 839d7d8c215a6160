"""The key channel without its sockets: requests, draws, the pre-shared key, telemetry (page, sections 8 to 11)."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
from pathlib import Path

import pytest

from tokaido.emulators.toshiba import TransmitterModel
from tokaido.hal import KeyBlockInfo, KeyMaterial
from tokaido_testing.console import Host, Program

SERIAL = "TKTX0001"
NONCE = bytes(16)


@pytest.fixture
def model() -> TransmitterModel:
    unit = TransmitterModel(SERIAL)
    unit.prepare("RUN")
    return unit


@pytest.fixture
def host(model: TransmitterModel) -> Host:
    return Host(model)


def give(model: TransmitterModel, number: int, session: str = "00112233aabbccdd") -> KeyMaterial:
    key = KeyMaterial(number.to_bytes(4, "big") * 8)
    info = KeyBlockInfo(session, number, key.bits, "lim2014", "chernoff", 1e-10, False, True, serial_number=SERIAL)
    model.store.add(info, key)
    model.keychannel.serve_draws()
    return key


# --- messages -------------------------------------------------------------------------------------------------------


def test_hello_says_who_is_there_and_needs_no_serial_number(host: Host) -> None:
    host.send(b'{"verb": "hello", "protocol": "TQK1", "what": "ever"}')
    (_, reply, payload), *others = host.take()
    assert (others, payload) == ([], [])
    assert reply == {
        "ok": True,
        "protocol": "TQK1",
        "vendor": "TOSHIBA-STYLE",
        "model": "T12-TX",
        "serial_number": SERIAL,
        "firmware": "1.0.0",
        "emulated": True,
    }


@pytest.mark.parametrize(
    "frames",
    [
        [b"{"],
        [b"[]"],
        [b"\xff\xfe"],
        [b"{}"],
        [b'{"verb": 3}'],
        [b'{"verb": "status"}'],
        [b'{"verb": "status", "serial_number": "TKTX0001"}', b"payload"],
        [b'{"verb": "status"}' + b" " * 65536],
        [b'{"verb": "status", "serial_number": "TKTX0001"}'] + [b""] * 63,
        [b"[" * 60000],
        [],
    ],
)
def test_what_is_malformed_is_said_to_be(host: Host, frames: list[bytes]) -> None:
    request = host.send(*frames)
    (answered, reply, _), *_ = host.take()
    assert answered == request
    assert (reply["ok"], reply["code"]) == (False, "MALFORMED")


@pytest.mark.parametrize("request_id", [b"", b"short", b"too long by one", bytes(8)])
def test_without_a_usable_id_there_is_no_answer(host: Host, request_id: bytes) -> None:
    host.model.receive_message(b"one", "client", [request_id, b'{"verb": "hello", "protocol": "TQK1"}'])
    assert host.take() == []


def test_other_refusals(host: Host) -> None:
    assert host.code("reboot") == "UNKNOWN"
    assert host.code("status", serial_number="TKTX0002") == "WRONG_UNIT"
    assert host.code("draw", max=0, wait_ms=0) == "RANGE"
    assert host.code("draw", max=17, wait_ms=0) == "RANGE"
    assert host.code("draw", max=1, wait_ms=30001) == "RANGE"
    assert host.code("draw", max=True, wait_ms=0) == "MALFORMED"
    assert host.code("draw", max=1) == "MALFORMED"
    assert host.code("draw", max=1, wait_ms=0, host="me") == "MALFORMED"
    assert host.code("subscribe", interval_ms=99) == "RANGE"
    assert host.code("ack", session="00", number=0) == "NO_BLOCK"


def test_status(model: TransmitterModel, host: Host) -> None:
    give(model, 0)
    reply = host.ask("status")
    assert (reply["state"], reply["waiting"], reply["committed"]) == ("RUN", 1, 0)
    assert reply["session"] == Program(host.model).data("SES?")


# --- the pre-shared key ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 3125, 4095, 4097])
def test_a_key_of_another_size_is_refused(model: TransmitterModel, host: Host, size: int) -> None:
    model.prepare("OFF")
    assert host.code("load_psk", bytes(size)) == "PSK_SIZE"


@pytest.mark.parametrize("state", ["OFF", "SELFTEST", "WARMUP", "AUTH"])
def test_a_key_is_loaded_where_the_page_says(state: str) -> None:
    model = TransmitterModel(SERIAL)
    model.prepare(state)
    host = Host(model)
    assert host.ask("load_psk", bytes(4096))["loaded"] == 4096
    assert Program(model).data("PSK?") == "1"


@pytest.mark.parametrize("state", ["ALIGN", "STANDBY", "RUN", "REALIGN", "FAULT", "SECURITY_HOLD", "ZEROIZE"])
def test_and_nowhere_else(model: TransmitterModel, host: Host, state: str) -> None:
    model.prepare(state)
    assert host.code("load_psk", bytes(4096)) == "STATE"


def test_a_key_loaded_again_goes_on_where_it_was_and_behind_what_was_set_aside() -> None:
    model = TransmitterModel(SERIAL)
    model.warm()
    host, program = Host(model), Program(model)
    host.ask("load_psk", bytes(range(256)) * 16)
    pool = model.links.pool
    assert pool is not None
    pool._spend()
    left = int(program.data("AUTH:LEFT?"))
    host.ask("load_psk", bytes(range(256)) * 16)
    assert program.data("AUTH:LEFT?") == f"{left}"
    program.data(f"SEC ZEROIZE,{SERIAL}")
    assert program.data("AUTH:LEFT?") == "0"
    host.model.advance(model.now_ns + 2_000_000_000)
    host.ask("load_psk", bytes(range(256)) * 16)
    left -= 3 * 128  # of a batch of four one was spent, and a mark never goes back for the others
    assert program.data("AUTH:LEFT?") == f"{left}"


# --- drawing --------------------------------------------------------------------------------------------------------


def test_blocks_are_offered_oldest_first_until_they_are_committed(model: TransmitterModel, host: Host) -> None:
    digests = [give(model, number).digest(NONCE) for number in range(3)]
    for _ in range(2):
        blocks = host.ask("draw", max=2, wait_ms=0)["blocks"]
        assert [block["number"] for block in blocks] == [0, 1]
        assert [KeyMaterial(frame).digest(NONCE) for frame in host.payload] == digests[:2]
    block = host.ask("draw", max=1, wait_ms=0)["blocks"][0]
    digest = block.pop("digest")
    assert list(block.items()) == list(
        {
            "session": "00112233aabbccdd",
            "number": 0,
            "bits": 256,
            "method": "lim2014",
            "bound": "chernoff",
            "eps": 1e-10,
            "insecure": False,
            "emulated": True,
            "peer": "-",
            "path": "-",
        }.items()
    )
    label = f"{SERIAL}\n00112233aabbccdd\n0\n256\nlim2014\nchernoff\n3ddb7cdfd9d7bdbb\n0\n1\n-\n-"
    assert digest == hmac.new(label.encode(), bytes(32), hashlib.sha256).hexdigest()


def test_ack_and_commit_may_be_repeated_and_only_commit_erases(model: TransmitterModel, host: Host) -> None:
    key = give(model, 0)
    name = {"session": "00112233aabbccdd", "number": 0}
    assert host.code("commit", **name) == "NOT_ACKED"
    assert [host.ask("ack", **name)["state"] for _ in range(2)] == ["acked", "acked"]
    assert host.ask("draw", max=1, wait_ms=0)["blocks"]
    key.reveal().release()
    assert [host.ask("commit", **name)["state"] for _ in range(2)] == ["committed", "committed"]
    assert key.wiped
    assert host.ask("ack", **name)["state"] == "committed"
    assert host.ask("draw", max=1, wait_ms=0)["blocks"] == []
    assert Program(model).data("KEYS?") == "0,1"


def test_a_draw_waits_for_the_first_block_or_its_time(model: TransmitterModel, host: Host) -> None:
    header = json.dumps(
        {"verb": "draw", "serial_number": SERIAL, "max": 16, "wait_ms": 2000, "host": host.name}
    ).encode()
    host.send(header)
    model.advance(model.now_ns + 1_000_000_000)
    assert host.take() == []
    give(model, 7)
    assert [block["number"] for block in host.take()[0][1]["blocks"]] == [7]
    host.ask("ack", session="00112233aabbccdd", number=7)
    host.ask("commit", session="00112233aabbccdd", number=7)
    host.send(header)
    model.advance(model.now_ns + 2_100_000_000)
    assert host.take()[0][1]["blocks"] == []


def test_one_host_draws_at_a_time(model: TransmitterModel, host: Host) -> None:
    other, twin = Host(model, b"two", "another"), Host(model, b"three", name="00000000000000bb")
    again = Host(model, b"four")
    give(model, 0)
    host.ask("draw", max=1, wait_ms=0)
    assert other.code("draw", max=1, wait_ms=0) == "BUSY"
    assert twin.code("draw", max=1, wait_ms=0) == "BUSY"
    assert other.code("ack", session="00112233aabbccdd", number=0) == "BUSY"
    assert again.ask("draw", max=1, wait_ms=0)["blocks"]
    model.advance(model.now_ns + 9_000_000_000)
    host.ask("ack", session="00112233aabbccdd", number=0)
    model.advance(model.now_ns + 9_900_000_000)
    assert other.code("draw", max=1, wait_ms=0) == "BUSY"
    model.advance(model.now_ns + 200_000_000)
    assert other.ask("draw", max=1, wait_ms=0)["blocks"]


def test_zeroize_erases_the_blocks(model: TransmitterModel, host: Host) -> None:
    key = give(model, 0)
    Program(model).data(f"SEC ZEROIZE,{SERIAL}")
    assert key.wiped
    assert host.ask("draw", max=1, wait_ms=0)["blocks"] == []
    assert host.code("ack", session="00112233aabbccdd", number=0) == "NO_BLOCK"


def test_power_off_keeps_the_blocks(model: TransmitterModel, host: Host) -> None:
    give(model, 0)
    Program(model).data("PWR OFF")
    assert len(host.ask("draw", max=1, wait_ms=0)["blocks"]) == 1


def test_a_full_store_says_so_until_one_is_committed(model: TransmitterModel, host: Host) -> None:
    for number in range(64):
        give(model, number)
    program = Program(model)
    program.pass_time(0.1)
    assert program.active() == {"KEYSTORE_FULL"}
    host.ask("ack", session="00112233aabbccdd", number=0)
    host.ask("commit", session="00112233aabbccdd", number=0)
    program.pass_time(0.1)
    assert program.active() == set()


def test_the_page_works_a_digest_out_and_so_does_the_unit(model: TransmitterModel, host: Host) -> None:
    page = (Path(__file__).parents[3] / "docs" / "protocols" / "toshiba.md").read_text(encoding="utf-8")
    worked = re.search(r"key bytes 00 to 1f: `([0-9a-f]{64})`", page)
    assert worked is not None
    key = KeyMaterial(bytes(range(32)))
    info = KeyBlockInfo("00112233aabbccdd", 0, 256, "lim2014", "chernoff", 1e-10, False, True, serial_number=SERIAL)
    model.add_key_block(info, key)
    assert host.ask("draw", max=1, wait_ms=0)["blocks"][0]["digest"] == worked[1]


def test_what_was_altered_on_its_way_to_the_unit_changes_nothing(model: TransmitterModel, host: Host) -> None:
    give(model, 0)
    give(model, 1)
    first, second = (block["digest"] for block in host.ask("draw", max=2, wait_ms=0)["blocks"])
    named = {"session": "00112233aabbccdd", "number": 1}
    assert host.code("ack", **named, digest=first) == "ALTERED"
    reply = host.ask("ack", **named, digest=second)
    assert (reply["session"], reply["number"], reply["state"]) == ("00112233aabbccdd", 1, "acked")
    assert host.code("commit", **named, digest=first) == "ALTERED"
    assert host.code("commit", **named, digest=7) == "MALFORMED"
    assert model.key_orders() == [("ack", "00112233aabbccdd", 1)]
    assert host.ask("commit", **named, digest=second)["number"] == 1
    assert host.ask("commit", **named, digest=first)["number"] == 1  # long committed, and the digest erased with it


@pytest.mark.parametrize("link", [{}, {"peer": "TKRX0001", "path": "west"}])
def test_an_altered_preshared_key_is_not_loaded(link: dict[str, str]) -> None:
    model = TransmitterModel(SERIAL)
    model.prepare("OFF")
    host, key = Host(model), os.urandom(4096)
    label = f"load_psk\n{SERIAL}\n{link.get('peer', '-')}\n{link.get('path', '-')}"
    digest = hmac.new(label.encode(), key, hashlib.sha256).hexdigest()
    assert host.code("load_psk", key[:-1] + bytes([key[-1] ^ 1]), digest=digest, **link) == "ALTERED"
    assert host.code("load_psk", key, digest=digest, peer="TKRX0002", path="west") == "ALTERED"
    assert model.links.remaining() == {}
    assert host.ask("load_psk", key, digest=digest, **link)["loaded"] == 4096


# --- telemetry ------------------------------------------------------------------------------------------------------


def test_a_subscription_sends_readings_and_alarms_counted_from_1(model: TransmitterModel, host: Host) -> None:
    assert host.ask("subscribe", interval_ms=100)["lease_s"] == 30
    model.advance(model.now_ns + 250_000_000)
    model.add_fault("cover_opened")
    events = host.take()
    assert all(message[0] == bytes(8) for message in events)
    headers = [message[1] for message in events]
    assert [header["seq"] for header in headers] == [1, 2, 3]
    assert [header["event"] for header in headers] == ["telemetry", "telemetry", "alarm"]
    assert {key: headers[2][key] for key in ("change", "code", "severity")} == {
        "change": "RAISED",
        "code": "TAMPER",
        "severity": "CRITICAL",
    }
    telemetry = headers[0]
    assert (telemetry["serial_number"], telemetry["state"]) == (SERIAL, "RUN")
    assert telemetry["values"]["QBER"] is None
    assert telemetry["values"]["CLK:RATE"] == 1e9
    assert isinstance(telemetry["values"]["SES"], str)
    listed = [item.partition("=")[0] for item in Program(model).data("TEL?").split(" ")]
    assert list(telemetry["values"]) == listed


def test_a_subscription_ends_after_30_s_unless_it_is_renewed(model: TransmitterModel, host: Host) -> None:
    host.ask("subscribe", interval_ms=10_000)
    model.advance(model.now_ns + 25_000_000_000)
    assert [message[1]["seq"] for message in host.take()] == [1, 2]
    host.ask("subscribe", interval_ms=10_000)
    model.advance(model.now_ns + 31_000_000_000)
    assert [message[1]["seq"] for message in host.take()] == [3, 4]
    model.advance(model.now_ns + 30_000_000_000)
    assert host.take() == []
    host.ask("subscribe", interval_ms=100)
    host.ask("unsubscribe")
    model.advance(model.now_ns + 1_000_000_000)
    assert host.take() == []


# --- a pure function ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [1, 7, 1000])
def test_the_same_inputs_give_the_same_bytes_however_time_is_cut(steps: int) -> None:
    def story(parts: int) -> tuple[bytes, list[tuple[bytes, list[bytes]]]]:
        model = TransmitterModel(seed=5, secrets="seeded")
        host, program = Host(model), Program(model)
        model.receive_message(
            b"one", "k", [b"12345678", b'{"verb":"subscribe","serial_number":"TKTX0001","interval_ms":700}']
        )
        for command in ("PWR ON", "TEL?", "LSE 30,7F3A09C2", "SEC ACK"):
            program.ask(command)
            start = model.now_ns
            for part in range(1, parts + 1):
                model.advance(start + 20_000_000_000 * part // parts)
        model.add_fault("rng_failure")
        model.advance(model.now_ns + 60_000_000)
        assert host.model is model
        return model.take("control"), model.take_messages()

    assert story(steps) == story(3)


def test_time_does_not_run_backwards(model: TransmitterModel) -> None:
    model.advance(1_000)
    with pytest.raises(ValueError, match="past"):
        model.advance(999)
