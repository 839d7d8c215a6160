"""The Toshiba-style drivers against golden transcripts: each line they send, each value they give, no emulator."""

from __future__ import annotations

from enum import Enum
from typing import Any

import pytest

import tokaido.hal as hal
from tokaido.drivers.toshiba import _console
from tokaido_testing.transcripts import TRANSCRIPTS, ReplayPeer, load

NAMES = sorted(f"toshiba/{path.stem}" for path in (TRANSCRIPTS / "toshiba").glob("*.toml"))
VERBS = ("open", "get", "set", "ask", "do")


def perform(device: hal.Unit, step: dict[str, Any]) -> object:
    """Do what a user of the driver does in one exchange."""
    owner: hal.Unit | hal.Part = device.parts[step["part"]] if "part" in step else device
    if "get" in step:
        return getattr(owner, step["get"])
    if "set" in step:
        value = type(owner).values()[step["set"]]
        to = value.kind(step["to"]) if issubclass(value.kind, Enum) else step["to"]
        setattr(owner, step["set"], to)
        return None
    if "ask" in step:
        return getattr(owner, step["ask"])()
    return getattr(owner, step["do"])(*step.get("args", ()))


@pytest.mark.parametrize("name", NAMES)
def test_driver_says_and_understands_exactly_the_transcript(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    transcript = load(name)
    steps = [exchange for exchange in transcript["exchange"] if any(verb in exchange for verb in VERBS)]
    assert steps[0]["open"]
    first_id = int(transcript["first_id"], 16)
    monkeypatch.setattr(_console, "first_id", lambda: first_id)
    with ReplayPeer(steps) as peer:
        role = {"toshiba.transmitter": hal.Transmitter, "toshiba.receiver": hal.Receiver}[transcript["unit"]]
        with role.open(transcript["unit"], control=f"serial:{peer.port}?baudrate=115200", timeout=2) as device:
            for step in steps[1:]:
                if "raises" in step:
                    with pytest.raises(getattr(hal, step["raises"])):
                        perform(device, step)
                    continue
                got = perform(device, step)
                if "returns" in step:
                    assert (got.value if isinstance(got, Enum) else got) == step["returns"], step
                assert peer.unexpected == []
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
    assert device._console.events_lost == 2  # type: ignore[attr-defined]


def test_a_peer_that_knows_only_its_transcript_refuses_another_line() -> None:
    """The positive control: the peer does notice what is not in the transcript."""
    steps = load("toshiba/transmitter-off")["exchange"][:1]
    with (
        ReplayPeer(steps) as peer,
        pytest.raises(hal.DeviceTimeoutError),
        hal.Transmitter.open("toshiba.transmitter", control=f"serial:{peer.port}", timeout=0.3),
    ):
        pass
    assert len(peer.left_over) == 1
    assert len(peer.unexpected) == 1
