"""Words for light that device models and the bench share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

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


@runtime_checkable
class PulseSource(Protocol):
    """What a device model must have so that a cable takes electrical pulses from it, such as a detector's clicks."""

    def take_pulses(self, *, wanted: bool) -> NDArray[np.int64]:
        """Return the pulses since the last call, if that wanted them, in ps of `now_ns`, rising, shape (n,).

        Args:
            wanted: Whether pulses are to be kept for the next call.
        """
        ...


@runtime_checkable
class PulseInputs(Protocol):
    """What a device model must have so that a cable takes electrical pulses to it, such as a tagger's inputs."""

    def plug_in(self, channel: int, source: Callable[[bool], NDArray[np.int64]]) -> None:
        """Plug a source into a channel, from 1; see `PulseSource.take_pulses`. Times are in ps of `now_ns` here.

        Raises:
            ConfigurationError: The channel does not exist, or something is plugged in there.
        """
        ...


class SwitchModel(Protocol):
    """What a device model must have to stand on the bench as a switch."""

    inputs: int
    outputs: int

    def light_path(self, input: int) -> tuple[int, float] | None:  # noqa: A002 - the word users type
        """Return the output (from 1) that an input's light leaves by now and the loss in dB, or None while dark."""
        ...
