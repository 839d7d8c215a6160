"""Tags out of the words of an S-Fifteen TDC1, as they come: docs/protocols/sfifteen.md, section 4."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from tokaido.drivers.sfifteen._words import CHANNELS, DUMMY, ROLLOVER, TICK_PS
from tokaido.hal.driver import ProtocolError
from tokaido.hal.tags import PS_PER_S, Tags

if TYPE_CHECKING:
    from numpy.typing import NDArray

FASTEST: Final = 4_000_000
"""Words per second that the box carries at most."""
NEAR: Final = 0.9
"""From which share of that on tags may be missing."""
CHECK_TICKS: Final = 500_000
"""Length of the stretches, 1 ms, in which words are counted for that."""
CHANNELS_IN: Final = np.array([pattern.bit_count() for pattern in range(1 << CHANNELS)], np.int64)
"""How many channels a pattern names."""


class Gathering:
    """Takes words and keeps the tags in them, the first `most`; the rest is counted.

    Args:
        most: How many tags are kept.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept = 0
        self._lost = 0
        self._ticks: list[NDArray[np.int64]] = []
        self._patterns: list[NDArray[np.uint8]] = []
        self._rounds = 0
        self._last_word = 0
        self._stretch, self._in_stretch = 0, 0
        self._crowded = False
        self.last_tick = 0
        """Time of the last word, in steps."""
        self.words = 0
        """How many words came."""

    def take(self, frame: bytes) -> None:
        """Take whole words."""
        words = np.frombuffer(frame, "<u4")
        if not words.size:
            return
        self.words += words.size
        raw = (words >> 5).astype(np.int64)
        falls = np.diff(raw, prepend=self._last_word) < 0
        rounds = self._rounds + np.cumsum(falls)
        ticks = raw + rounds * ROLLOVER
        self._rounds, self._last_word, self.last_tick = int(rounds[-1]), int(raw[-1]), int(ticks[-1])
        self._watch(ticks)
        events = (words & DUMMY) == 0
        self._keep(ticks[events], (words[events] & 0xF).astype(np.uint8))

    def _watch(self, ticks: NDArray[np.int64]) -> None:
        """See whether the words came as fast as the box can send them."""
        stretches, counts = np.unique(ticks // CHECK_TICKS, return_counts=True)
        if stretches[0] == self._stretch:
            counts[0] += self._in_stretch
        self._stretch, self._in_stretch = int(stretches[-1]), int(counts[-1])
        self._crowded |= bool(counts.max() >= NEAR * FASTEST * CHECK_TICKS * TICK_PS / PS_PER_S)

    def _keep(self, ticks: NDArray[np.int64], patterns: NDArray[np.uint8]) -> None:
        in_each = CHANNELS_IN[patterns]
        sums = np.cumsum(in_each)
        whole = int(np.searchsorted(sums, self._most - self._kept, side="right"))
        self._kept += int(sums[whole - 1]) if whole else 0
        self._lost += int(in_each[whole:].sum())
        if self._lost:
            self._most = self._kept  # nothing later is kept where something earlier was not
        self._ticks.append(ticks[:whole])
        self._patterns.append(patterns[:whole])

    def tags(self, duration_ps: int) -> Tags:
        """Return the tags of an acquisition of that length.

        Raises:
            ProtocolError: The times do not end where the acquisition did: words are missing, or are none.
        """
        last_ps = self.last_tick * TICK_PS
        if not duration_ps - ROLLOVER * TICK_PS <= last_ps <= duration_ps + TICK_PS:
            raise ProtocolError(
                f"{self.words} words came, whose times end at {last_ps / PS_PER_S:.3f} s"
                f" of {duration_ps / PS_PER_S:g} s",
                remedy="Bytes were lost: count a shorter time, or send fewer pulses",
            )
        ticks = np.concatenate([np.empty(0, np.int64), *self._ticks])
        patterns = np.concatenate([np.empty(0, np.uint8), *self._patterns])
        bits = np.unpackbits(patterns[:, None], axis=1, bitorder="little")[:, :CHANNELS]
        places, channels = np.nonzero(bits)
        return Tags(
            times=(ticks[places] * TICK_PS).astype(np.uint64),
            channels=(channels + 1).astype(np.uint8),
            duration_ps=duration_ps,
            lost=self._lost,
            overflowed=bool(self._lost) or self._crowded,
        )
