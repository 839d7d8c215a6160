"""Time tags, and what is made of them: counts, start-stop histograms, coincidences."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tokaido.hal._errors import RangeError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_BINS = 1 << 24
"""Most bins of a histogram."""
PS_PER_S = 1_000_000_000_000


@dataclass(frozen=True)
class Tags:
    """The tags of one acquisition, n of them, in the order of their times."""

    times: NDArray[np.uint64] = field(repr=False)
    """Time since the acquisition began, in ps, never falling, shape (n,)."""
    channels: NDArray[np.uint8] = field(repr=False)
    """Channel of each, from 1, shape (n,)."""
    duration_ps: int
    """How long was acquired, in ps."""
    lost: int = 0
    """How many tags are known to be missing."""
    overflowed: bool = False
    """Whether tags are or may be missing, since more came than are carried or kept; `lost` 0: nobody knows how many."""

    def __len__(self) -> int:
        return int(self.times.size)

    def of(self, channel: int) -> NDArray[np.uint64]:
        """Return the times of one channel, in ps."""
        times: NDArray[np.uint64] = self.times[self.channels == channel]
        return times

    def rate(self, channel: int) -> float:
        """Return the tags per second of one channel."""
        return self.of(channel).size * PS_PER_S / self.duration_ps

    def structured(self) -> NDArray[np.void]:
        """Return times and channels as one structured array, fields `time` (uint64, ps) and `channel` (uint8)."""
        import numpy as np  # noqa: PLC0415 - loaded by those who use it

        whole: Any = np.empty(self.times.size, dtype=[("time", np.uint64), ("channel", np.uint8)])
        whole["time"], whole["channel"] = self.times, self.channels
        return whole  # type: ignore[no-any-return]

    def histogram(self, start: int, stop: int, *, bin_width_ps: int, bins: int) -> NDArray[np.int64]:
        """Return how many stops came how long after the last start before them, shape (bins,).

        Bin k counts delays from k to k + 1 times `bin_width_ps`. A stop without a start before it, or later than the
        last bin, counts nowhere; a stop at the moment of a start has delay 0.

        Raises:
            RangeError: A bin is below 1 ps, or there are none or more than 16777216.
        """
        import numpy as np  # noqa: PLC0415 - loaded by those who use it

        if bin_width_ps < 1 or not 1 <= bins <= MOST_BINS:
            raise RangeError(
                f"a histogram has 1 to {MOST_BINS} bins of 1 ps at least, not {bins!r} of {bin_width_ps!r} ps"
            )
        starts, stops = self.of(start).astype(np.int64), self.of(stop).astype(np.int64)
        before = np.searchsorted(starts, stops, side="right") - 1
        delays = stops[before >= 0] - starts[before[before >= 0]]
        places = delays // bin_width_ps
        counted: NDArray[np.int64] = np.bincount(places[places < bins], minlength=bins).astype(np.int64)
        return counted

    def coincidences(self, one: int, other: int, *, window_ps: int, delay_ps: int = 0) -> int:
        """Return how many tags of `one` have a tag of `other` within a window of `window_ps` around them.

        The times of `other` count as `delay_ps` earlier. A tag of `one` counts once, however many of `other` are there.

        Raises:
            RangeError: The window is below 1 ps.
        """
        import numpy as np  # noqa: PLC0415 - loaded by those who use it

        if window_ps < 1:
            raise RangeError(f"a window of coincidence is 1 ps at least, not {window_ps!r}")
        first = 2 * self.of(one).astype(np.int64)  # in half ps, so that odd windows have a middle
        second = 2 * (self.of(other).astype(np.int64) - delay_ps)
        low = np.searchsorted(second, first - window_ps, side="left")
        high = np.searchsorted(second, first + window_ps, side="right")
        return int(np.count_nonzero(high > low))
