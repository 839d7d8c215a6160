"""What may be wrong with a link for a while: light, phase, timing, noise, an eavesdropper."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from ._attacks import Eavesdropper


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """State of the optics during one exposure. The default is a link in perfect order.

    Only the emulated physics sees this; what the units record carries no label of a cause.
    """

    laser_on: bool = True
    shutter_open: bool = True
    """Open everywhere on the light's way; closed (or a fibre cut, or a switch elsewhere) means no light at all."""
    extra_loss_db: float = 0.0
    """Over the channel loss of the parameters; negative is a gain in transmission."""
    phase_error_rad: float = 0.0
    """Between the two interferometers: adds (1 - cos)/2 to the error rate of both bases."""
    polarisation_error_rad: float = 0.0
    """Angle from the receiver's axis: adds sin^2 to the error rate of both bases."""
    misalignment: float = 0.0
    """Any other chance, 0 to 0.5, that light takes the wrong detector, in both bases."""
    delay_offset_ps: float = 0.0
    """Pulse against the middle of the gate; efficiency falls as exp(-dt^2 / 2 s^2)."""
    frame_misaligned: bool = False
    """The two sides number the slots differently: clicks are there, and agree with nothing."""
    dark_count_scale: float = 1.0
    background: float = 0.0
    """Extra chance per gate, both detectors together, of a click by stray or Raman light."""
    detector_efficiencies: tuple[float, float] = (1.0, 1.0)
    """Of the detector for bit 0 and of that for bit 1, over the efficiency of the parameters."""
    eavesdropper: Eavesdropper | None = None

    def __post_init__(self) -> None:
        for name in ("extra_loss_db", "phase_error_rad", "polarisation_error_rad", "delay_offset_ps"):
            if not math.isfinite(getattr(self, name)):
                raise ValueError(f"condition {name} = {getattr(self, name)!r} is not possible: give a finite number")
        if not 0 <= self.misalignment <= 0.5:
            raise ValueError(f"condition misalignment = {self.misalignment!r} is not possible: give 0 to 0.5")
        if not 0 <= self.dark_count_scale < math.inf:
            raise ValueError(f"condition dark_count_scale = {self.dark_count_scale!r} is not possible: give >= 0")
        if not 0 <= self.background < 1:
            raise ValueError(f"condition background = {self.background!r} is not possible: give a chance below 1")
        if not all(0 <= share < math.inf for share in self.detector_efficiencies):
            raise ValueError(
                f"condition detector_efficiencies = {self.detector_efficiencies!r} is not possible: give two, >= 0"
            )

    @property
    def visibility(self) -> float:
        """What is left of the interference contrast, -1 to 1; contrasts multiply and errors are (1 - contrast)/2."""
        return math.cos(self.phase_error_rad) * math.cos(2 * self.polarisation_error_rad) * (1 - 2 * self.misalignment)


NOMINAL: Final = Conditions()
"""A link in perfect order."""
