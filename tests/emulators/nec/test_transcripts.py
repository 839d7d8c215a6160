"""The models against golden transcripts: a program that sends only these messages gets these replies, byte for byte."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tokaido.emulators.nec import ReceiverModel, TransmitterModel
from tokaido_testing.sealed import seal

FOLDER = Path(__file__).parents[2] / "transcripts" / "nec"
FILES = [
    path
    for path in sorted(FOLDER.glob("*.toml"))
    if tomllib.loads(path.read_text(encoding="ascii")).get("only") != "driver"
]
NUMBER = re.compile(r"(?<![A-Z0-9_])-?[0-9][0-9.]*(?:E[+-]?[0-9]+)?")
SEALED = re.compile(r"#H([0-9A-F]{6}),#H([0-9A-F]{8}),(.*)")


def build(transcript: dict[str, Any]) -> TransmitterModel | ReceiverModel:
    name = re.fullmatch(r"TB-[RT]X([1-8])([SA]?)", transcript["model"])
    assert name is not None
    serial, channels = transcript["serial_number"], int(name[1])
    if transcript["unit"] == "nec.transmitter":
        return TransmitterModel(serial, sub_channels=channels)
    return ReceiverModel(serial, sub_channels=channels, detectors="nanowire" if name[2] == "S" else "avalanche")


def shape(line: str, serial_number: str) -> str:
    """Return a reply with its numbers, or the information of its error, made alike; its seal must be right."""
    sealed = SEALED.fullmatch(line)
    number, rest = "", line
    if sealed is not None:
        number, given, rest = sealed.groups()
        assert given in (seal(serial_number, number, rest), seal("", number, rest)), line
    error = re.match(r'(-?[1-9][0-9]*),"([^;"]*)', rest)
    return f"{number}|" + (NUMBER.sub("N", rest) if error is None else f"{error[1]},{error[2]}")


def test_there_are_transcripts_of_every_kind_of_unit() -> None:
    models = {tomllib.loads(path.read_text(encoding="ascii"))["model"][:7] for path in FILES}
    assert models >= {"TB-TX8", "TB-RX8S", "TB-RX8A"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_model_answers_as_the_transcript_says(path: Path) -> None:
    transcript: dict[str, Any] = tomllib.loads(path.read_text(encoding="ascii"))
    model = build(transcript)
    if transcript["state"] != "OFF":  # as delivered
        model.prepare(transcript["state"])
    for exchange in transcript["exchange"]:
        model.receive(transcript["port"], exchange["send"].encode("ascii") + b"\n")
        sent = model.take(transcript["port"]).decode("ascii")
        lines = sent.splitlines()
        assert sent == "".join(f"{line}\n" for line in lines)
        expected = exchange["reply"]
        if exchange.get("shape"):
            serial = transcript["serial_number"]
            assert [shape(line, serial) for line in lines] == [shape(line, serial) for line in expected], exchange
        else:
            assert lines == expected, exchange
