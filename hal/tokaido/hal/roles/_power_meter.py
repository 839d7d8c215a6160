"""The role of an optical power meter."""

from __future__ import annotations

from abc import ABC
from enum import Enum
from typing import TYPE_CHECKING, Final

from tokaido.hal._declarations import measured, setting
from tokaido.hal._device import Device
from tokaido.hal._errors import UnsupportedError
from tokaido.hal._numbers import real
from tokaido.hal._values import Measured, Setting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokaido.hal._further_settings import FurtherSetting

RANGE_TOLERANCE_DB: Final = 0.01
"""How far apart the upper ends of one range may be told, in dB."""


class PowerMeterCapability(Enum):
    """What not every power meter has."""

    AVERAGING = "averaging"
    RANGES = "ranges"
    ZERO = "zero adjustment"


class PowerMeter(Device, ABC):
    """Tells the power of the light that enters it, whatever the light carries. It is always in its safe state.

    Powers are levels in dBm; `tokaido.hal.units_of_measure` has `to_watts` and `to_dbm`.
    """

    own_scale = frozenset({"range_limit"})

    power: Measured[float] = measured(float, unit="dBm")
    """Measure the power of the light that enters; no data in the dark, where a meter reads 0 W or less."""

    wavelength: Setting[float] = setting(float, unit="nm")
    """Control the wavelength that the responsivity of the sensor is taken for."""

    averaging: Setting[int] = setting(int, unit="")
    """Control how many samples one reading is the mean of; see the capability AVERAGING."""

    auto_range: Setting[bool] = setting(bool)
    """Control whether the meter chooses its range by itself; see the capability RANGES."""

    range_limit: Measured[float] = measured(float, unit="dBm")
    """Measure the upper end of the present range; see the capability RANGES."""

    def set_range(self, power: float) -> float:  # noqa: ARG002 - for meters that have it
        """Hold the smallest range that takes `power` dBm, and return its upper end in dBm. Ends `auto_range`.

        Raises:
            ValueTypeError: The power is not a number; nothing was sent.
            RangeError: It is not finite, or no meter has such a range; nothing was sent.
            DeviceError: The meter has no such range, or another one is in force afterwards.
            OutcomeUnknownError: The reply was lost; read `range_limit`.
            UnsupportedError: This meter has no choice.
        """
        raise self._lacks(PowerMeterCapability.RANGES)

    def further_settings(self) -> Mapping[str, FurtherSetting]:
        """Ask for the range that is held; None while the meter chooses it by itself."""
        from tokaido.hal._further_settings import FurtherSetting  # noqa: PLC0415 - for who saves them

        if PowerMeterCapability.RANGES not in self.capabilities:
            return {}
        return {
            "range_limit": FurtherSetting(
                None if self.auto_range else self.range_limit,
                lambda to: self.set_range(real(to, "range_limit")),
                lambda to: real(to, "range_limit"),
                unit="dBm",
                tolerance=RANGE_TOLERANCE_DB,
            )
        }

    def zero(self) -> None:
        """Take what the sensor tells in the dark for zero. Cover the sensor first.

        Raises:
            DeviceError: The meter refused, or did not end within `zero_timeout`.
            OutcomeUnknownError: The reply was lost.
            UnsupportedError: This meter has no zero adjustment.
        """
        raise self._lacks(PowerMeterCapability.ZERO)

    zero_timeout: float = 30.0
    """How long a zero adjustment may take, in s."""

    def apply_safe_state(self) -> None:
        """Leave the meter as it is: it sends no light."""

    def _lacks(self, capability: PowerMeterCapability) -> UnsupportedError:
        return UnsupportedError(
            f"this power meter has no {capability.value}", device=self.name, remedy="See its capabilities"
        )
