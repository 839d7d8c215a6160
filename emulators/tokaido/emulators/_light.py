"""Words for light that device models and the bench share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, Protocol

Band = Literal["quantum", "clock"]
"""Which light: single photons, or the bright light that carries the clock."""

PHOTON_ENERGY_J: Final = 1.2816e-19
"""Energy of a photon of 1550 nm, which all light on a bench is."""


@dataclass(frozen=True, slots=True)
class Beam:
    """Light of one source where it enters a device."""

    power_w: float
    """Mean power in W."""
    pulse_rate_hz: float = 0.0
    """Pulses per second, each much shorter than what any device resolves; 0 for light that is always there."""
    delay_ps: int = 0
    """When the first pulse comes, in ps of the time of the device; the others follow at the pulse rate."""

    @property
    def photon_rate(self) -> float:
        """Photons per second."""
        return self.power_w / PHOTON_ENERGY_J


class SwitchModel(Protocol):
    """What a device model must have to stand on the bench as a switch."""

    inputs: int
    outputs: int

    def light_path(self, input: int) -> tuple[int, float] | None:  # noqa: A002 - the word users type
        """Return the output (from 1) that an input's light leaves by now and the loss in dB, or None while dark."""
        ...
