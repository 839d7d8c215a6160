"""The switches' drivers against golden transcripts: each line they send, each value they give, no emulator."""

from __future__ import annotations

from typing import Any

import pytest

import tokaido.hal as hal
from tokaido_testing.patience import patient
from tokaido_testing.switch_transcripts import argument, plain
from tokaido_testing.transcripts import TRANSCRIPTS, LinePeer, driver_steps, load

FAMILIES = ("polatis", "dicon", "thorlabs")
SWITCHES = ("polatis.matrix", "dicon.selector", "thorlabs.osw")
NAMES = [
    name
    for family in FAMILIES
    for path in sorted((TRANSCRIPTS / family).glob("*.toml"))
    if load(name := f"{family}/{path.stem}")["unit"] in SWITCHES
]
LINES = {
    "serial": ("serial:{}", "visa:ASRL{}::INSTR"),
    "tcp": ("serial:socket://{}", "visa:TCPIP::{}::SOCKET"),
}
CASES = [
    pytest.param(name, line, resource, id=f"{name}-{resource.partition('{')[0]}")
    for name in NAMES
    for line in load(name)["endings"]
    for resource in LINES[line]
]


def perform(switch: hal.OpticalSwitch, step: dict[str, Any]) -> object:
    """Do what a user of the driver does in one step."""
    if "get" in step:
        return getattr(switch, step["get"])
    return getattr(switch, step["do"])(*(argument(given, step["do"]) for given in step.get("args", ())))


@pytest.mark.parametrize(("name", "line", "resource"), CASES)
def test_driver_says_and_understands_exactly_the_transcript(name: str, line: str, resource: str) -> None:
    transcript = load(name)
    steps = driver_steps(transcript, ("open", "get", "do"))
    assert steps[0][0]["open"]
    exchanges = [exchange for step in steps for exchange in step]
    with LinePeer(exchanges, transcript["endings"][line], tcp=line == "tcp") as peer:
        address = peer.address.replace(":", "::") if resource.startswith("visa:TCPIP") else peer.address
        with hal.OpticalSwitch.open(transcript["unit"], control=resource.format(address), timeout=2) as switch:
            for step in (exchanges[0] for exchanges in steps[1:]):
                if "raises" in step:
                    with pytest.raises(getattr(hal, step["raises"])):
                        perform(switch, step)
                    continue
                got = perform(switch, step)
                if "returns" in step:
                    assert plain(got) == step["returns"], step
                assert peer.unexpected == []
        assert peer.left_over == []
        assert peer.unexpected == []


def test_a_peer_that_knows_only_its_transcript_refuses_another_line() -> None:
    """The positive control: the peer does notice what is not in the transcript."""
    transcript = load("dicon/selector")
    with (
        LinePeer(transcript["exchange"][2:3], transcript["endings"]["serial"]) as peer,
        pytest.raises(hal.DeviceTimeoutError),
        hal.OpticalSwitch.open("dicon.selector", control=f"serial:{peer.address}", timeout=patient(1.0)) as switch,
    ):
        switch.connections()
    assert peer.unexpected == ["CF?"]
