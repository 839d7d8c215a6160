"""Drivers of the optical table against golden transcripts: each line they send, each value they give, no emulator."""

from __future__ import annotations

import pytest

import tokaido.hal as hal
from tokaido_testing.apt import HexPeer
from tokaido_testing.model_transcripts import for_drivers
from tokaido_testing.transcripts import LinePeer, driver_steps, follow, load

DRIVERS = {
    "fiberlabs.amplifier": "fiberlabs",
    "idquantique.detector": "idquantique",
    "keysight.attenuator": "keysight",
    "sfifteen.tagger": "sfifteen",
    "thorlabs.mpc": "thorlabs",
    "thorlabs.pm100": "thorlabs",
}
RESOURCES = {"tcp": "visa:TCPIP::{}::SOCKET", "serial": "serial:{}", "hex": "serial:{}?rtscts=0"}
CASES = [
    (name, line)
    for driver, family in DRIVERS.items()
    for name in for_drivers(family, driver)
    for line in load(name)["endings"]
]


@pytest.mark.parametrize(("name", "line"), CASES)
def test_driver_says_and_understands_exactly_the_transcript(name: str, line: str) -> None:
    transcript = load(name)
    steps = driver_steps(transcript)
    assert steps[0][0]["open"]
    exchanges = [exchange for step in steps for exchange in step]
    ends = transcript["endings"][line]
    with HexPeer(exchanges) if line == "hex" else LinePeer(exchanges, ends, tcp=line == "tcp") as peer:
        resource = RESOURCES[line].format(peer.address.replace(":", "::") if line == "tcp" else peer.address)
        with hal.Device.open(transcript["unit"], control=resource, timeout=2) as device:
            follow(device, steps[1:], peer)
        assert peer.left_over == []
        assert peer.unexpected == []


def test_there_are_transcripts() -> None:
    assert len(CASES) >= 2
