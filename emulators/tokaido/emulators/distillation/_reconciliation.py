"""Batched Cascade: error correction with an exact leak.

Cascade (Brassard & Salvail 1993, EUROCRYPT) in a form made for arrays. The transmitter's whole answer to any question
is its prefix parities at given positions of a permuted frame. The receiver keeps, for each pass, the positions whose
prefix parity it knows; every interval between two neighbouring known positions that differs in parity holds an error,
and all such intervals of a pass are bisected in lock step, one message per level. Bits once learned stay known, so the
re-use of sub-blocks (Pacher et al. 2015, ISIT; Martinez-Mateo et al. 2015, arXiv:1407.3257) costs nothing, and the leak
is the number of bits the transmitter sent, not a model of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from tokaido.emulators.distillation._pass_bits import pass_bits, put_aside
from tokaido.emulators.distillation._permutation import Permutation
from tokaido.emulators.distillation._results import AbortReason, BlockAbortError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tokaido.emulators.distillation._fast_cascade import FastPassBits
    from tokaido.emulators.distillation._pass_bits import PassBits

    Bits = NDArray[np.uint8]
    Positions = NDArray[np.int64]

Schedule = Literal["standard", "low_leak"]
SHORT_FRAME: Final = 50_000
"""Frames below this many bits always use the standard schedule; with `low_leak` more than one in ten of them would need
extra passes."""


def entropy(probability: float) -> float:
    """Return the binary entropy h(p) in bits."""
    if not 0 < probability < 1:
        return 0.0
    return -probability * math.log2(probability) - (1 - probability) * math.log2(1 - probability)


def block_sizes(schedule: Schedule, n: int, qber: float) -> tuple[int, ...]:
    """Return the block size of each regular pass over a frame of `n` bits with the estimated error rate `qber`.

    E is 0.73/Q, 2.2/Q, 9/Q, 60/Q (f about 1.06 to 1.10); B is a, 4a, 4096, 32768 with a = 2^ceil(log2(1/Q) - 1/2)
    (f about 1.03 to 1.05, twice as many rounds).
    """
    rate = min(max(qber, 1 / n, 1e-4), 0.25)
    if schedule == "standard" or n < SHORT_FRAME:
        sizes = [0.73 / rate, 2.2 / rate, 9 / rate, 60 / rate]
    else:
        first = 2 ** math.ceil(math.log2(1 / rate) - 0.5)
        sizes = [first, 4 * first, 4096, 32768]
    return tuple(min(max(round(size), 2), max((n + 1) // 2, 1)) for size in sizes)


@dataclass(frozen=True, slots=True)
class BlockQuestion:
    """Ask for the prefix parities at every multiple of `size` in pass `number`; pass 0 also at the end of the frame."""

    number: int
    size: int


@dataclass(frozen=True, slots=True)
class PositionQuestion:
    """Ask for the prefix parities of pass `number` at `positions`, int64, each once."""

    number: int
    positions: Positions


Question = BlockQuestion | PositionQuestion


def block_positions(number: int, size: int, n: int) -> Positions:
    """Return the positions that a `BlockQuestion` asks for, ascending. The end is known after pass 0."""
    inner = np.arange(size, n, size, dtype=np.int64)
    return np.append(inner, n) if number == 0 else inner


class ParityTables:
    """The transmitter's side of one frame: its prefix parities in every pass. Key bits steer no control flow here."""

    def __init__(self, bits: Bits, seed: bytes, frame: int) -> None:
        self._bits = bits
        self._seed = seed
        self._frame = frame
        self._tables: list[PassBits | FastPassBits] = []

    @property
    def passes(self) -> int:
        """Passes opened so far."""
        return len(self._tables)

    def open_pass(self) -> None:
        """Permute the frame for the next pass; pass 0 needs no permutation."""
        number = len(self._tables)
        shuffle = Permutation(self._seed, self._frame, number, self._bits.size) if number else None
        self._tables.append(pass_bits(self._bits, shuffle))

    def parities(self, number: int, positions: Positions) -> Bits:
        """Return the prefix parities of an opened pass at positions from 0 to n."""
        return self._tables[number].parities(positions)

    def wipe(self) -> None:
        """Overwrite the tables."""
        for table in self._tables:
            table.wipe()


@dataclass(slots=True)
class _Pass:
    """What the receiver knows of one pass. Interval j lies between the positions of marks j and j + 1."""

    permutation: Permutation | None  # None is the identity
    bits: PassBits | FastPassBits  # corrections included
    marks: Positions  # ascending, 2 * position + the transmitter's parity there
    odd: Bits  # per interval: 1 if it differs from the transmitter's


class Corrector:
    """The receiver's side of one frame: asks questions until no pass shows a difference in parity.

    Args:
        bits: uint8[n], corrected in place.
        sizes: Block size of each regular pass.
        seed: Public seed of the block's permutations.
        frame: Number of the frame within the block.
    """

    def __init__(self, bits: Bits, sizes: Sequence[int], seed: bytes, frame: int) -> None:
        self.bits: Final = bits
        self.corrected: Final = np.zeros_like(bits)
        """uint8[n], 1 where a bit was corrected."""
        self.error_count = 0
        """Bits corrected so far."""
        self.leaked = 0
        """Parities that the transmitter sent."""
        self.questions = 0
        self._sizes = list(sizes)
        self._seed = seed
        self._frame = frame
        self._passes: list[_Pass] = []
        self._opening: Positions | None = None
        self._batch: _Batch | None = None

    def wipe(self) -> None:
        """Overwrite the permuted copies of the frame and their prefix parities."""
        for state in self._passes:
            state.bits.wipe()

    def add_pass(self) -> None:
        """Append a pass of two blocks: what follows a failed verification."""
        self._sizes.append(max((self.bits.size + 1) // 2, 1))

    def question(self) -> Question | None:
        """Return the next question, or None when the frame looks free of errors.

        Raises:
            BlockAbortError: As `answer`.
        """
        while self._batch is None and (odd := self._odd_pass()) is not None:
            self._batch = _Batch(odd, self._passes[odd])
            if not self._batch.unfinished:  # every odd interval is one bit long
                self._finish_batch()
        if self._batch is not None:
            self.questions += 1
            return PositionQuestion(self._batch.number, self._batch.middles)
        if len(self._passes) == len(self._sizes):
            return None
        number = len(self._passes)
        size = self._sizes[number]
        self._open_pass(number)
        self._opening = block_positions(number, size, self.bits.size)
        self.questions += 1
        return BlockQuestion(number, size)

    def answer(self, parities: Bits) -> None:
        """Take the transmitter's prefix parities, uint8, in the order of the positions asked for.

        Raises:
            BlockAbortError: They contradict earlier ones, so they were altered, or the two ends permute differently.
        """
        self.leaked += parities.size
        if self._opening is not None:
            self._take_blocks(parities, self._opening)
            self._opening = None
        elif self._batch is not None:
            self._batch.narrow(parities)
            if not self._batch.unfinished:
                self._finish_batch()

    def _odd_pass(self) -> int | None:
        """Return the pass with the smallest blocks that still differs, or None."""
        return next((number for number, state in enumerate(self._passes) if state.odd.any()), None)

    def _open_pass(self, number: int) -> None:
        shuffle = Permutation(self._seed, self._frame, number, self.bits.size) if number else None
        bits = pass_bits(self.bits, shuffle)
        self._passes.append(_Pass(shuffle, bits, np.empty(0, np.int64), np.empty(0, np.uint8)))

    def _take_blocks(self, parities: Bits, positions: Positions) -> None:
        state = self._passes[-1]
        marks = [np.zeros(1, np.int64), _marks(positions, parities)]
        if len(self._passes) > 1:  # the parity of the whole frame is the same in every pass
            marks.append(self._passes[0].marks[-1:])
        state.marks = np.concatenate(marks)
        difference = (state.marks & 1).astype(np.uint8) ^ state.bits.parities(state.marks >> 1)
        state.odd = difference[1:] ^ difference[:-1]

    def _finish_batch(self) -> None:
        batch = self._batch
        assert batch is not None
        self._batch = None
        current = self._passes[batch.number]
        batch.merge(current)
        places = batch.places()
        found = current.permutation.forward(places) if current.permutation else places.astype(np.uint32)
        if self.corrected[found].any():  # an interval of one bit is certain, so no bit can be wrong twice
            raise BlockAbortError(AbortReason.VERIFICATION_FAILED, "the transmitter's parities contradict one another")
        self.corrected[found] = 1
        self.error_count += found.size
        self.bits[found] ^= 1
        current.bits.flip(places.astype(np.uint32))
        for state in self._passes:
            if state is not current:
                there = state.permutation.backward(found) if state.permutation else found
                state.bits.flip(there)
                state.bits.toggle(state.marks, there, state.odd)


def _marks(positions: NDArray[np.integer], parities: Bits | np.uint8) -> Positions:
    """Return int64[n], positions with parities in the lowest bit, which sort by position."""
    return positions.astype(np.int64) << 1 | parities


class _Batch:
    """All intervals of one pass with an odd difference, bisected together.

    The arrays are of the intervals that are longer than one bit, in ascending order; `_done` has the others.
    """

    def __init__(self, number: int, state: _Pass) -> None:
        intervals = np.flatnonzero(state.odd != 0)
        self.number = number
        marks = state.marks.take(intervals)
        self._low = marks >> 1
        self._high = state.marks.take(intervals + 1) >> 1
        self._bits = state.bits
        self._at_low = (marks & 1).astype(np.uint8) ^ self._bits.parities(self._low)
        self._heard: list[Positions] = []
        self._done: list[Positions] = []
        self._go_on(put_aside(self._low, self._high, self._at_low))

    @property
    def unfinished(self) -> bool:
        """Whether some interval is longer than one bit."""
        return self.middles.size > 0

    def narrow(self, parities: Bits) -> None:
        """Halve the unfinished intervals with the transmitter's parities at their middles."""
        self._heard.append(_marks(self.middles, parities))
        self._go_on(self._bits.halve(parities, self.middles, self._low, self._high, self._at_low))

    def places(self) -> Positions:
        """Return where the errors are, once every interval is one bit long."""
        return np.concatenate(self._done)

    def merge(self, state: _Pass) -> None:
        """Enter what was asked into the pass; with the batch's corrections none of its intervals stays odd."""
        if self._heard:
            state.marks = np.concatenate((state.marks, *self._heard))
            state.marks.sort(kind="stable")  # a few ascending runs, which this kind finds
        state.odd = np.zeros(state.marks.size - 1, np.uint8)

    def _go_on(self, intervals: tuple[Positions, Positions, Positions, Bits]) -> None:
        """Note which bits were found, and take the middles of the intervals that are longer."""
        found, self._low, self._high, self._at_low = intervals
        self._done.append(found)
        self.middles = self._low + self._high >> 1
