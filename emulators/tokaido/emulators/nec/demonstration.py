"""What `tokaido demo` shows of NEC-style units: long fibres between cities, which nanowire detectors reach over."""

from __future__ import annotations

from typing import Final

from tokaido.emulators.demonstrations import INVENTED, Demonstration
from tokaido.emulators.optics import Fibre, preset

__all__ = ["DEMONSTRATION"]

DEMONSTRATION: Final = Demonstration(
    style="NEC-style",
    protocols=INVENTED,
    fibres=(Fibre(length_km=80.0, loss_db=16.0), Fibre(length_km=96.0, loss_db=19.2)),  # 0.2 dB/km
    parameters=lambda loss_db: preset("nec-sspd", settings="short-block", channel_loss_db=loss_db),
    sub_channels=2,
)
"""The entry `nec` of the group `tokaido.demonstrations`."""
