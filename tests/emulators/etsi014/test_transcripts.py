"""The emulated key managers against golden transcripts: a program that sends these requests gets these replies."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tokaido.emulators.etsi014 import KeyManagersModel
from tokaido.hal import KeyMaterial
from tokaido_testing.scripted_key_manager import load, transcripts


def exchanged(model: KeyManagersModel, end: str, exchange: dict[str, Any]) -> tuple[int, Any]:
    """Send one request to one end, and return the status and the body of what it says."""
    body = exchange.get("body", "").encode()
    head = f"{exchange['send']} HTTP/1.1\r\nHost: kme\r\nContent-Length: {len(body)}\r\n\r\n"
    client = exchange.get("client", model.clients[end])
    model.hear(end, b"1", client, head.encode() + body)
    ((connection, said, _),) = model.say(end)
    assert connection == b"1"
    first, _, rest = said.partition(b"\r\n")
    reply = rest.partition(b"\r\n\r\n")[2]
    return int(first.split(b" ")[1]), json.loads(reply) if reply else None


@pytest.mark.parametrize("name", transcripts("emulator"))
def test_emulator_says_exactly_the_transcript(name: str) -> None:
    transcript = load(name)
    model = KeyManagersModel(**transcript["box"])
    for one in transcript["laid_down"]:
        model.add_key(one["id"], KeyMaterial(base64.b64decode(one["key"])))
    for step in transcript["step"]:
        for exchange in step["exchange"]:
            reply = json.loads(exchange["reply"]) if "reply" in exchange else None
            assert exchanged(model, step["end"], exchange) == (exchange["status"], reply), exchange["send"]
