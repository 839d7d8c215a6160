"""What a receiver does against drift: phase servo, delay scan, polarisation controller, detector temperature.

Each loop has a bandwidth and a range. Beyond them it loses lock, and only an alignment finds it again. A loop knows
what the unit's instruments and counts say and nothing of the drift's cause.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, overload

import numpy as np

from ._drift import Drift

if TYPE_CHECKING:
    from numpy.typing import NDArray

Loop = Literal["phase", "delay", "polarisation", "temperature"]

DARK_DOUBLING_K: Final = 9.0
"""Dark counts of an InGaAs photodiode double every 8-10 K (an estimate)."""
EFFICIENCY_PER_K: Final = -0.01
"""Relative change of the efficiency: the breakdown voltage rises by some 0.1 V/K (an estimate)."""
_FURTHEST_K: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopSettings:
    """Bandwidth and range of the loops. All are estimates; the phase servo's bandwidth is `DriftSettings.phase_time_s`.

    What is too fast for a loop that looks around every `track_every_s` lets it fall out of its window in between.
    """

    track_every_s: float = 20.0
    """How often the gates are scanned, and the error rate is looked at; scans every 1-60 s are usual."""
    phase_capture_rad: float = 1.0
    """Phase error that the servo still finds back from; its signal sin(phase) turns over at pi/2."""
    phase_range_rad: float = 30.0
    """How far the servo's actuator goes, either way: some turns of a fibre stretcher."""
    delay_window_ps: float = 100.0
    """How far from the gate a scan looks, either way."""
    delay_range_ps: float = 500.0
    """How far gates can be moved, either way; an alignment begins from the middle again."""
    polarisation_capture_rad: float = 0.5
    """Polarisation error from which small turns still find back; the error's slope is steepest at pi/4."""
    polarisation: bool = True
    """Whether the receiver minds polarisation and has a controller. Planar time-bin receivers do not and have none."""
    qber_rise: float = 0.004
    """Rise of the error rate over its lowest since the last alignment at which the polarisation is tuned."""
    detector_rejection: float = 100.0
    """How much less the detectors' temperature moves than the room's."""
    detector_range_k: float = 15.0
    """Distance of the room from its mean that cooling can make up for; the rest reaches the detectors."""

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            if not 0 < value < math.inf and name != "polarisation":
                raise ValueError(f"loop setting {name} = {value!r} is not possible: give a finite value > 0")

    def room_excess_k(self, room_k: float) -> float:
        """Return what cooling cannot make up for in a room that is so far off its mean."""
        return math.copysign(max(abs(room_k) - self.detector_range_k, 0.0), room_k)

    def detector_deviation_k(self, room_k: float) -> float:
        """Return how far such a room takes the detectors off their set point."""
        return room_k / self.detector_rejection + self.room_excess_k(room_k)


class Loops:
    """The loops of one receiver on the drift of one way of light.

    Time passes in the drift through here. `locked` says which loops hold; an alignment takes them back.
    """

    def __init__(self, drift: Drift, settings: LoopSettings | None = None) -> None:
        self.drift = drift
        self.settings = settings if settings is not None else LoopSettings()
        self._lost: set[Loop] = set()
        self._gates_ps = 0.0
        self._reference: float | None = None

    @property
    def lost(self) -> frozenset[Loop]:
        """The loops that lost their lock."""
        hot: set[Loop] = {"temperature"} if self._room_excess_k else set()
        return frozenset(self._lost | hot)

    @property
    def detector_deviation_k(self) -> float:
        """Temperature of the detectors against their set point."""
        return self.settings.detector_deviation_k(self.drift.room_deviation_k) + self.drift.detector_noise_k

    @property
    def _room_excess_k(self) -> float:
        return self.settings.room_excess_k(self.drift.room_deviation_k)

    def advance(self, dt_s: float, *, light: bool = True) -> None:
        """Let `dt_s` pass with the servo at work, if there is light; it loses lock beyond capture and range."""
        drift, s = self.drift, self.settings
        drift.advance(dt_s, phase_locked=light and "phase" not in self._lost)
        if light and "phase" not in self._lost:
            far = abs(drift.phase_error_rad) > s.phase_capture_rad
            if far or abs(drift.phase_stretch_rad) > s.phase_range_rad:
                self._lost.add("phase")

    def track(self, qber: float = math.nan) -> None:
        """Make the small corrections of a running unit: scan the gates; tune the polarisation if errors became more.

        `qber` is the error rate that the unit measured last, of what was detected since the correction before this;
        NaN if there is none. The lowest one since the last alignment is what others are held against.
        """
        self._scan()
        if not self.settings.polarisation or math.isnan(qber):
            return
        self._reference = qber if self._reference is None else min(self._reference, qber)
        if qber > self._reference + self.settings.qber_rise:
            self._tune()

    def align(self, loop: Loop) -> None:
        """Find the right setting again, wherever the drift has gone meanwhile."""
        drift = self.drift
        if loop == "phase":
            drift.trim_phase(-drift.phase_error_rad)
            drift.centre_phase()
        elif loop == "delay":
            drift.trim_delay(-drift.delay_offset_ps)
            self._gates_ps = 0.0
        elif loop == "polarisation":
            drift.trim_polarisation(-drift.polarisation_error_rad)
        self._reference = None
        self._lost.discard(loop)

    def realign(self) -> None:
        """Align every loop."""
        loops: tuple[Loop, ...] = "polarisation", "delay", "phase"
        for loop in loops:
            self.align(loop)

    def _scan(self) -> None:
        offset_ps = self.drift.delay_offset_ps
        if abs(offset_ps) > self.settings.delay_window_ps or "delay" in self._lost:
            self._lost.add("delay")
            return
        reach = self.settings.delay_range_ps
        gates_ps = min(max(self._gates_ps + offset_ps, -reach), reach)
        self.drift.trim_delay(self._gates_ps - gates_ps)
        if abs(gates_ps) == reach:
            self._lost.add("delay")
        self._gates_ps = gates_ps

    def _tune(self) -> None:
        error_rad = self.drift.polarisation_error_rad
        if abs(error_rad) > self.settings.polarisation_capture_rad or "polarisation" in self._lost:
            self._lost.add("polarisation")
            return
        self.drift.trim_polarisation(-error_rad)


@overload
def dark_count_scale(deviation_k: float) -> float: ...
@overload
def dark_count_scale(deviation_k: NDArray[np.float64]) -> NDArray[np.float64]: ...
def dark_count_scale(deviation_k: float | NDArray[np.float64]) -> float | NDArray[np.float64]:
    """Return how many times the dark counts are more, of photodiodes that are so far off their set point."""
    scale: NDArray[np.float64] = np.exp2(np.clip(deviation_k, -_FURTHEST_K, _FURTHEST_K) / DARK_DOUBLING_K)
    return scale if isinstance(deviation_k, np.ndarray) else float(scale)


@overload
def efficiency_scale(deviation_k: float) -> float: ...
@overload
def efficiency_scale(deviation_k: NDArray[np.float64]) -> NDArray[np.float64]: ...
def efficiency_scale(deviation_k: float | NDArray[np.float64]) -> float | NDArray[np.float64]:
    """Return how many times the efficiency of photodiodes that are so far off their set point is that at it."""
    scale: NDArray[np.float64] = np.maximum(1 + EFFICIENCY_PER_K * np.asarray(deviation_k), 0.0)
    return scale if isinstance(deviation_k, np.ndarray) else float(scale)
