"""What an operator does to a pair of units before they exchange keys: settings, and a pre-shared key."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tokaido.emulators.units import of_detector
from tokaido.hal.files import MODE_OF_SECRETS, write_new

if TYPE_CHECKING:
    from pathlib import Path

    from tokaido.emulators.optics import LinkParameters
    from tokaido.emulators.units import ReceiverUnit, TransmitterUnit


def set_up(
    transmitter: TransmitterUnit, receiver: ReceiverUnit, optics: LinkParameters, block_bits: int | None
) -> None:
    """Set two units as their optics are built. Call it with both units held."""
    signal, decoy, vacuum = optics.intensities
    transmitter.settings |= {
        "signal_mean_photon_number": signal,
        "decoy_mean_photon_number": decoy,
        "vacuum_mean_photon_number": vacuum,
        "decoy_probability": optics.probabilities[1],
        "vacuum_probability": optics.probabilities[2],
        "key_basis_probability": optics.key_basis_probability_transmitter,
    }
    receiver.settings["key_basis_probability"] = optics.key_basis_probability_receiver
    for i in range(len(receiver.detectors)):
        receiver.settings[of_detector(i, "dead_time")] = optics.dead_time_s * 1e9
    if block_bits is not None:
        transmitter.settings["block_bits"] = receiver.settings["block_bits"] = float(block_bits)


def make_preshared_key(path: Path, size: int) -> bytes:
    """Write `size` random bytes to a new file of mode 0600, and return them."""
    key = os.urandom(size)
    write_new(path, key, mode=MODE_OF_SECRETS)
    return key
