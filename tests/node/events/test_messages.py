"""Messages of nodes: what cannot be said, what is left out, and what is not taken."""

from __future__ import annotations

import base64
import os
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokaido.hal import ProtocolError
from tokaido.node.events import ActDone, Alarm, Answer, Message, RelayState, Seen, Telemetry, decode, encode

HEAD: dict[str, Any] = {"network": "line", "node": "maibara", "id": "00112233aabbccdd-7", "utc_s": 1.5}
ALARM = Alarm(**HEAD, change="raised", code="LOS", of="span", severity="MAJOR", text="no light on span-3", by="")


def strings(schema: Any, found: list[dict[str, Any]]) -> None:
    """Collect all parts of a JSON schema that are texts, and fail for what is neither text, number nor flag."""
    if isinstance(schema, dict):
        if schema.get("type") == "string":
            found.append(schema)
        assert "contentEncoding" not in schema, schema  # that of bytes
        for value in schema.values():
            strings(value, found)
    elif isinstance(schema, list):
        for value in schema:
            strings(value, found)


def test_no_field_takes_bytes_and_every_text_has_an_end() -> None:
    found: list[dict[str, Any]] = []
    strings(msgspec.json.schema(Message), found)
    assert len(found) > 30
    assert [one for one in found if not ({"maxLength", "pattern"} & one.keys())] == []


@pytest.mark.parametrize(
    "message",
    [
        ALARM,
        ActDone(**HEAD, by="ann", what="relay no more"),
        RelayState(**HEAD, relay="ab" * 16, state="put", neighbour="otsu", route=("maibara", "otsu"), keys=64),
        RelayState(**HEAD, relay="ab" * 16, state="dropped"),
        Answer(**HEAD, command="cd" * 16, by="ann", ok=False, error="LATE", text="the command came late"),
        Telemetry(
            **HEAD, level="fine", headline="Keys are served", state="RELAYING", up_s=1.0, relaying=True,
            emulation=False, alarms=0, worst="",
        ),
    ],
)  # fmt: skip
def test_what_is_said_is_what_is_read(message: Message) -> None:
    assert decode(encode(message)) == message


@pytest.mark.parametrize("form", ["hex", "HEX", "base64", "url", "both"])
def test_key_material_in_a_text_is_left_out(form: str) -> None:
    for _ in range(20):
        key = os.urandom(32)
        shown = {
            "hex": key.hex(),
            "HEX": key.hex().upper(),
            "base64": base64.b64encode(key).decode(),
            "url": base64.urlsafe_b64encode(key).decode(),
            "both": f"{key.hex()}/{base64.b64encode(key).decode()}",
        }[form]
        for field in ("text", "of", "by", "code"):
            told = encode(msgspec.structs.replace(ALARM, **{field: f"oh {shown} no"}))
            assert shown.encode() not in told
            assert key.hex()[:24].encode() not in told.lower()
            assert b"[left out]" in told


def test_names_and_sentences_stay() -> None:
    text = "relays to otemachi-koganei-2026-spare fail at hop maibara: LEASE_REFUSED, 0.4 s"
    told = decode(encode(msgspec.structs.replace(ALARM, text=text, of="no-route-to-the-other-end-of-the-line")))
    assert isinstance(told, Alarm)
    assert (told.text, told.of) == (text, "no-route-to-the-other-end-of-the-line")


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_bytes_make_a_reader_fail_otherwise(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode(data)


def test_a_message_that_is_too_long_is_not_taken() -> None:
    with pytest.raises(ProtocolError, match="are the most"):
        decode(encode(ALARM) + b" " * (1 << 19))


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 40)), max_size=120))
def test_each_id_is_new_once(ids: list[tuple[str, int]]) -> None:
    seen, known = Seen(), set()
    for run, number in ids:
        assert seen.take(f"{run * 16}-{number}") is ((run, number) not in known)
        known.add((run, number))
    assert seen.count == len(known)
    for run in "ab":
        mine = [number for one, number in known if one == run]
        gaps = max(mine) - min(mine) + 1 - len(mine) if mine else 0
        assert seen.missing(run * 16) == gaps
