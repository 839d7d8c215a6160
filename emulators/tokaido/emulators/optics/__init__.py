"""The emulated optics of one QKD link: parameters, expected rates, finite keys, detections, drift."""

from ._conditions import NOMINAL, Conditions, InterceptResend
from ._day import DayAlarm, DayBlock, DayOfLink, LinkState, simulate_day
from ._detections import DetectorCounts, Exposure, QuantumChannel, ReceiverRecord, TransmitterRecord
from ._drift import Drift, DriftKind, DriftSettings, drift_settings
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
from ._loops import Loop, Loops, LoopSettings, dark_count_scale, efficiency_scale
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
    "DayAlarm",
    "DayBlock",
    "DayOfLink",
    "DecoyBounds",
    "DetectorCounts",
    "Drift",
    "DriftKind",
    "DriftSettings",
    "ExpectedCounts",
    "ExpectedGains",
    "Exposure",
    "Fibre",
    "InterceptResend",
    "KeyLength",
    "KeyedBases",
    "LinkParameters",
    "LinkState",
    "Loop",
    "LoopSettings",
    "Loops",
    "PresetSettings",
    "QuantumChannel",
    "ReceiverRecord",
    "TransmitterRecord",
    "asymptotic_rate",
    "binary_entropy",
    "block_duration",
    "dark_count_scale",
    "decoy_bounds",
    "drift_settings",
    "efficiency_scale",
    "expected_counts",
    "expected_gains",
    "finite_key_rate",
    "first_key_time",
    "gllp_rate",
    "key_length",
    "preset",
    "simulate_day",
]
