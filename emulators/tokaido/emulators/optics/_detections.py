"""Photons across a QKD link, event by event: what each of the two units records of them.

Exact in distribution and paid for by the click, not by the pulse: gaps between clicks are geometric and labels come
from one table (_labels.py), then dead time and afterpulses are settled in order of time (_clicks.py).
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ._clicks import Clicks, DetectorPair, geometric_hits
from ._conditions import NOMINAL, Conditions
from ._labels import DOUBLE, ERROR, ClickTable, click_table, intensities_of, receiver_bases_of, transmitter_bases_of
from ._parameters import LinkParameters

_CLICKS_PER_CHUNK = 100_000  # stays in the processor's cache


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
class DetectorCounts:
    """Counter readings of one exposure, as a receiver displays them."""

    clicks: tuple[int, int]
    """Clicks of the detector for bit 0 and of that for bit 1, those in one gate counted at both."""
    coincidences: int
    """Gates in which both clicked."""


@dataclass(frozen=True, slots=True)
class Exposure:
    """Some pulses, and what the two sides have of them. The two records share no memory."""

    transmitter: TransmitterRecord
    receiver: ReceiverRecord
    pulses: int
    counts: DetectorCounts


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
        50 ms at 10 dB) are fastest; below, the overhead of about 0.2 ms a call shows, above, the memory for the
        records. Raises ValueError if `pulses` < 0.
        """
        if pulses < 0:
            raise ValueError(f"cannot expose {pulses} pulses: give a number >= 0")
        table = self._table_for(conditions)
        stop = self._slot + pulses
        p = table.click_probability
        chunk = math.ceil(_CLICKS_PER_CHUNK / p) if p > 0 else pulses
        pieces: list[Exposure] = []
        while self._slot < stop:
            size = min(chunk, stop - self._slot)
            primaries = geometric_hits(self._physics, p, size)
            primaries += self._slot
            self._slot += size
            clicks = self._detectors.register(primaries, self._slot)
            pieces.append(self._records(clicks.slots, self._labels(clicks, table), size))
        return pieces[0] if len(pieces) == 1 else _joined(pieces)

    def _table_for(self, conditions: Conditions) -> ClickTable:
        if self._table is None or self._table[0] != conditions:
            self._table = conditions, click_table(self.params, conditions)
        return self._table[1]

    def _labels(self, clicks: Clicks, table: ClickTable) -> NDArray[np.uint8]:
        rng = self._physics
        afterpulses = np.flatnonzero(clicks.afterpulse)
        labels = table.clicked.draw(clicks.slots.size, rng)
        labels[afterpulses] = table.silent.draw(afterpulses.size, rng)
        # An afterpulse in the gate of another click: in the same detector half of the time, else a double click.
        other = clicks.coincident[rng.random(clicks.coincident.size) < 0.5]
        settings = labels[other] & np.uint8(255 - ERROR)
        labels[other] = settings | np.uint8(DOUBLE) | rng.integers(0, 2, other.size, dtype=np.uint8)
        return labels

    def _records(self, slots: NDArray[np.int64], labels: NDArray[np.uint8], pulses: int) -> Exposure:
        n = slots.size
        random = np.frombuffer(self._secret((n + 7) // 8), np.uint8)
        sent = np.unpackbits(random, count=n)
        received = sent ^ (labels & np.uint8(ERROR))
        double = labels & np.uint8(DOUBLE) != 0
        coincidences = int(np.count_nonzero(double))
        ones = int(np.count_nonzero(received[~double])) if coincidences else int(np.count_nonzero(received))
        transmitter = TransmitterRecord(slots.copy(), transmitter_bases_of(labels), sent, intensities_of(labels))
        receiver = ReceiverRecord(slots, receiver_bases_of(labels), received)
        counts = DetectorCounts((n - ones, ones + coincidences), coincidences)
        return Exposure(transmitter, receiver, pulses, counts)


def _joined(pieces: list[Exposure]) -> Exposure:
    t, r = [piece.transmitter for piece in pieces], [piece.receiver for piece in pieces]
    none, no_slots = np.empty(0, np.uint8), np.empty(0, np.int64)
    return Exposure(
        TransmitterRecord(
            slots=np.concatenate([no_slots, *(piece.slots for piece in t)]),
            basis=np.concatenate([none, *(piece.basis for piece in t)]),
            bit=np.concatenate([none, *(piece.bit for piece in t)]),
            intensity=np.concatenate([none, *(piece.intensity for piece in t)]),
        ),
        ReceiverRecord(
            slots=np.concatenate([no_slots, *(piece.slots for piece in r)]),
            basis=np.concatenate([none, *(piece.basis for piece in r)]),
            bit=np.concatenate([none, *(piece.bit for piece in r)]),
        ),
        pulses=sum(piece.pulses for piece in pieces),
        counts=DetectorCounts(
            (sum(piece.counts.clicks[0] for piece in pieces), sum(piece.counts.clicks[1] for piece in pieces)),
            sum(piece.counts.coincidences for piece in pieces),
        ),
    )
