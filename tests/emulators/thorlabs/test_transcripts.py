"""The model against golden transcripts: a program that sends only these lines gets these replies, byte for byte."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from tokaido.emulators.thorlabs import OswSwitchModel

FILES = sorted((Path(__file__).parents[2] / "transcripts" / "thorlabs").glob("*.toml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_model_answers_as_the_transcript_says(path: Path) -> None:
    transcript: dict[str, Any] = tomllib.loads(path.read_text(encoding="ascii"))
    if transcript["unit"] != "thorlabs.osw":
        pytest.skip("another box of the vendor")
    if transcript.get("only") == "driver":
        pytest.skip("for the driver only")
    box, ends = transcript["box"], transcript["endings"]["serial"]
    name, firmware = box["identity"].split()
    model = OswSwitchModel(
        model=name,
        firmware=firmware,
        board_type=box["board_type"],
        state=box["state"],
        stale="first" if box["stale_reads"] else "never",
    )
    assert (model.inputs, model.outputs) == (box["inputs"], box["outputs"])
    for exchange in transcript["exchange"]:
        model.receive("control", (exchange["send"] + ends["send"]).encode("ascii"))
        expected = "".join(f"{line}{ends['reply']}" for line in exchange["reply"])
        assert model.take("control").decode("ascii") == expected, exchange["send"]
