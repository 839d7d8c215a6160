"""The frames of a block that are in the hands of error correction, at either end, and what the next one begins with.

Several frames are corrected side by side: while the answers to one are on their way, the others go on. Every message
about a frame names it, and each end counts the leak of every frame by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tokaido.emulators.distillation._reconciliation import Corrector, ParityTables, block_sizes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tokaido.emulators.distillation._reconciliation import Question, Schedule

VERIFICATION_BITS: Final = 128
"""Bits that a verification tag discloses."""
DEFAULT_QBER: Final = 0.03
"""Error rate that is expected before anything was measured."""
_WEIGHT: Final = 200
"""Bits that the expectation counts for, so that a few bits without an error do not promise that there are none."""


class QberEstimate:
    """The error rate that the next frame is expected to have. It lasts from frame to frame and from block to block."""

    def __init__(self) -> None:
        self.value = DEFAULT_QBER
        self._from_key = False

    def learn_check(self, errors: int, detections: int) -> None:
        """Take the check basis of the first block, until a frame of the key basis was corrected."""
        if not self._from_key:
            self.value = DEFAULT_QBER
            self._learn(errors, detections)

    def learn_frame(self, errors: int, bits: int) -> None:
        """Take a frame that was corrected; a short one moves the estimate less."""
        self._from_key = True
        self._learn(errors, bits)

    def _learn(self, errors: int, bits: int) -> None:
        self.value = (errors + _WEIGHT * self.value) / (bits + _WEIGHT)


class AnsweredFrame:
    """The transmitter's side of a frame in flight."""

    def __init__(self, bits: NDArray[np.uint8], seed: bytes, number: int) -> None:
        self.bits: Final = bits
        self.tables: Final = ParityTables(bits, seed, number)
        self.verifications = 0
        """Verification tags sent."""
        self.parities = 0
        """Parities sent."""

    @property
    def leak(self) -> int:
        """Bits disclosed about this frame."""
        return self.parities + VERIFICATION_BITS * self.verifications


@dataclass(slots=True, eq=False)
class CorrectedFrame:
    """The receiver's side of a frame in flight."""

    number: int
    bounds: tuple[int, int]
    corrector: Corrector
    question: Question | None = None
    """What was asked and not yet answered."""
    verifying: bool = False
    """Whether a verification tag is awaited."""
    verifications: int = 0
    """Verification tags heard."""

    @classmethod
    def open(
        cls,
        bits: NDArray[np.uint8],
        number: int,
        bounds: tuple[int, int],
        *,
        schedule: Schedule,
        qber: float,
        seed: bytes,
    ) -> CorrectedFrame:
        """Begin with a frame of the block's `bits`, which is expected to have the error rate `qber`."""
        start, end = bounds
        sizes = block_sizes(schedule, end - start, qber)
        return cls(number, bounds, Corrector(bits[start:end], sizes, seed, number))

    @property
    def size(self) -> int:
        """Bits of the frame."""
        return self.bounds[1] - self.bounds[0]

    @property
    def leak(self) -> int:
        """Bits that were disclosed about this frame."""
        return self.corrector.leaked + VERIFICATION_BITS * self.verifications
