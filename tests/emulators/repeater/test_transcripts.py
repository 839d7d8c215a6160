"""The emulated repeater against golden transcripts: a manager that sends these requests gets these replies."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from tokaido.emulators.repeater import RepeaterModel
from tokaido_testing.repeaters import body_of, load, reply, request, transcripts

PEER = b"\0peer"


def answered(model: RepeaterModel, message: bytes) -> list[bytes]:
    model.receive_message(PEER, "", [message])
    return [frames[0] for peer, frames in model.take_messages() if peer == PEER]


@pytest.mark.parametrize("name", transcripts("emulator"))
def test_emulator_says_exactly_the_transcript(name: str) -> None:
    transcript, numbers = load(name), count(1)
    model = RepeaterModel(**transcript["box"])
    for exchange in (one for step in transcript["step"] for one in step["exchange"]):
        identifier = b"\xa1\xb2\xc3\xd4" + next(numbers).to_bytes(4, "big")
        (said,) = answered(model, request(identifier, exchange["send"]))
        bears, body = body_of(said, b"<")
        assert bears == identifier
        expected: dict[str, Any] = exchange["reply"]
        varies = exchange.get("varies", [])
        assert body.keys() == expected.keys()
        assert {k: v for k, v in body.items() if k not in varies} == {
            k: v for k, v in expected.items() if k not in varies
        }, exchange["send"]


def test_the_golden_bytes_of_the_page() -> None:
    model = RepeaterModel("maibara")
    identifier = bytes.fromhex("a1b2c3d400000001")
    asked = bytes.fromhex("a1b2c3d400000001 e1eceee8 82a2646fa472656164a26f66a57374617465")
    assert asked == request(identifier, {"do": "read", "of": "state"})
    told = bytes.fromhex(
        "a1b2c3d400000001 665a0c5f 83a26f6bc3a576616c7565a852454c4159494e47a56167655f73cb0000000000000000"
    )
    assert answered(model, asked) == [told]
    assert told == reply(identifier, {"ok": True, "value": "RELAYING", "age_s": 0.0})


def test_what_came_twice_late_or_altered_is_passed_over() -> None:
    model = RepeaterModel("maibara", utc_s=1.8e9)
    first, second = (b"\xa1\xb2\xc3\xd4" + bytes([0, 0, 0, n]) for n in (1, 2))
    stop, go = (request(i, {"do": "relay", "on": on}) for i, on in ((first, False), (second, True)))
    assert len(answered(model, stop)) == len(answered(model, go)) == 1
    for again in (stop, go):
        assert answered(model, again) == []
    assert model.status().relaying
    for place in range(len(stop)):
        altered = bytearray(request(b"\xa1\xb2\xc3\xd4\0\0\0\x09", {"do": "relay", "on": False}))
        altered[place] ^= 1
        assert answered(model, bytes(altered)) == []
    assert model.status().relaying
    other = request(b"another!"[:4] + bytes([0, 0, 0, 1]), {"do": "relay", "on": False})  # a connection of its own
    assert len(answered(model, other)) == 1
    assert not model.status().relaying


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        b"\x80",
        b"\x93\x01\x02\x03",
        {"do": "fly"},
        {"do": "read"},
        {"do": "read", "of": ""},
        {"do": "read", "of": "state", "further": 1},
        {"do": "read", "of": 7},
        {"do": "relay", "on": 1},
        {"do": "events", "since": -1, "most": 1},
        {"do": "events", "since": 0, "most": 501},
        {"do": "maintain", "link": "maibara-west", "on": True, "until_utc_s": float("nan"), "note": ""},
        {"do": "maintain", "link": "maibara-west", "on": True, "until_utc_s": -1.0, "note": ""},
        {"do": "drain", "why": "x" * 1001},
        {"do": "drain", "why": "x" * 70_000},
        b"\x91" * 5000,
    ],
)
def test_what_is_no_request_is_refused_and_changes_nothing(body: object) -> None:
    model = RepeaterModel("maibara", utc_s=1.8e9)
    before = model.status()
    (said,) = answered(model, request(bytes(7) + b"\1", body))
    _, told = body_of(said, b"<")
    assert (told["ok"], told["error"]) == (False, "MALFORMED")
    after = model.status()
    assert (after.relaying, after.links) == (before.relaying, before.links)


def test_frames_that_are_none_are_passed_over() -> None:
    model = RepeaterModel("maibara")
    whole = request(bytes(7) + b"\1", {"do": "status"})
    for cut in range(len(whole)):
        assert answered(model, whole[:cut]) == []
    model.receive_message(PEER, "", [whole, b""])
    assert model.take_messages() == []
    assert len(answered(model, whole)) == 1
