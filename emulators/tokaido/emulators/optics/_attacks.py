"""Who may be on the line: what each eavesdropper does to the light. What the units see of it stands in _labels.py."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Basis = Literal["z", "x", "random"]
_SHARES = {"z": (1.0, 0.0), "x": (0.0, 1.0), "random": (0.5, 0.5)}


@dataclass(frozen=True, slots=True, kw_only=True)
class InterceptResend:
    """An eavesdropper who measures a fraction of the pulses and resends what she saw, with the loss made good.

    Gains stay as they are; where her basis is not the transmitter's, the light reaches either detector alike. So of
    the pulses that she measures in the wrong basis, half of the bits are wrong.
    """

    fraction: float
    basis: Basis = "random"

    def __post_init__(self) -> None:
        _check_fraction(self.fraction)
        _check_basis(self.basis)

    def in_basis(self, basis: int) -> float:
        """Return the chance that a pulse is measured in `basis` (0 = Z, 1 = X)."""
        return self.fraction * _SHARES[self.basis][basis]


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotonNumberSplitting:
    """An eavesdropper who counts photons: she keeps one of several, and blocks a fraction of the single ones.

    The rest of the pulses with several photons goes on over a line of so little loss that the signal gain is what
    it was, as far as a line without loss allows. Single photons that she lets pass have the loss of the true line.
    Errors stay; the gain of the decoys falls. Brassard et al., PRL 85 1330 (2000); Lütkenhaus, PRA 61 052304 (2000).
    """

    fraction: float
    """Of the single-photon pulses that are blocked."""

    def __post_init__(self) -> None:
        _check_fraction(self.fraction)


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorBlinding:
    """An eavesdropper who blinds the detectors with bright light and makes them click as she measured.

    A faked state clicks only where the receiver chose her basis, and in one detector only; a blind detector has no
    dark counts and no afterpulses. She keeps gain and error rate of the signal as they were without her, by how often
    and how well she resends; decoys and vacuum she cannot tell from it. Lydersen et al., Nature Photon. 4 686 (2010).
    """

    basis: Basis = "random"
    """What she measures in. In one basis alone she silences the other; at random she leaves the shares of both."""

    def __post_init__(self) -> None:
        _check_basis(self.basis)

    def in_basis(self, basis: int) -> float:
        """Return the chance that a pulse is measured in `basis` (0 = Z, 1 = X)."""
        return _SHARES[self.basis][basis]


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeShift:
    """An eavesdropper who shifts pulses to where one detector's gate is more open than the other's.

    Qi, Fung, Lo, Ma, Quantum Inf. Comput. 7 73 (2007).
    """

    efficiencies: tuple[float, float]
    """What the shift leaves of the efficiency of the detector for bit 0 and of that for bit 1, each 0 to 1."""
    alternating: bool = False
    """Whether half of the pulses, chosen at random, are shifted the other way: she knows which, and the two detectors
    count alike."""

    def __post_init__(self) -> None:
        if len(self.efficiencies) != 2 or not all(0 <= share <= 1 for share in self.efficiencies):
            raise ValueError(
                f"time shift to efficiencies {self.efficiencies!r} is not possible: give two fractions, 0 to 1"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class TrojanHorse:
    """An eavesdropper who shines light into a unit and reads its settings from what comes back.

    It leaves no trace in the counts: only a monitor at the unit's input sees it. Gisin et al., PRA 73 022320 (2006).
    """


Eavesdropper = InterceptResend | PhotonNumberSplitting | DetectorBlinding | TimeShift | TrojanHorse
"""Anybody on the line."""


# --- pulses that were split -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SplitPulses:
    """What photon-number splitting leaves of pulses: who passes, and the chance that a photon is detected."""

    blocked: float
    """Fraction of single-photon pulses that end at the eavesdropper."""
    single: float
    """Chance that a single photon that she lets pass is detected."""
    several: float
    """Chance for each of the n - 1 photons that she leaves of n."""


def split_pulses(attack: PhotonNumberSplitting, mean: float, efficiency: float, ceiling: float) -> SplitPulses:
    """Return what keeps the gain of a signal of `mean` photons at 1 - exp(-efficiency x mean).

    Args:
        attack: Which fraction of single photons is blocked.
        mean: Mean photon number of the signal.
        efficiency: Chance that a photon is detected, without the attack.
        ceiling: The same over a line without loss: no photon that she forwards can have more.
    """
    wanted = -math.expm1(-efficiency * mean) - (1 - attack.fraction) * mean * math.exp(-mean) * efficiency
    low, high = 0.0, ceiling
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if several_detected(mean, middle) < wanted else (low, middle)
    return SplitPulses(attack.fraction, efficiency, high)


def several_detected(mean: float, chance: float) -> float:
    """Return the chance that a pulse has n >= 2 photons and any of n - 1 of them is detected, each with `chance`.

    Poissonian: sum over n of P(n) (1 - (1 - chance)^(n-1)), by its terms, so that small chances keep their digits.
    """
    if chance >= 1:
        return -math.expm1(-mean) - mean * math.exp(-mean)
    log_missed = math.log1p(-chance)
    term, total, n = mean * math.exp(-mean), 0.0, 2
    while term > 0:
        term *= mean / n
        total += term * -math.expm1((n - 1) * log_missed)
        if n > mean and term < 1e-18 * total:
            break
        n += 1
    return total


def _check_fraction(fraction: float) -> None:
    if not 0 <= fraction <= 1:
        raise ValueError(f"eavesdropper fraction = {fraction!r} is not possible: give 0 to 1, not percent")


def _check_basis(basis: str) -> None:
    if basis not in _SHARES:
        raise ValueError(f"eavesdropper basis {basis!r} is unknown: choose 'z', 'x' or 'random'")
