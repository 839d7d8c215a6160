"""The models against golden transcripts: a program that sends only these lines gets these replies, byte for byte."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tokaido.emulators.toshiba import ReceiverModel, TransmitterModel
from tokaido_testing.console import seal

FOLDER = Path(__file__).parents[2] / "transcripts" / "toshiba"
FILES = sorted(FOLDER.glob("*.toml"))
MODELS = {"toshiba.transmitter": TransmitterModel, "toshiba.receiver": ReceiverModel}
NUMBER = re.compile(r"-?[0-9][0-9.]*(?:e[+-]?[0-9]+)?")


def shape(line: str, serial_number: str) -> str:
    """Return a line with its numbers, or the text behind an error's name, made alike; its seal must be right."""
    body = line.rpartition("*")[0]
    serial = serial_number if seal(serial_number, body) == line else ""
    assert seal(serial, body) == line, line
    head, text = body[:7], body[7:]
    error = re.fullmatch(r"( ERR [0-9]+ [A-Z_]+)(?: .*)?", text)
    return head + (error[1] if error else NUMBER.sub("N", text))


@pytest.mark.skipif(not FILES, reason="no transcripts yet")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_model_answers_as_the_transcript_says(path: Path) -> None:
    transcript: dict[str, Any] = tomllib.loads(path.read_text(encoding="ascii"))
    if transcript.get("only") == "driver":
        pytest.skip("for the driver only")
    serial = transcript["serial_number"]
    model = MODELS[transcript["unit"]](serial)
    model.prepare(transcript["state"])
    for exchange in transcript["exchange"]:
        model.receive(transcript["port"], exchange["send"].encode("ascii") + b"\r")
        sent = model.take(transcript["port"]).decode("ascii")
        expected = exchange["reply"]
        assert sent == "".join(f"{line}\r\n" for line in sent.split("\r\n")[:-1])
        lines = sent.split("\r\n")[:-1]
        if exchange.get("shape"):
            assert [shape(line, serial) for line in lines] == [shape(line, serial) for line in expected]
        else:
            assert lines == expected
