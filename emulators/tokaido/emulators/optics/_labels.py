"""Labels of clicks: which intensity, bases and error a click comes with, drawn from one table of probabilities.

Given the link's conditions every pulse clicks independently, so the label of a click has one and the same distribution
and 48 classes hold all of it. Nothing is drawn for pulses that do not click.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ._conditions import Conditions
from ._parameters import LinkParameters

# A label in one byte: intensity << 4 | transmitter basis << 3 | receiver basis << 2 | double click << 1 | error.
ERROR: Final = 1
DOUBLE: Final = 2
RECEIVER_BASIS_SHIFT: Final = 2
TRANSMITTER_BASIS_SHIFT: Final = 3
INTENSITY_SHIFT: Final = 4

_CELLS: Final = 4096
_AMBIGUOUS: Final = 255
_FWHM_OVER_SIGMA: Final = 2 * math.sqrt(2 * math.log(2))


def intensities_of(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return 0 signal, 1 decoy, 2 vacuum for each label."""
    return labels >> np.uint8(INTENSITY_SHIFT)


def transmitter_bases_of(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return 0 for Z and 1 for X for each label."""
    return labels >> np.uint8(TRANSMITTER_BASIS_SHIFT) & np.uint8(1)


def receiver_bases_of(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return 0 for Z and 1 for X for each label."""
    return labels >> np.uint8(RECEIVER_BASIS_SHIFT) & np.uint8(1)


class LabelSampler:
    """Draws labels from a table of probabilities, exactly, at one small look-up a label.

    A guide table maps 4096 equal cells of [0, 1) to a label; the few cells that a boundary cuts are refined with a
    second draw and a bisection.
    """

    def __init__(self, probabilities: dict[int, float]) -> None:
        """Take a probability (up to a common factor) for each label."""
        possible = {label: p for label, p in probabilities.items() if p > 0}
        self._labels = np.array(list(possible), dtype=np.uint8)
        limits = np.cumsum(np.array(list(possible.values())))
        self._limits = limits[:-1] / limits[-1] * _CELLS
        edges = np.searchsorted(self._limits, np.arange(_CELLS + 1), side="right")
        guide = self._labels[edges[:-1]]
        cut = np.floor(self._limits).astype(np.int64)
        guide[cut[cut < _CELLS]] = _AMBIGUOUS
        self._guide = guide

    def draw(self, n: int, rng: np.random.Generator) -> NDArray[np.uint8]:
        """Return `n` labels, uint8."""
        cells = rng.integers(0, _CELLS, n, dtype=np.uint16)
        labels = self._guide[cells]
        again = np.flatnonzero(labels == _AMBIGUOUS)
        if again.size:
            place = cells[again] + rng.random(again.size)
            labels[again] = self._labels[np.searchsorted(self._limits, place, side="right")]
        return labels


@dataclass(frozen=True, slots=True)
class ClickTable:
    """Chance of a click per gate, and samplers of the labels of gates that clicked and of gates that did not."""

    click_probability: float
    clicked: LabelSampler
    silent: LabelSampler
    """For afterpulses in a gate without a click of its own: error bit random, label as of any such gate."""


def click_table(params: LinkParameters, conditions: Conditions) -> ClickTable:
    """Return the click statistics of one gate, afterpulses and dead time left out.

    Light of mean photon number m = eta k splits into Poissonian m (1 - e) and m e for the right and the wrong detector
    (e = 1/2 where the bases differ); each detector clicks with 1 - (1 - noise) exp(-light). Double clicks become a
    random bit and are kept. Physics: Lim et al. PRA 89 022307 Sec. IV, and threshold detectors.
    """
    efficiency = _efficiency(params, conditions)
    dark = min(params.dark_count_probability * conditions.dark_count_scale, 1.0)
    silent_detector = (1 - dark) * math.sqrt(1 - conditions.background)
    p_z = (params.key_basis_probability_transmitter, params.key_basis_probability_receiver)
    clicked: dict[int, float] = {}
    silent: dict[int, float] = {}
    settings: dict[int, float] = {}
    for k, (mean, p_k) in enumerate(zip(params.intensities, params.probabilities, strict=True)):
        for tx_basis in (0, 1):
            for rx_basis in (0, 1):
                label = k << INTENSITY_SHIFT | tx_basis << TRANSMITTER_BASIS_SHIFT | rx_basis << RECEIVER_BASIS_SHIFT
                p = p_k * abs(tx_basis - p_z[0]) * abs(rx_basis - p_z[1])
                settings[label] = p
                silent[label] = silent[label | ERROR] = p * silent_detector**2 * math.exp(-efficiency * mean) / 2
                for half, weight in _ways(tx_basis, rx_basis, conditions):
                    e = 0.5 if half else _error(params, conditions, rx_basis)
                    # Exactly: 1 - silent exp(-light), written so that small chances keep their digits.
                    right = 1 - silent_detector - silent_detector * math.expm1(-efficiency * mean * (1 - e))
                    wrong = 1 - silent_detector - silent_detector * math.expm1(-efficiency * mean * e)
                    for pattern, chance in (
                        (0, right * (1 - wrong)),
                        (ERROR, wrong * (1 - right)),
                        (DOUBLE, right * wrong / 2),
                        (DOUBLE | ERROR, right * wrong / 2),
                    ):
                        clicked[label | pattern] = clicked.get(label | pattern, 0.0) + p * weight * chance
    probability = math.fsum(clicked.values())
    if conditions.frame_misaligned:
        clicked, silent = _unrelated(clicked, silent, settings)
    if probability <= 0:
        clicked = silent  # never drawn from, and so is the other way round
    elif math.fsum(silent.values()) <= 0:
        silent = clicked
    return ClickTable(probability, LabelSampler(clicked), LabelSampler(silent))


def _efficiency(params: LinkParameters, conditions: Conditions) -> float:
    if not (conditions.laser_on and conditions.shutter_open):
        return 0.0
    offset = conditions.delay_offset_ps * _FWHM_OVER_SIGMA / params.gate_width_ps
    return params.transmittance * 10 ** (-conditions.extra_loss_db / 10) * math.exp(-(offset**2) / 2)


def _error(params: LinkParameters, conditions: Conditions, basis: int) -> float:
    own = params.misalignment_check if basis else params.misalignment_key
    return (1 - (1 - 2 * own) * conditions.visibility) / 2


def _ways(tx_basis: int, rx_basis: int, conditions: Conditions) -> list[tuple[bool, float]]:
    """Return (light splits evenly, weight) for what may have happened to a pulse on its way."""
    if tx_basis != rx_basis:
        return [(True, 1.0)]
    if conditions.eavesdropper is None:
        return [(False, 1.0)]
    spoilt = conditions.eavesdropper.in_basis(1 - tx_basis)
    return [(False, 1 - spoilt), (True, spoilt)]


def _unrelated(
    clicked: dict[int, float], silent: dict[int, float], settings: dict[int, float]
) -> tuple[dict[int, float], dict[int, float]]:
    """Return the tables for a click that happened in another slot than the one it is booked to."""
    double = math.fsum(p for label, p in clicked.items() if label & DOUBLE)
    single = math.fsum(p for label, p in clicked.items() if not label & DOUBLE)
    shares = {0: single / 2, ERROR: single / 2, DOUBLE: double / 2, DOUBLE | ERROR: double / 2}
    mixed = {label | pattern: p * share for label, p in settings.items() for pattern, share in shares.items()}
    return mixed, {label: settings[label & ~ERROR] / 2 for label in silent}
