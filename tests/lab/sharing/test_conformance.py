"""Drivers through a device server, under the faults of the device's wire: the suite that they pass at the port."""

from __future__ import annotations

from functools import partial

from tokaido.emulators.conformance import WireFault
from tokaido.emulators.conformance import suite as suite_of
from tokaido.hal import load_driver
from tokaido.hal.driver import LineDevice
from tokaido_testing.patience import slowness
from tokaido_testing.served import through_a_server

SOME = tuple(WireFault(kind, "from_unit") for kind in ("drop", "latency", "garble", "duplicate"))
"""The whole matrix passes through the server with one protocol that tells replies apart and one that does not."""


def served(driver: str, wire_end: str, **options: object) -> type[object]:
    suite = partial(
        suite_of,
        slowness=slowness,
        keys=False,
        timeout=0.3,  # two hops and a verdict instead of one
        is_query=load_driver(driver, LineDevice).asks,
        through=through_a_server(driver),
    )
    made: type[object] = suite(driver, wire_ends=(wire_end,), **options)  # type: ignore[arg-type]
    return made


TestTransmitter = served("toshiba.transmitter", "pty", options={"warm": True}, alarm="cover_opened")
TestReceiver = served("nec.receiver", "visa", options={"warm": True}, alarm="cover_opened", faults=SOME)
TestMatrix = served("polatis.matrix", "tcp", faults=SOME)
TestSelector = served("dicon.selector", "pty")
TestOsw = served("thorlabs.osw", "emu", faults=SOME)
TestAttenuator = served("keysight.attenuator", "tcp", faults=SOME)
TestPowerMeter = served("thorlabs.pm100", "visa", faults=SOME)
TestPaddles = served("thorlabs.mpc", "emu", faults=SOME)
TestAmplifier = served("fiberlabs.amplifier", "emu", faults=SOME)
TestDetector = served("idquantique.detector", "visa", faults=SOME)
TestTagger = served("sfifteen.tagger", "emu", faults=SOME)
