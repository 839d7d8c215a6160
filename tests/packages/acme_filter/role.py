"""The role of a tunable optical filter."""

from __future__ import annotations

from abc import ABC
from enum import Enum

import tokaido.hal as hal
from tokaido.hal.driver import Measured, Setting, measured, setting


class FilterCapability(Enum):
    """What not every filter has."""

    POWER_MONITOR = "power monitor"


class TunableFilter(hal.Device, ABC):
    """Lets one wavelength through and weakens the others. Its safe state lets no light through."""

    centre: Setting[float] = setting(float, unit="nm")
    """Control the wavelength that passes with the insertion loss alone."""

    blocked: Setting[bool] = setting(bool, light="less")
    """Control the shutter: whether no light gets through, whatever its wavelength."""

    output_power: Measured[float] = measured(float, unit="dBm")
    """Measure the power behind the filter; see the capability POWER_MONITOR."""

    def apply_safe_state(self) -> None:
        """Let no light through."""
        self.blocked = True
