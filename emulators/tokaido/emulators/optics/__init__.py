"""The emulated optics of one QKD link: parameters, expected rates, finite keys, detections, drift."""

from ._fibre import FIELD_FIBRE, Fibre
from ._finite_key import (
    BasisCounts,
    Bound,
    ExpectedCounts,
    KeyLength,
    block_duration,
    expected_counts,
    finite_key_rate,
    first_key_time,
    key_length,
)
from ._parameters import LinkParameters, PresetSettings, preset
from ._rates import (
    DecoyBounds,
    ExpectedGains,
    KeyedBases,
    asymptotic_rate,
    binary_entropy,
    decoy_bounds,
    expected_gains,
    gllp_rate,
)

__all__ = [
    "FIELD_FIBRE",
    "BasisCounts",
    "Bound",
    "DecoyBounds",
    "ExpectedCounts",
    "ExpectedGains",
    "Fibre",
    "KeyLength",
    "KeyedBases",
    "LinkParameters",
    "PresetSettings",
    "asymptotic_rate",
    "binary_entropy",
    "block_duration",
    "decoy_bounds",
    "expected_counts",
    "expected_gains",
    "finite_key_rate",
    "first_key_time",
    "gllp_rate",
    "key_length",
    "preset",
]
