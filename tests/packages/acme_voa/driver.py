"""Driver of the Acme VOA-1, an attenuator that speaks SCPI."""

from __future__ import annotations

from contextlib import suppress
from typing import ClassVar

import tokaido.hal as hal
from acme_voa.role import AttenuatorCapability, VariableAttenuator
from tokaido.hal import driver


class Attenuator(VariableAttenuator, driver.LineDevice):
    """Acme VOA-1: one channel, 0 to 60 dB."""

    resource_kinds: ClassVar = {"control": frozenset({"serial", "visa"})}
    protocol = "Acme SCPI"
    capabilities = frozenset({AttenuatorCapability.POWER_MONITOR})

    attenuation = driver.setting(float, ":INP:ATT", unit="dB", range=(0, 60), resolution=0.01)
    """Control the attenuation, 0 to 60 dB in steps of 0.01 dB."""

    blocked = driver.setting(bool, ":OUTP", words=("1", "0"))
    """Control the shutter; the box says whether the output is on."""

    output_power = driver.measured(float, ":READ:POW", unit="dBm", absolute=(-80, 10))
    """Measure the power at the output; -80 dBm is dark."""

    def _codec(self) -> driver.Codec:
        return driver.ScpiCodec()

    def identity(self) -> hal.Identity:
        """Ask the attenuator who it is."""
        return self._read("*IDN?", _identity)

    def _learn(self, found: hal.Identity) -> None:
        if found.model != "VOA-1":
            raise hal.WrongDeviceError(f"this is a {found.model}, not a VOA-1", remedy="Check the resource")
        driver.drain_errors(self.transport)  # what somebody else left in the queue is not blamed on our commands

    def _command(self, text: str) -> str:
        try:
            return super()._command(text)
        except hal.DeviceError:
            with suppress(hal.TransportError, hal.DeviceError):
                driver.drain_errors(self.transport)
            raise


def _identity(line: str) -> hal.Identity:
    vendor, model, serial_number, firmware = line.split(",")
    return hal.Identity(vendor, model, serial_number, firmware)
