"""Numbers that a person types: in plain digits, or nothing is sent."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from tokaido.console import main
from tokaido.console._app import app
from tokaido.emulators import launch

Capture = pytest.CaptureFixture[str]
ODD = ("1_2", "1_000_000", "\u0661\u0662", "1e", "nan", "0x10", "1 2")


@pytest.fixture(scope="module")
def device() -> Iterator[str]:
    with launch("toshiba.transmitter") as box:
        yield f"toshiba.transmitter@{box.resources['control']}"


@pytest.mark.parametrize("text", ODD)
def test_a_value_in_odd_digits_is_not_set(device: str, text: str, capsys: Capture) -> None:
    for path in ("attenuation", "block_bits"):
        assert main(["set", device, path, text, "--trace"]) == 2
        said = capsys.readouterr()
        assert "Nothing was sent" in said.err
        assert "VOA:ATT " not in said.err


def test_a_value_in_plain_digits_is_set(device: str, capsys: Capture) -> None:
    assert main(["set", device, "attenuation", "12", "--trace"]) == 0
    assert "VOA:ATT 12" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["monitor", "x@serial:/dev/null", "--count", "1_0"],
        ["monitor", "x@serial:/dev/null", "--interval", "1_0"],
        ["monitor", "x@serial:/dev/null", "--interval", "nan"],
        ["emulate", "none.toml", "--seconds", "\u0661"],
        ["emulate", "none.toml", "--seconds", "-1"],
        ["demo", "--seed", "1_0"],
        ["rate", "t12", "--distance", "1_0"],
        ["rate", "t12", "--loss", "nan"],
        ["plot", "session", "--hours", "2_4"],
    ],
)
def test_an_option_in_odd_digits_or_out_of_range_is_refused(words: list[str], capsys: Capture) -> None:
    assert main(words) == 2
    assert words[-2] in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["connect", "x@serial:/dev/null", "1", "1_0"],
        ["connect", "x@serial:/dev/null", "1_0", "1"],
        ["disconnect", "x@serial:/dev/null", "1_0"],
        ["disconnect", "x@serial:/dev/null", "1", "1_0"],
        ["disconnect", "x@serial:/dev/null", "\u0661"],
    ],
)
def test_a_port_in_odd_digits_is_refused(words: list[str], capsys: Capture) -> None:
    assert main(words) == 2
    assert "is not a whole number" in capsys.readouterr().err


def test_every_number_of_every_command_is_read_in_plain_digits() -> None:
    """A parameter that is left to the command-line library takes `1_2` for 12."""

    def parameters(command: Any, path: str) -> Iterator[tuple[str, Any]]:
        for name, below in getattr(command, "commands", {}).items():
            yield from parameters(below, f"{path} {name}")
        yield from ((f"{path} {parameter.name}", parameter.type) for parameter in command.params)

    found = dict(parameters(typer.main.get_command(app), "tokaido"))
    numbers = {name: kind for name, kind in found.items() if re.match("int|float", kind.name)}
    assert len(numbers) > 10
    assert [name for name, kind in numbers.items() if not hasattr(kind, "func")] == []  # a reader of ours
