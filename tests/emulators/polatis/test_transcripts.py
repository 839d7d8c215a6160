"""The model against golden transcripts: a program that sends only these lines gets these replies, byte for byte."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tokaido.emulators.polatis import MatrixSwitchModel

FOLDER = Path(__file__).parents[2] / "transcripts" / "polatis"
FILES = [path for path in sorted(FOLDER.glob("*.toml")) if 'only = "driver"' not in path.read_text(encoding="ascii")]
SETTLED_NS = 25_000_000


def prepared(box: dict[str, Any], terminator: str) -> MatrixSwitchModel:
    """Return a switch as a transcript's `box` describes it."""
    assert box.pop("vendor") == "Polatis"
    pairs, closed, broken = (box.pop(key, []) for key in ("connections", "disabled", "failed"))
    model = MatrixSwitchModel(box.pop("serial_number"), product=box.pop("model"), terminator=terminator, **box)
    model.optics.make(dict(pairs), 0)
    model.optics.shut(place(model, port) for port in closed)
    model.optics.failed.update(place(model, port) for port in broken)
    model.advance(SETTLED_NS)
    return model


def place(model: MatrixSwitchModel, port: int) -> tuple[str, int]:
    """Return the side and the number on it of a port on the wire."""
    return ("in", port) if port <= model.inputs else ("out", port - model.inputs)


def shape(reply: str) -> str:
    """Return a reply with the numbers in brackets and the additions to an error's text made alike; codes stay."""
    return re.sub(r'(?<=, ")([^";]*)(;[^"]*)?(?=")', r"\1", re.sub(r"(?<=[(,]-)[0-9.]+", "N", reply))


@pytest.mark.parametrize("line", ["serial", "tcp"])
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_model_answers_as_the_transcript_says(path: Path, line: str) -> None:
    transcript: dict[str, Any] = tomllib.loads(path.read_text(encoding="ascii"))
    ends = transcript["endings"][line]
    model = prepared(transcript["box"], ends["reply"])
    for exchange in transcript["exchange"]:
        model.receive("control", (exchange["send"] + ends["send"]).encode("ascii"))
        sent = model.take("control")
        if exchange["reply"] and not sent:  # *OPC? waits until the switch has settled
            model.advance(model.now_ns + SETTLED_NS)
            sent = model.take("control")
        expected = "".join(f"{reply}{ends['reply']}" for reply in exchange["reply"])
        if exchange.get("shape"):
            assert shape(sent.decode("ascii")) == shape(expected), exchange["send"]
        else:
            assert sent.decode("ascii") == expected, exchange["send"]
