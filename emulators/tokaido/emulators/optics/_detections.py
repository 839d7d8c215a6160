"""Photons across a QKD link, event by event: what each of the two units records of them.

Exact in distribution and paid for by the click, not by the pulse: gaps between clicks are drawn, dead time and
afterpulses included (_clicks.py), and labels come from one table (_labels.py).
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from ._click_table import ClickTable, click_table
from ._clicks import Clicks, DetectorPair
from ._conditions import NOMINAL, Conditions
from ._counting import CountedExposure, DetectorCounts, count_classes
from ._labels import DOUBLE, ERROR, intensities_of, receiver_bases_of, transmitter_bases_of
from ._parameters import LinkParameters

_CLICKS_PER_CHUNK = 100_000  # stays in the processor's cache
_HEAP_BYTES: Final = (1 << 25) - (1 << 16)
"""Nearly the largest size that malloc takes as its threshold."""
_NONE: Final = np.empty(0, np.uint8)


@dataclass(frozen=True, slots=True)
class TransmitterRecord:
    """What the transmitter sent in those n slots in which the receiver clicked. Of the others nothing is ever drawn."""

    slots: NDArray[np.int64]
    """Slot numbers, rising, shape (n,)."""
    basis: NDArray[np.uint8]
    """0 = Z, the key basis; 1 = X, the check basis; shape (n,)."""
    bit: NDArray[np.uint8]
    """0 or 1, shape (n,)."""
    intensity: NDArray[np.uint8]
    """0 = signal, 1 = decoy, 2 = vacuum; shape (n,)."""


@dataclass(frozen=True, slots=True)
class ReceiverRecord:
    """What the receiver knows of its n clicks."""

    slots: NDArray[np.int64]
    """Slot numbers, rising, shape (n,)."""
    basis: NDArray[np.uint8]
    """0 = Z, the key basis; 1 = X, the check basis; shape (n,)."""
    bit: NDArray[np.uint8]
    """Which detector clicked, random where both did; shape (n,)."""


@dataclass(frozen=True, slots=True)
class Exposure:
    """Some pulses, and what the two sides have of them. The two records share no memory."""

    transmitter: TransmitterRecord
    receiver: ReceiverRecord
    pulses: int
    counts: DetectorCounts
    method: Literal["events"] = "events"
    """Every click was drawn for itself, as distillation needs it; see `QuantumChannel.count` for the other way."""


class QuantumChannel:
    """Source, fibre and detectors of one link, from slot 0 on.

    `physics` decides what the light does and makes a run repeatable; the transmitter's bits come from `secret` (n -> n
    bytes), so that nobody who knows the physics' seed knows the key.
    """

    def __init__(
        self,
        params: LinkParameters,
        *,
        physics: np.random.Generator,
        secret: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self.params = params
        self._physics = physics
        self._secret = secret
        afterpulse_gates = params.afterpulse_time_s * params.clock_rate_hz
        self._detectors = DetectorPair(params.dead_gates, params.afterpulse_probability, afterpulse_gates, physics)
        self._slot = 0
        self._table: tuple[Conditions, ClickTable] | None = None
        # Where malloc keeps its thresholds by what was freed (glibc, mallopt(3)), the arrays of a chunk, and those of
        # distillation, would else go back to the system after each use, and every page of theirs would be cleared
        # again: a third of the time. Nothing is ever written here, so it takes no memory.
        np.empty(_HEAP_BYTES, np.uint8)

    @property
    def next_slot(self) -> int:
        """Number of the slot that the next exposure begins with."""
        return self._slot

    def restart(self) -> None:
        """Begin a new session: count from slot 0, detectors at rest."""
        self._slot = 0
        self._detectors.reset()

    def expose(self, pulses: int, conditions: Conditions = NOMINAL) -> Exposure:
        """Send the next `pulses` pulses under constant conditions and return both sides' records.

        Slot numbers, dead time and afterpulses go on from the exposure before. Some 2e4 to 2e5 clicks at a time (10 to
        50 ms at 10 dB) are fastest; below, the overhead of about 0.3 ms a call shows, above, the memory for the
        records. Raises ValueError if `pulses` < 0.
        """
        table = self._table_for(pulses, conditions)
        stop = self._slot + pulses
        p = table.click_probability
        chunk = math.ceil(pulses / max(math.ceil(pulses * p / _CLICKS_PER_CHUNK), 1))
        slots: list[NDArray[np.int64]] = []
        labels: list[NDArray[np.uint8]] = []
        sent: list[NDArray[np.uint8]] = []
        while self._slot < stop:
            begin, self._slot = self._slot, min(self._slot + chunk, stop)
            clicks = self._detectors.register(p, begin, self._slot, blinded=table.blinded)
            label, bit = self._labels(clicks, table)
            slots.append(clicks.slots)
            labels.append(label)
            sent.append(bit)
        if len(slots) == 1:
            return _exposure(slots[0], labels[0], sent[0], pulses)
        none = np.empty(0, np.int64)
        return _exposure(np.concatenate([none, *slots]), _joined(labels), _joined(sent), pulses)

    def count(self, pulses: int, conditions: Conditions = NOMINAL) -> CountedExposure:
        """Send the next `pulses` pulses and return how many clicks of each kind there were, and no record of any.

        For gains and error rates over times for which events are too many (below some 5 dB, or days on end): its cost
        does not grow with the pulses. No key can be made of it. Slot numbers go on; detectors are at rest afterwards.
        Raises ValueError if `pulses` < 0.
        """
        table = self._table_for(pulses, conditions)
        self._slot += pulses
        self._detectors.reset()
        return count_classes(self.params, table, pulses, self._physics)

    def _table_for(self, pulses: int, conditions: Conditions) -> ClickTable:
        if pulses < 0:
            raise ValueError(f"cannot expose {pulses} pulses: give a number >= 0")
        if self._table is None or self._table[0] != conditions:
            self._table = conditions, click_table(self.params, conditions)
        return self._table[1]

    def _labels(self, clicks: Clicks, table: ClickTable) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Return a label for each click, and the bit that was sent."""
        rng = self._physics
        afterpulses = clicks.afterpulses
        labels = table.clicked.draw(clicks.slots.size, rng)
        labels[afterpulses] = table.silent.draw(afterpulses.size, rng)
        if table.biased:
            chance = table.clicked.chance_of_one[labels]
            chance[afterpulses] = table.silent.chance_of_one[labels[afterpulses]]
            drawn = np.frombuffer(self._secret(8 * labels.size), np.uint64) >> np.uint64(11)
            sent = (drawn * 2.0**-53 < chance).astype(np.uint8)
        else:
            random = np.frombuffer(self._secret((labels.size + 7) // 8), np.uint8)
            sent = np.unpackbits(random, count=labels.size)
        received = sent ^ (labels & np.uint8(ERROR))
        double = labels & np.uint8(DOUBLE) != 0
        self._detectors.fire(clicks, received, double)
        if afterpulses.size or clicks.coincident.size:
            labels &= np.uint8(255 - ERROR - DOUBLE)
            labels |= double * np.uint8(DOUBLE)
            labels |= sent ^ received
        return labels, sent


def _exposure(slots: NDArray[np.int64], labels: NDArray[np.uint8], sent: NDArray[np.uint8], pulses: int) -> Exposure:
    received = sent ^ (labels & np.uint8(ERROR))
    double = labels & np.uint8(DOUBLE)
    coincidences = int(np.count_nonzero(double))
    ones = int(np.count_nonzero(received)) - (int(np.count_nonzero(received[double != 0])) if coincidences else 0)
    transmitter = TransmitterRecord(slots.copy(), transmitter_bases_of(labels), sent, intensities_of(labels))
    receiver = ReceiverRecord(slots, receiver_bases_of(labels), received)
    counts = DetectorCounts((slots.size - ones, ones + coincidences), coincidences)
    return Exposure(transmitter, receiver, pulses, counts)


def _joined(columns: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    return np.concatenate([_NONE, *columns])
