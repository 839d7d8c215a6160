"""One way from a transmitter to a receiver: how it drifts, what the receiver's alignment does, what light meets."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from tokaido.emulators.optics import (
    Conditions,
    Drift,
    DriftSettings,
    Loop,
    Loops,
    dark_count_scale,
    efficiency_scale,
)
from tokaido.emulators.units import Refusal

if TYPE_CHECKING:
    import numpy as np

    from tokaido.emulators.optics import Eavesdropper
    from tokaido.emulators.units import ReceiverUnit, TransmitterUnit

VISIBILITY: Final = 0.985
"""Of two interferometers in order."""
ASTRAY_PS: Final = (200.0, 450.0)
"""How far the pulses of a way that nobody followed are off the middle of the gates (assumed)."""

_ALIGNED_BY: Final[dict[str, Loop]] = {"POL": "polarisation", "DELAY": "delay", "PHASE": "phase", "GATES": "delay"}
"""Which loop a step of the alignment takes back."""


class QuantumPath:
    """The drift of one way, and the loops of the one receiver that it leads to.

    It begins astray: the receiver was never aligned to it.

    Args:
        rng: Decides the drift.
        length_km: Length of its fibres.
        drift: How it drifts; default: as a buried fibre. Its length is left out of account.
    """

    def __init__(self, rng: np.random.Generator, length_km: float, drift: DriftSettings | None = None) -> None:
        self.drift = Drift(rng, replace(drift or DriftSettings(), length_km=length_km))
        """Phase, delay, polarisation and loss against what the receiver is aligned to."""
        self.loops = Loops(self.drift)
        """What the receiver does against it."""
        self.numbered = False
        """Whether both ends give the slots the same numbers: the step DELAY was done over this way."""
        self._rng = rng
        self._corrected_ns = 0
        self.stray()

    def stray(self) -> None:
        """Go on unfollowed: polarisation and phase are anyhow, the delay is far off, and slots are not counted."""
        self.numbered = False
        self.drift.trim_polarisation(self._rng.uniform(-math.pi / 2, math.pi / 2))
        self.drift.trim_phase(self._rng.uniform(-math.pi, math.pi))
        self.drift.trim_delay(self._rng.uniform(*ASTRAY_PS) * self._rng.choice((-1, 1)) - self.drift.delay_offset_ps)

    def advance(self, seconds: float, receiver: ReceiverUnit) -> None:
        """Drift for `seconds` s while the receiver's controllers act."""
        self.loops.advance(seconds, light=receiver.locked)
        for step in receiver.aligned_steps:
            if step in _ALIGNED_BY:
                self.loops.align(_ALIGNED_BY[step])
                self._corrected_ns = self.drift.now_ns
            elif step == "TRACK":
                self._track(receiver)
            self.numbered = self.numbered or step == "DELAY"
        receiver.aligned_steps.clear()
        idle = receiver.aligned and receiver.locked and not receiver.running
        if idle and self._corrected_s >= self.loops.settings.track_every_s:
            self._track(receiver)  # a unit in STANDBY keeps what it found

    def _track(self, receiver: ReceiverUnit) -> None:
        """Let the loops make their small corrections, by what the receiver knows: the error rate of its last block."""
        qber = math.nan
        if _minds_polarisation(receiver):
            try:
                last = receiver.reading("qber")
            except Refusal:  # there was no block yet
                last = None
            if last is not None and last.age_s is not None and last.age_s <= self._corrected_s:
                qber = float(last.value)
        self.loops.track(qber)
        self._corrected_ns = self.drift.now_ns

    @property
    def _corrected_s(self) -> float:
        return (self.drift.now_ns - self._corrected_ns) / 1e9

    @property
    def visibility(self) -> float:
        """What the receiver's monitor shows of the interference, 0 to 1."""
        return VISIBILITY * abs(math.cos(self.drift.phase_error_rad))

    def conditions(
        self,
        transmitter: TransmitterUnit,
        receiver: ReceiverUnit,
        channel: int,
        *,
        arrives: bool,
        extra_loss_db: float,
        background: float,
        misalignment: float = 0.0,
        eavesdropper: Eavesdropper | None,
    ) -> Conditions:
        """Return what the light of one sub-channel meets now. Call it with both units held.

        Args:
            transmitter: Who sends.
            receiver: Who detects.
            channel: The sub-channel, from 0.
            arrives: Whether the pulses come to the receiver.
            extra_loss_db: Loss on top of that of the session's beginning, in dB.
            background: Chance per gate of a click by light that is not the transmitter's.
            misalignment: Chance that light takes the wrong detector for what the fibres do to it.
            eavesdropper: Who is at work on the way.
        """
        zero, one = (receiver.efficiency(i) / receiver.WORKING_EFFICIENCY for i in detectors_of(channel))
        detectors = [receiver.detectors[i] for i in detectors_of(channel)]
        deviation_k = self.loops.detector_deviation_k + sum(body.deviation for body in detectors) / len(detectors)
        detuned_db = -10 * math.log10(max(efficiency_scale(deviation_k), 1e-10))
        return Conditions(
            laser_on=transmitter.sends_light and arrives,
            shutter_open=receiver.shutter_open,
            extra_loss_db=extra_loss_db + self.drift.loss_db + detuned_db - transmitter.excess_light_db(channel),
            phase_error_rad=self.drift.phase_error_rad + receiver.phase_offset_rad,
            polarisation_error_rad=self.drift.polarisation_error_rad if _minds_polarisation(receiver) else 0.0,
            misalignment=misalignment,
            delay_offset_ps=self.drift.delay_offset_ps + receiver.delay_offset_ps(channel),
            frame_misaligned=not self.numbered,
            dark_count_scale=dark_count_scale(deviation_k),
            background=background if receiver.shutter_open else 0.0,
            detector_efficiencies=(zero, one),
            eavesdropper=eavesdropper,
        )


def detectors_of(channel: int) -> tuple[int, int]:
    """Return the detectors of a sub-channel, that of bit 0 first."""
    return 2 * channel, 2 * channel + 1


def _minds_polarisation(receiver: ReceiverUnit) -> bool:
    """Whether a receiver follows the polarisation; one without the step does not depend on it."""
    return "POL" in receiver.ALIGNMENT
