"""Keys at the shell: how many and which, and never a byte of one."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Iterator

import pytest

import tokaido.hal as hal
from tokaido.console import main
from tokaido.emulators import Emulator, launch

from .conftest import Plug

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def secret() -> bytes:
    return secrets.token_bytes(64)


@pytest.fixture
def box(secret: bytes) -> Iterator[Emulator]:
    """A unit that holds two key blocks."""
    with launch("toshiba.transmitter", wire_end="pty", serial_number="TKTX0001") as box:
        for number in range(2):
            facts = hal.KeyBlockFacts("00ff", number, 8 * len(secret), "lim2014", "chernoff", 1e-10, False, True)
            info = hal.KeyBlockInfo.of(facts, "TKTX0001", peer="TKRX0001", path="A")
            box.model.add_key_block(info, hal.KeyMaterial(secret))  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
        yield box


def forms(secret: bytes) -> list[str]:
    """How a key may be written."""
    return [secret.hex(), secret.hex().upper(), base64.b64encode(secret).decode()[:80], repr(secret)[2:40]]


def test_counts_are_shown_without_a_key_channel(plug: Plug, capsys: Capture) -> None:
    peer = plug("T12-TX")
    peer.table |= {"KEYS": "3,17", "LNK:LIST": "TKRX0001,A,32768;-,-,128"}
    unit = f"toshiba.transmitter@serial:{peer.port}"
    assert main(["keys", unit]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "key blocks waiting\t3",
        "key blocks committed\t17",
        "session\t-",
        "preshared key loaded\tyes",
        "TKRX0001\tA\t32768 bit",
        "any\t-\t128 bit",
    ]
    assert main(["keys", unit, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["links"][0] == {"peer": "TKRX0001", "path": "A", "remaining_bits": 32768}
    assert "key_blocks" not in found
    assert main(["keys", unit, "--names"]) == 1
    assert "without its key channel" in capsys.readouterr().err


@pytest.mark.parametrize("more", [[], ["--json"], ["--trace"]], ids=str)
def test_names_are_shown_and_no_key_and_the_blocks_stay(
    more: list[str], box: Emulator, secret: bytes, capsys: Capture
) -> None:
    unit = f"toshiba.transmitter@{box.resources['control']},keys={box.resources['keys']}"
    assert main(["keys", unit, "--names", *more]) == 0
    shown = capsys.readouterr()
    for form in forms(secret):
        assert form not in shown.out + shown.err
    if more == ["--json"]:
        assert json.loads(shown.out)["key_blocks"] == [
            {"session": "00ff", "number": number, "bits": 512, "peer": "TKRX0001", "path": "A"} for number in (0, 1)
        ]
    else:
        assert shown.out.splitlines()[-2:] == ["00ff/0\t512 bit\tTKRX0001", "00ff/1\t512 bit\tTKRX0001"]
    with box.lock:
        told = [order for order, *_ in box.model.key_orders()]  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    assert told == ["ack", "ack"]


def test_what_is_no_unit_has_no_keys(capsys: Capture) -> None:
    with launch("polatis.matrix", wire_end="pty") as box:
        assert main(["keys", f"polatis.matrix@{box.resources['control']}"]) == 2
    assert "is a MatrixSwitch, and not a Unit" in capsys.readouterr().err
