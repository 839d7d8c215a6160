"""The role of a single-photon detector that stands alone, outside any receiver."""

from __future__ import annotations

from abc import ABC
from enum import Enum

from tokaido.hal._declarations import measured, setting
from tokaido.hal._device import Device
from tokaido.hal._values import Measured, Setting


class PhotonDetectorCapability(Enum):
    """What not every single-photon detector has."""

    BIAS = "bias"
    EFFICIENCY = "efficiency"
    GATING = "gating"
    DARK_COUNTS = "dark counts"
    COUNTING_TIME = "counting time"
    COOLING = "cooling"


class DetectionMode(Enum):
    """When a detector can click."""

    FREE_RUNNING = "free running"
    """Always, but for the dead time."""
    GATED = "gated"
    """Within the detection gates alone."""


class SinglePhotonDetector(Device, ABC):
    """Clicks when a photon comes. Its safe state is off: nothing is detected, and strong light does it least harm.

    Its words are those of ETSI GS QKD 011 where that has them: detection efficiency, dark counts, dead time, gate.
    """

    enabled: Setting[bool] = setting(bool)
    """Control whether it detects."""

    dead_time: Setting[float] = setting(float, unit="ns")
    """Control the time after a click in which nothing is detected."""

    count_rate: Measured[float] = measured(float, unit="1/s")
    """Measure the clicks per second, of light and of dark counts alike, over the last counting time."""

    temperature: Measured[float] = measured(float, unit="degC")
    """Measure the temperature of the detector; in K where it sits in a cryostat."""

    bias: Setting[float] = setting(float, unit="V")
    """Control the bias, in uA where it is a superconducting nanowire; see the capability BIAS."""

    efficiency: Setting[float] = setting(float, unit="")
    """Control the detection efficiency, a fraction, where the device knows it; see the capability EFFICIENCY."""

    mode: Setting[DetectionMode] = setting(DetectionMode)
    """Control whether it is gated or free running; see the capability GATING."""

    dark_count_rate: Measured[float] = measured(float, unit="1/s")
    """Measure the dark counts per second, where the device knows them; see the capability DARK_COUNTS."""

    counting_time: Setting[float] = setting(float, unit="s")
    """Control how long clicks are counted for one `count_rate`; see the capability COUNTING_TIME."""

    target_temperature: Setting[float] = setting(float, unit="degC")
    """Control the temperature that it is cooled to; see the capability COOLING."""

    def apply_safe_state(self) -> None:
        """Switch it off."""
        self.enabled = False
