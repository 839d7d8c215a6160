"""Sifting, compiled by numba: `select` of _sift_kernels.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tokaido.emulators.fast import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Column = NDArray[np.uint8]


def select(values: Column, mask: Column) -> Column:
    """Return the values where the mask, uint8[n] of 0 and 1, is 1."""
    chosen = np.empty(values.size + 1, np.uint8)  # one more: a value that is not chosen is written, and overwritten
    return chosen[: _select(values, mask, chosen)]


# --- kernels: indices are not checked here --------------------------------------------------------------------------


@compiled("int64(uint8[::1], uint8[::1], uint8[::1])")
def _select(values: Column, mask: Column, chosen: Column) -> int:
    """No branch: it would be guessed wrong every other time."""
    count = 0
    for i in range(values.size):
        chosen[count] = values[i]
        count += mask[i]
    return count
