"""Golden transcripts against a device model: a program that sends these lines gets these replies, byte for byte."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tokaido_testing.transcripts import TRANSCRIPTS, load

if TYPE_CHECKING:
    from tokaido.emulators import DeviceModel

SETTLED_NS = 2_000_000_000
"""How long the model is given to carry out what it was told, in ns."""


def for_models(family: str, unit: str) -> list[str]:
    """Return the names of a family's transcripts of one kind of device that are not for its driver alone."""
    names = [f"{family}/{path.stem}" for path in sorted((TRANSCRIPTS / family).glob("*.toml"))]
    found = {name: load(name) for name in names}
    return [name for name, text in found.items() if text["unit"] == unit and text.get("only") != "driver"]


def for_drivers(family: str, unit: str) -> list[str]:
    """Return the names of a family's transcripts of one kind of device."""
    names = [f"{family}/{path.stem}" for path in sorted((TRANSCRIPTS / family).glob("*.toml"))]
    return [name for name in names if load(name)["unit"] == unit]


def replay(model: DeviceModel, transcript: dict[str, Any], line: str) -> None:
    """Send the model every line of a transcript and compare what it says; a `shape` leaves an error's additions out."""
    ends = transcript["endings"][line]
    if line == "hex":
        _replay_hex(model, transcript)
        return
    for exchange in transcript["exchange"]:
        model.receive("control", (exchange["send"] + ends["send"]).encode("ascii"))
        sent = model.take("control")
        if exchange["reply"] and not sent:  # it waits until it has moved
            model.advance(model.now_ns + SETTLED_NS)
            sent = model.take("control")
        expected = "".join(f"{reply}{ends['reply']}" for reply in exchange["reply"])
        found = sent.decode("ascii")
        if exchange.get("shape"):
            found, expected = (re.sub(r';[^";]*"', '"', text) for text in (found, expected))
        assert found == expected, exchange["send"]


def _replay_hex(model: DeviceModel, transcript: dict[str, Any]) -> None:
    """Send the model the bytes of a transcript; `after_ms` lets time pass before them."""
    for exchange in transcript["exchange"]:
        model.advance(model.now_ns + exchange.get("after_ms", 0) * 1_000_000)
        model.receive("control", bytes.fromhex(exchange["send"]))
        expected = b"".join(bytes.fromhex(reply) for reply in exchange["reply"])
        assert model.take("control").hex(" ") == expected.hex(" "), exchange["send"]
