"""What `tokaido demo --vendor acme` shows."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from tokaido.emulators.demonstrations import Demonstration
from tokaido.emulators.optics import Fibre, LinkParameters, preset


def _parameters(loss_db: float) -> LinkParameters:
    return replace(
        preset("t12", settings="short-block", channel_loss_db=loss_db),
        intensities=(0.45, 0.20, 0.001),
        probabilities=(0.50, 0.30, 0.20),
        key_basis_probability_transmitter=0.65,
        key_basis_probability_receiver=0.65,
    )


DEMONSTRATION: Final = Demonstration(
    style="ACME",
    protocols="ACME publishes the protocols of its units.",
    fibres=(Fibre(length_km=10.0, loss_db=9.0), Fibre(length_km=14.0, loss_db=10.2)),
    parameters=_parameters,
)
