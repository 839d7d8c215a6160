"""Clicks of one detector in continuous time: light that is pulsed or steady, dark counts, dead time, afterpulses.

The physics is that of the link's detectors (_clicks.py), on slots that suit the light: the periods of its pulses, or a
fine grid if it is steady. Each live slot clicks with chance 1 - exp(-(efficiency * photons + dark counts in a slot)).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from ._clicks import DetectorPair

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tokaido.emulators._light import Beam

    Times = NDArray[np.int64]

PS_PER_S: Final = 1_000_000_000_000
GRID_PS: Final = 1_000
"""Length of a slot of steady light, in ps."""
BLOCK_PS: Final = PS_PER_S // 10
"""How much time is drawn at once, so that it makes no difference how time is cut into steps."""
_NONE: Final = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class DetectorConditions:
    """What a detector is like."""

    efficiency: float
    """Chance that a photon makes a live detector click."""
    dark_count_rate: float
    """Clicks per second in the dark, of a detector that is never dead."""
    dead_time_s: float = 0.0
    """How long it is dead after a click, in s."""
    afterpulse_probability: float = 0.0
    """Chance that a click is followed by one more, dead time or not."""
    afterpulse_time_s: float = 1e-6
    """Mean delay of that one after the dead time, in s."""
    jitter_s: float = 0.0
    """Standard deviation of the time at which a click is told, in s."""


OFF: Final = DetectorConditions(0.0, 0.0)
"""A detector that is switched off."""


class FreeRunningDetector:
    """One detector that can click at any time but for its dead time.

    Pulses of one rate keep their moments, to the jitter. Dark counts and afterpulses are spread evenly over the slot
    that they fall into. Light of several pulse rates counts as steady. After a change of light or conditions the
    detector is live at once.

    Args:
        physics: Decides when it clicks.
    """

    def __init__(self, physics: np.random.Generator) -> None:
        self._physics = physics
        self._beams: tuple[Beam, ...] = ()
        self._conditions = OFF
        self._ready = _NONE
        self._begin(0)

    def change(self, beams: Sequence[Beam], conditions: DetectorConditions, at_ps: int) -> None:
        """Let other light fall in, or the detector be another one, from `at_ps` on; take all clicks before."""
        if (tuple(beams), conditions) == (self._beams, self._conditions):
            return
        self._beams, self._conditions = tuple(beams), conditions
        self._begin(at_ps)

    def skip(self, to_ps: int) -> None:
        """Let time pass until `to_ps` without a look at it; clicks that were not taken are gone."""
        self._begin(to_ps)

    def take(self, until_ps: int) -> Times:
        """Return the clicks since those taken before, up to `until_ps`, in ps, rising, shape (n,)."""
        times = self._ready
        if self._drawn_ps < until_ps:
            pieces = [times]
            while self._drawn_ps < until_ps:
                pieces.append(self._draw_block())
            times = np.concatenate(pieces)
            times.sort()  # jitter may exchange neighbours
        split = int(np.searchsorted(times, until_ps))
        self._ready = times[split:]
        return times[:split]

    @property
    def click_probability(self) -> float:
        """Chance of a click in a live slot."""
        return -math.expm1(-(self._light + self._dark))

    @property
    def slot_s(self) -> float:
        """Length of a slot in s."""
        return self._slot_ps / PS_PER_S

    @property
    def expected_rate(self) -> float:
        """Clicks per second on average, without afterpulses: p / (slot + p * dead slots), in slots exactly."""
        chance = self.click_probability
        return chance / (1 + chance * self._dead_slots) / self.slot_s

    def _begin(self, at_ps: int) -> None:
        lit = [beam for beam in self._beams if beam.power_w > 0]
        rates = {beam.pulse_rate_hz for beam in lit}
        pulsed = len(rates) == 1 and 0.0 not in rates
        self._slot_ps = PS_PER_S / rates.pop() if pulsed else float(GRID_PS)
        own = self._conditions
        self._light = own.efficiency * math.fsum(beam.photon_rate for beam in lit) * self.slot_s
        self._dark = own.dark_count_rate * self.slot_s
        self._dead_slots = max(math.ceil(own.dead_time_s / self.slot_s - 1e-9) - 1, 0)
        self._phases_ps = np.array([beam.delay_ps % self._slot_ps for beam in lit] if pulsed else [0.0])
        total_w = math.fsum(beam.power_w for beam in lit)
        self._weights = np.array([beam.power_w / total_w for beam in lit] if pulsed else [1.0])
        self._pulsed = pulsed
        self._pair = DetectorPair(
            self._dead_slots, own.afterpulse_probability, own.afterpulse_time_s / self.slot_s, self._physics
        )
        self._first_slot = math.ceil(at_ps / self._slot_ps)
        self._next_slot = self._first_slot
        self._begun_ps = self._drawn_ps = at_ps
        self._ready = _NONE

    def _draw_block(self) -> Times:
        """Draw the clicks of the next block."""
        begin, self._drawn_ps = self._next_slot, self._drawn_ps + BLOCK_PS
        self._next_slot = max(math.ceil(self._drawn_ps / self._slot_ps), begin)
        chance = self.click_probability
        if chance <= 0 or begin == self._next_slot:
            return _NONE
        clicks = self._pair.register(chance, begin, self._next_slot)
        slots, rng = clicks.slots, self._physics
        self._pair.fire(clicks, np.zeros(slots.size, np.uint8), np.zeros(slots.size, np.bool_))
        within = rng.random(slots.size) * self._slot_ps
        if self._pulsed:
            by_light = rng.random(slots.size) * chance < -math.expm1(-self._light)
            by_light[clicks.afterpulses] = False
            phases = rng.choice(self._phases_ps, slots.size, p=self._weights)
            within = np.where(by_light, phases, within)
        if self._conditions.jitter_s > 0:
            within += rng.normal(0.0, self._conditions.jitter_s * PS_PER_S, slots.size)
        origin = round(begin * self._slot_ps)  # the rest is small, and so exact to the ps
        times = origin + np.rint((slots - begin) * self._slot_ps + within).astype(np.int64)
        return np.maximum(times, self._begun_ps)
