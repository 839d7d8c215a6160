"""The role of a variable optical attenuator."""

from __future__ import annotations

from abc import ABC
from enum import Enum

from tokaido.hal._declarations import measured, setting
from tokaido.hal._device import Device
from tokaido.hal._values import Measured, Setting


class AttenuatorCapability(Enum):
    """What not every attenuator has."""

    WAVELENGTH = "wavelength"
    INSERTION_LOSS = "insertion loss"
    POWER_MONITOR = "power monitor"


class VariableAttenuator(Device, ABC):
    """Takes away as much light as it is told. Its safe state lets no light through."""

    attenuation: Setting[float] = setting(float, unit="dB", light="less")
    """Control the attenuation on top of the insertion loss."""

    blocked: Setting[bool] = setting(bool, light="less")
    """Control the shutter: whether no light gets through, whatever the attenuation."""

    wavelength: Setting[float] = setting(float, unit="nm")
    """Control the wavelength for which the attenuation is calibrated; see the capability WAVELENGTH."""

    insertion_loss: Measured[float] = measured(float, unit="dB")
    """Measure the loss at an attenuation of 0 dB, as the box tells it; see the capability INSERTION_LOSS."""

    output_power: Measured[float] = measured(float, unit="dBm")
    """Measure the power behind the attenuator; see the capability POWER_MONITOR."""

    def apply_safe_state(self) -> None:
        """Let no light through. The attenuation stays."""
        self.blocked = True
