"""The model against golden transcripts: a program that sends only these lines gets these replies, byte for byte."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from tokaido.emulators.dicon import SelectorModel

FILES = sorted((Path(__file__).parents[2] / "transcripts" / "dicon").glob("*.toml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_model_answers_as_the_transcript_says(path: Path) -> None:
    transcript: dict[str, Any] = tomllib.loads(path.read_text(encoding="ascii"))
    if transcript.get("only") == "driver":
        pytest.skip("for the driver only")
    box, ends = transcript["box"], transcript["endings"]["serial"]
    model = SelectorModel(channels=box["channels"], identity=box["identity"])
    if box["channel"]:
        model.receive("control", f"I1 {box['channel']}\r".encode("ascii"))
    for exchange in transcript["exchange"]:
        model.receive("control", (exchange["send"] + ends["send"]).encode("ascii"))
        expected = "".join(f"{ends['start']}{line}{ends['reply']}" for line in exchange["reply"])
        assert model.take("control").decode("ascii") == expected, exchange["send"]
