"""What one block of a pair of units gives over a path: as the running emulation distils it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeVar

from tokaido.emulators.distillation import DistillationSettings
from tokaido.emulators.optics import (
    BasisCounts,
    DpsParameters,
    DriftSettings,
    LinkParameters,
    binary_entropy,
    block_pulses,
    expected_counts,
    key_length,
    link_rate,
)

if TYPE_CHECKING:
    from tokaido.emulators.optics import AnyParameters, ExpectedCounts
    from tokaido.emulators.planning._line import UnitClass

P = TypeVar("P", bound="AnyParameters")
LEAST_SHARE: Final = 0.7
"""So much of a block must give key: a block that is nearer to none would often give none, since counts fluctuate."""
_LONGEST_DB: Final = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One block, and the rate of such blocks. Counts are as expected."""

    secret_bps: float
    """Of all sub-channels; of emulated units less what authentication takes. 0.0: a block gives no key."""
    block_s: float
    """How long a block takes; inf for methods without finite-size effects."""
    sifted_bits: float
    """Key-basis bits of a block, n; inf for methods without finite-size effects."""
    qber: float
    """Error rate of the key basis."""
    method: str
    """Of the rate, as `tokaido rate` names it."""
    bound: str
    eps: float


def expected_block(units: UnitClass, loss_db: float, share: float = 1.0) -> Block:
    """Return what a block gives over a path of so many dB, or what a block of a `share` of its pulses would give.

    Emulated units distil by Lim et al. 2014 with Chernoff bounds, hold the length for light within its tolerance and
    detectors of their stated ratio, round it down to whole bytes, and take the bits for their own authentication off.
    Their phase servo leaves some errors, as on a buried fibre. Times in which they align are left out of account. Other
    units give what `link_rate` says.
    """
    params = units.over(loss_db)
    if isinstance(params, LinkParameters) and (units.vendor or units.intensity_tolerance):
        return _distilled(units, params, share)
    rate = link_rate(params)
    pulses = rate.pulses * share
    if math.isfinite(pulses) and share != 1.0:
        rate = link_rate(params, pulses=pulses)
    secret = rate.secret_bps * units.sub_channels
    return Block(
        secret_bps=secret,
        block_s=rate.block_s / units.sub_channels,
        sifted_bits=rate.sifted_bps * rate.block_s,
        qber=rate.qber_z,
        method=rate.method,
        bound=rate.bound,
        eps=rate.eps,
    )


def works(units: UnitClass, loss_db: float) -> bool:
    """Return whether units make key over a path of so many dB, and still would from `LEAST_SHARE` of a block."""
    return expected_block(units, loss_db, LEAST_SHARE).secret_bps > 0


def reach_db(units: UnitClass) -> float | None:
    """Return the largest loss in dB at which units work, rounded down to 0.01 dB; None if there is none."""
    low = next((float(db) for db in range(_LONGEST_DB, -1, -1) if works(units, db)), None)
    if low is None or low == _LONGEST_DB:
        return low
    hundredths = int(low) * 100
    above = hundredths + 100
    while above - hundredths > 1:
        middle = (hundredths + above) // 2
        hundredths, above = (middle, above) if works(units, middle / 100) else (hundredths, middle)
    return hundredths / 100


def under(units: UnitClass, contrast: float, dark_count_scale: float) -> UnitClass:
    """Return units whose light interferes with so much of its contrast, and whose detectors count so often in the dark.

    With 1.0 and 1.0 they are the units themselves, to the bit.
    """
    params = units.parameters
    if contrast != 1.0:
        params = _blurred(params, contrast)
    if dark_count_scale != 1.0:
        name = "background_probability" if isinstance(params, DpsParameters) else "dark_count_probability"
        params = replace(params, **{name: min(getattr(params, name) * dark_count_scale, 0.5)})
    return replace(units, parameters=params)


def _blurred(params: P, contrast: float) -> P:
    """Return parameters with the errors of light that keeps so much of its contrast: contrasts multiply."""
    names = ("misalignment",) if isinstance(params, DpsParameters) else ("misalignment_key", "misalignment_check")
    return replace(params, **{name: (1 - (1 - 2 * getattr(params, name)) * contrast) / 2 for name in names})


def _tracked(params: LinkParameters) -> LinkParameters:
    """Return parameters with the errors that the phase servo of a running receiver leaves.

    The locked phase is normal with a deviation s, so the contrast is exp(-s^2 / 2) in the mean.
    """
    return _blurred(params, math.exp(-(DriftSettings().phase_residual_rad ** 2) / 2))


def _distilled(units: UnitClass, params: LinkParameters, share: float) -> Block:
    params = _tracked(params) if units.vendor else params
    pulses = block_pulses(params) * share
    if not math.isfinite(pulses):
        return Block(secret_bps=0.0, block_s=pulses, sifted_bits=0.0, qber=0.5, method="lim", bound="chernoff", eps=0.0)
    key, check = (_whole(counts) for counts in expected_counts(params, pulses))
    sifted = sum(key.detections)
    qber = sum(key.errors) / sifted if sifted else 0.5
    length = key_length(
        key,
        check,
        params.intensities,
        params.probabilities,
        leaked_bits=params.error_correction_efficiency * sifted * binary_entropy(qber),
        eps_sec=params.eps_sec,
        eps_cor=params.eps_cor,
        intensity_tolerance=units.intensity_tolerance,
        detector_ratio=params.detector_ratio,
    )
    bits = length.bits
    if units.vendor:
        bits = max(bits - bits % 8 - DistillationSettings().replenish_bits, 0)
    block_s = pulses / (params.clock_rate_hz * params.duty) / units.sub_channels
    return Block(
        secret_bps=min(bits / block_s, params.max_secret_bps),
        block_s=block_s,
        sifted_bits=sifted,
        qber=qber,
        method="lim",
        bound=length.bound,
        eps=length.eps,
    )


def _whole(counts: ExpectedCounts) -> BasisCounts:
    detections = [round(count) for count in counts.detections]
    errors = [min(round(count), most) for count, most in zip(counts.errors, detections, strict=True)]
    return BasisCounts((detections[0], detections[1], detections[2]), (errors[0], errors[1], errors[2]))
