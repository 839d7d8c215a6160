"""The driver of repeater nodes against golden transcripts and a scripted node, without any emulator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import tokaido.hal as hal
from tokaido_testing.patience import patient
from tokaido_testing.repeaters import HELLO, ScriptedNode, load, reply, transcripts


def opened(node: ScriptedNode, *, prefix: bytes = b"\xa1\xb2\xc3\xd4", timeout: float = 5.0) -> hal.RepeaterNode:
    return hal.RepeaterNode.open(
        "repeater.node", control=node.resource, timeout=patient(timeout), nonces=lambda count: prefix[:count]
    )


def perform(device: hal.RepeaterNode, step: dict[str, Any]) -> object:
    if step["does"] == "read":
        path = step["path"]
        if path in device.queries():
            return getattr(device, path)().value
        owner, value = device.find(path)
        return owner.read(value)
    if step["does"] == "set":
        setattr(device, step["path"], step["to"])
        return None
    if step["does"] == "events":
        return [event.text for event in device.events().events]
    got = getattr(device, step["name"])(*step.get("args", ()), **step.get("options", {}))
    return list(got) if isinstance(got, tuple) else got


@pytest.mark.parametrize("name", transcripts("driver"))
def test_driver_says_and_understands_exactly_the_transcript(name: str) -> None:
    transcript = load(name)
    exchanges = [one for step in transcript["step"] for one in step["exchange"]]
    replies = iter([one["reply"] for one in exchanges])
    with ScriptedNode(lambda identifier, _: [reply(identifier, next(replies))]) as node, opened(node) as device:
        for step in transcript["step"][1:]:
            if "raises" in step:
                with pytest.raises(getattr(hal, step["raises"])) as caught:
                    perform(device, step)
                assert step.get("code", caught.value.code) == caught.value.code
                continue
            got = perform(device, step)
            assert got == step.get("returns", step.get("texts", got)), step
    heard = [body for _, body in node.heard]
    heard[0]["who"] = "WHO"
    assert heard == [one["send"] for one in exchanges]
    ids = [identifier for identifier, _ in node.heard]
    assert ids == [b"\xa1\xb2\xc3\xd4" + number.to_bytes(4, "big") for number in range(1, len(ids) + 1)]


def says(answer: Callable[[bytes, Any], list[bytes]]) -> Callable[[bytes, Any], list[bytes]]:
    """Greet, and let everything else be answered so."""
    return lambda identifier, body: [reply(identifier, HELLO)] if body["do"] == "hello" else answer(identifier, body)


VALUE = {"ok": True, "value": 0.5, "age_s": 0.0}


def test_only_the_reply_to_its_own_question_is_taken() -> None:
    def foreign(identifier: bytes, _: Any) -> list[bytes]:
        wrong = {"ok": True, "value": 0.25, "age_s": 0.0}
        late = identifier[:4] + bytes(4)
        altered = bytearray(reply(identifier, wrong))
        altered[-1] ^= 1
        echo = bytes(range(8)) + b"\0\0\0\0"
        return [reply(late, wrong), bytes(altered), echo, b"", reply(identifier, VALUE)]

    with ScriptedNode(says(foreign)) as node, opened(node) as device:
        assert device.links[0].qber == 0.5


@pytest.mark.parametrize(
    "body",
    [
        b"\xc1",
        {"value": 0.5},
        {"ok": True},
        {"ok": True, "value": [0.5]},
        {"ok": True, "value": "much"},
        {"ok": True, "value": 0.5, "age_s": -1.0},
        {"ok": True, "value": 0.5, "age_s": float("nan")},
        {"ok": 1, "value": 0.5},
    ],
)
def test_a_reply_that_is_none_is_a_protocol_error_and_the_next_call_is_well(body: object) -> None:
    bad = iter([body])

    def once(identifier: bytes, _: Any) -> list[bytes]:
        return [reply(identifier, next(bad, VALUE))]

    with ScriptedNode(says(once)) as node, opened(node) as device:
        with pytest.raises(hal.ProtocolError):
            _ = device.links[0].qber
        assert device.links[0].qber == 0.5


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
def test_a_number_that_there_is_not_is_no_value(value: float | None) -> None:
    said = {"ok": True, "value": value, "age_s": 0.0}
    with (
        ScriptedNode(says(lambda identifier, _: [reply(identifier, said)])) as node,
        opened(node) as device,
        pytest.raises(hal.NoDataError),
    ):
        _ = device.links[0].qber


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("ROLE", hal.RefusedError),
        ("REFUSED", hal.RefusedError),
        ("UNSUPPORTED", hal.UnsupportedError),
        ("BUSY", hal.OutcomeUnknownError),
        ("INTERNAL", hal.DeviceError),
        ("A_LATER_ONE", hal.DeviceError),
    ],
)
def test_each_refusal_is_an_error_of_its_kind(error: str, kind: type[hal.TokaidoError]) -> None:
    refusal = {"ok": False, "error": error, "text": "no", "remedy": "Ask ann"}
    with ScriptedNode(says(lambda identifier, _: [reply(identifier, refusal)])) as node, opened(node) as device:
        with pytest.raises(kind, match=r"no.*Ask ann"):
            device.resume("field")
        assert [body["do"] for _, body in node.heard].count("resume") == 1


def test_a_command_whose_reply_is_lost_is_not_sent_again() -> None:
    with (
        ScriptedNode(says(lambda _, __: [])) as node,
        opened(node, timeout=0.3) as device,
    ):
        with pytest.raises(hal.OutcomeUnknownError):
            device.resume("field")
        assert [body["do"] for _, body in node.heard].count("resume") == 1


def test_what_the_node_does_not_offer_is_not_sent() -> None:
    with ScriptedNode(says(lambda identifier, _: [reply(identifier, VALUE)])) as node, opened(node) as device:
        assert device.capabilities == {hal.RepeaterCapability.MAINTENANCE}
        with pytest.raises(hal.UnsupportedError):
            device.drain("a test")
        with pytest.raises(hal.UnsupportedError):
            device.move_half_link("field", "B")
        with pytest.raises(hal.UnsupportedError):
            device.accept_device("alice")
        assert [body["do"] for _, body in node.heard] == ["hello"]


def test_events_come_in_as_many_pages_as_it_takes() -> None:
    def page(identifier: bytes, body: Any) -> list[bytes]:
        first = body["since"] + 1
        events: list[dict[str, Any]] = [
            {"sequence": n, "utc_s": 1.8e9, "kind": "raised", "severity": "MINOR"} for n in range(first, first + 500)
        ]
        kept = [event for event in events if event["sequence"] <= 700]
        return [reply(identifier, {"ok": True, "events": kept, "last": 700, "lost": 0, "run": "r"})]

    with ScriptedNode(says(page)) as node, opened(node) as device:
        found = device.events()
        assert [event.sequence for event in found.events] == list(range(1, 701))
        assert found.events[0].severity is hal.Severity.MINOR
        with pytest.raises(hal.RangeError):
            device.events(-1)


def test_another_node_at_the_same_place_is_refused() -> None:
    with ScriptedNode(says(lambda identifier, _: [reply(identifier, VALUE)])) as node:
        with pytest.raises(hal.WrongDeviceError, match="expected the node otsu"):
            hal.RepeaterNode.open("repeater.node", control=node.resource, timeout=patient(5.0), serial_number="otsu")
        with opened(node) as device:
            node.says = lambda identifier, _: [reply(identifier, {**HELLO, "node": "kobe"})]
            device.transport.close()
        with pytest.raises(hal.ClosedError):
            device.identity()
