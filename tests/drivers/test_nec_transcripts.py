"""The NEC-style drivers against golden transcripts: each line they send, each value they give, no emulator."""

from __future__ import annotations

from typing import Any

import pytest

import tokaido.hal as hal
from tokaido.drivers.nec import _seal
from tokaido_testing.patience import patient
from tokaido_testing.transcripts import TRANSCRIPTS, LinePeer, driver_steps, follow, load

ROLES: dict[str, Any] = {"nec.transmitter": hal.Transmitter, "nec.receiver": hal.Receiver}
NAMES = [
    name
    for name in sorted(f"nec/{path.stem}" for path in (TRANSCRIPTS / "nec").glob("*.toml"))
    if load(name).get("only") != "emulator"
]
LF = {"send": "\n", "reply": "\n"}
CRLF = {"send": "\n", "reply": "\r\n"}


@pytest.mark.parametrize("endings", [LF, CRLF], ids=["lf", "crlf"])
@pytest.mark.parametrize("name", NAMES)
def test_driver_says_and_understands_exactly_the_transcript(name: str, endings: dict[str, str]) -> None:
    transcript = load(name)
    steps = driver_steps(transcript)
    assert steps[0][0]["open"]
    first_id = int(transcript["first_id"], 16)
    nonces = {3: first_id.to_bytes(3, "big"), 4: bytes.fromhex("7F3A09C2")}.__getitem__
    with LinePeer([exchange for step in steps for exchange in step], endings, tcp=True) as peer:
        resource = f"visa:TCPIP::{peer.address.replace(':', '::')}::SOCKET"
        with ROLES[transcript["unit"]].open(transcript["unit"], control=resource, timeout=2, nonces=nonces) as device:
            follow(device, steps[1:], peer)
        assert peer.left_over == []
        assert peer.unexpected == []


def test_the_worked_messages_of_the_page_have_the_driver_s_seals() -> None:
    """docs/protocols/nec.md, section 6."""
    assert _seal.seal("", "00A1F0", "*IDN?") == "4A533139"
    assert _seal.seal("TKNT0001", "00A1F1", "CHAN1:POW?") == "75D34207"
    assert _seal.seal("TKNT0001", "00A1F2", "SOUR:ATT 12.5;:SOUR:ATT?") == "4566E771"
    assert _seal.seal("TKNT0001", "00A1F1", '0,"No error";-0.52') == "B55E8172"


def test_a_peer_that_knows_only_its_transcript_refuses_another_line() -> None:
    """The positive control: the peer does notice what is not in the transcript."""
    nonces = {3: bytes.fromhex("00A001"), 4: bytes(4)}.__getitem__
    with (
        LinePeer(load("nec/transmitter-off")["exchange"][:1], LF, tcp=True) as peer,
        pytest.raises(hal.DeviceTimeoutError),
        hal.Transmitter.open(
            "nec.transmitter",
            control=f"visa:TCPIP::{peer.address.replace(':', '::')}::SOCKET",
            timeout=patient(1.0),
            nonces=nonces,
        ),
    ):
        pass
    assert len(peer.left_over) == 1
    assert len(peer.unexpected) == 1
