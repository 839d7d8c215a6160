"""Drivers through a device server, under the faults of the device's wire: the suite that they pass at the port."""

from __future__ import annotations

from functools import partial

from tokaido.emulators.conformance import suite as suite_of
from tokaido_testing.patience import slowness
from tokaido_testing.served import through_a_server


def served(driver: str, wire_end: str, **options: object) -> type[object]:
    suite = partial(suite_of, slowness=slowness, keys=False, through=through_a_server(driver))
    made: type[object] = suite(driver, wire_ends=(wire_end,), **options)  # type: ignore[arg-type]
    return made


TestTransmitter = served("toshiba.transmitter", "pty", options={"warm": True}, alarm="cover_opened")
TestReceiver = served("nec.receiver", "visa", options={"warm": True}, alarm="cover_opened")
TestMatrix = served("polatis.matrix", "tcp")
TestSelector = served("dicon.selector", "pty")
TestOsw = served("thorlabs.osw", "emu")
