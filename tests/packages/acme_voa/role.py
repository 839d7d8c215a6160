"""The role of a variable optical attenuator."""

from __future__ import annotations

from abc import ABC
from enum import Enum

import tokaido.hal as hal
from tokaido.hal.driver import Measured, Setting, measured, setting


class AttenuatorCapability(Enum):
    """What not every attenuator has."""

    POWER_MONITOR = "power monitor"


class VariableAttenuator(hal.Device, ABC):
    """Takes away as much light as it is told. Its safe state lets no light through."""

    attenuation: Setting[float] = setting(float, unit="dB")
    """Control the attenuation on top of the insertion loss."""

    blocked: Setting[bool] = setting(bool)
    """Control the shutter: whether no light gets through, whatever the attenuation."""

    output_power: Measured[float] = measured(float, unit="dBm")
    """Measure the power behind the attenuator; see the capability POWER_MONITOR."""

    def apply_safe_state(self) -> None:
        """Let no light through."""
        self.blocked = True
