"""Driver of the Acme TF-1, a tunable filter that speaks SCPI."""

from __future__ import annotations

from typing import ClassVar

import tokaido.hal as hal
from acme_filter.role import FilterCapability, TunableFilter
from tokaido.hal import driver


class Filter(TunableFilter, driver.ScpiDevice):
    """Acme TF-1: 1530 to 1565 nm, 2 nm wide."""

    resource_kinds: ClassVar = {"control": frozenset({"serial", "visa"})}
    protocol = "Acme SCPI"
    capabilities = frozenset({FilterCapability.POWER_MONITOR})

    centre = driver.setting(float, ":INP:WAV", unit="nm", range=(1530, 1565), resolution=0.01)
    """Control the centre, 1530 to 1565 nm in steps of 0.01 nm."""

    blocked = driver.setting(bool, ":OUTP", words=("1", "0"))
    """Control the shutter; the box says whether the output is on."""

    output_power = driver.measured(float, ":READ:POW", unit="dBm", absolute=(-80, 10))
    """Measure the power at the output; -80 dBm is dark."""

    def _learn(self, found: hal.Identity) -> None:
        if found.model != "TF-1":
            raise hal.WrongDeviceError(f"this is a {found.model}, not a TF-1", remedy="Check the resource")
        self._forget_errors()  # what somebody else left in the queue is not blamed on our commands
