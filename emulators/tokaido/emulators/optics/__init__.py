"""The emulated optics of one QKD link: parameters, expected rates, finite keys, detections, drift."""

from ._conditions import NOMINAL, Conditions, InterceptResend
from ._detections import DetectorCounts, Exposure, QuantumChannel, ReceiverRecord, TransmitterRecord
from ._drift import Drift, DriftSettings
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
    "NOMINAL",
    "BasisCounts",
    "Bound",
    "Conditions",
    "DecoyBounds",
    "DetectorCounts",
    "Drift",
    "DriftSettings",
    "ExpectedCounts",
    "ExpectedGains",
    "Exposure",
    "Fibre",
    "InterceptResend",
    "KeyLength",
    "KeyedBases",
    "LinkParameters",
    "PresetSettings",
    "QuantumChannel",
    "ReceiverRecord",
    "TransmitterRecord",
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
