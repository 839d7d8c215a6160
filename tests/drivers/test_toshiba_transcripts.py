"""The Toshiba-style drivers against golden transcripts: each line they send, each value they give, no emulator."""

from __future__ import annotations

import pytest

import tokaido.hal as hal
from tokaido_testing.patience import patient
from tokaido_testing.transcripts import TRANSCRIPTS, ReplayPeer, driver_steps, follow, load

NAMES = sorted(f"toshiba/{path.stem}" for path in (TRANSCRIPTS / "toshiba").glob("*.toml"))


@pytest.mark.parametrize("name", NAMES)
def test_driver_says_and_understands_exactly_the_transcript(name: str) -> None:
    transcript = load(name)
    steps = driver_steps(transcript)
    assert steps[0][0]["open"]
    first_id = int(transcript["first_id"], 16)
    nonces = {3: first_id.to_bytes(3, "big"), 4: bytes.fromhex("7F3A09C2")}.__getitem__
    with ReplayPeer([exchange for step in steps for exchange in step]) as peer:
        role = {"toshiba.transmitter": hal.Transmitter, "toshiba.receiver": hal.Receiver}[transcript["unit"]]
        control = f"serial:{peer.port}?baudrate=115200"
        with role.open(transcript["unit"], control=control, timeout=2, nonces=nonces) as device:
            follow(device, steps[1:], peer)
            if name.endswith("driver-alarms"):
                check_alarms(device)
        assert peer.left_over == []
        assert peer.unexpected == []


def check_alarms(device: hal.Unit) -> None:
    """The alarm lines between the replies arrived, the forged one did not, and the gap was noticed."""
    events = device.alarm_events()
    assert [(event.sequence, event.raised, event.code) for event in events] == [
        (1, True, "QBER_HIGH"),
        (4, True, "RATE_LOW"),
        (5, False, "QBER_HIGH"),
    ]
    assert events[0].severity is hal.Severity.MINOR
    assert device.alarm_events_lost == 2


def test_a_peer_that_knows_only_its_transcript_refuses_another_line() -> None:
    """The positive control: the peer does notice what is not in the transcript."""
    steps = load("toshiba/transmitter-off")["exchange"][:1]
    with (
        ReplayPeer(steps) as peer,
        pytest.raises(hal.DeviceTimeoutError),
        hal.Transmitter.open("toshiba.transmitter", control=f"serial:{peer.port}", timeout=patient(1.0)),
    ):
        pass
    assert len(peer.left_over) == 1
    assert len(peer.unexpected) == 1
