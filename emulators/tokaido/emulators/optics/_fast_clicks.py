"""Which clicks two detectors register, and which detector an afterpulse fires, click by click, compiled by numba.

The same numbers as _click_kernel.py and _afterpulses.py make of the same draws.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tokaido.emulators.fast import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Integers = NDArray[np.int64]
    Numbers = NDArray[np.float64]
    Bits = NDArray[np.uint8]
    Mask = NDArray[np.bool_]


def registered_clicks(
    draws: Numbers,
    scale: float,
    longest: float,
    parents: Integers,
    delays: Integers,
    dead_gates: int,
    first: int,
) -> tuple[Integers, Integers, Bits]:
    """As `_click_kernel.registered_clicks`."""
    slots, ends = np.empty(draws.size, np.int64), np.empty(parents.size, np.int64)
    outcomes = np.zeros(parents.size, np.uint8)
    _register(draws, scale, longest, parents, delays, dead_gates, first, slots, ends, outcomes)
    return slots, ends, outcomes


def settle_bits(
    causes: Integers,
    places: Integers,
    own: int,
    received: Bits,
    double: Mask,
    bits: Bits,
    drawn: Bits,
    random: Bits,
) -> None:
    """Write the bits of afterpulses, as `fire` says: `own` of them clicked, further ones joined a click at `places`."""
    _settle_bits(causes, places, own, received, double, bits, drawn, random)


def look_up(table: Bits, cells: NDArray[np.uint16]) -> Bits:
    """Return the entries of uint8[65536] at these places."""
    found = np.empty(cells.size, np.uint8)
    _look_up(table, cells, found)
    return found


# --- kernels: indices are not checked here --------------------------------------------------------------------------


@compiled(
    "void(float64[::1], float64, float64, int64[::1], int64[::1], int64, int64, int64[::1], int64[::1], uint8[::1])"
)
def _register(
    draws: Numbers,
    scale: float,
    longest: float,
    parents: Integers,
    delays: Integers,
    dead_gates: int,
    first: int,
    slots: Integers,
    ends: Integers,
    outcomes: Bits,
) -> None:
    """Waits first, then the clicks at which afterpulses wait, then the sum: the long loops have no branch."""
    count, clicks = parents.size, draws.size
    for click in range(clicks):
        wait = draws[click] * scale
        slots[click] = int(min(longest, wait))
    ends[:] = clicks
    numbers, left = np.empty(count, np.int64), np.empty(count, np.int64)
    following = 0
    while following < count and parents[following] + 1 < clicks:
        click, waiting = parents[following] + 1, 0
        while click < clicks:
            while following < count and parents[following] < click:
                numbers[waiting], left[waiting] = following, delays[following]
                waiting += 1
                following += 1
            if not waiting:
                break
            wait = slots[click]
            gap = wait
            for each in range(waiting):
                gap = min(gap, left[each])
            still = 0
            for each in range(waiting):
                number, rest = numbers[each], left[each] - gap
                if rest > dead_gates:
                    numbers[still], left[still] = number, rest - dead_gates - 1
                    still += 1
                else:
                    ends[number] = click
                    if not rest:
                        outcomes[number] = 2 if wait == gap else 1
            waiting = still
            slots[click] = gap
            click += 1
    slot = first - dead_gates - 1
    for click in range(clicks):
        slot += slots[click] + dead_gates + 1
        slots[click] = slot


@compiled("void(int64, int64[::1], uint8[::1], boolean[::1], uint8[::1], uint8[::1])")
def _take_bit(number: int, causes: Integers, received: Bits, double: Mask, bits: Bits, drawn: Bits) -> None:
    """Take the bit of the click that caused an afterpulse; where both detectors clicked, a drawn one."""
    if causes[number] >= 0:
        bits[number] = drawn[number] if double[causes[number]] else received[causes[number]]


@compiled("void(int64[::1], int64[::1], int64, uint8[::1], boolean[::1], uint8[::1], uint8[::1], uint8[::1])")
def _settle_bits(
    causes: Integers,
    places: Integers,
    own: int,
    received: Bits,
    double: Mask,
    bits: Bits,
    drawn: Bits,
    random: Bits,
) -> None:
    """Settle round by round all whose causes are settled; in a gate that two join in one round, the last one's bit."""
    size = places.size
    unsettled, unfired = np.zeros(received.size, np.bool_), np.zeros(received.size, np.bool_)
    for i in range(own):
        unfired[places[i]] = True
    for i in range(size):
        unsettled[places[i]] = True
    left, met = np.arange(size), np.empty(size, np.int64)
    clicked, joined = own, size  # left[:clicked] are to fire still, and left[own:joined] to join
    while clicked or joined > own:
        waits = settled = 0
        for j in range(clicked):
            number = left[j]
            if causes[number] >= 0 and unsettled[causes[number]]:
                left[waits] = number
                waits += 1
            else:
                _take_bit(number, causes, received, double, bits, drawn)
                received[places[number]] = bits[number]
                unfired[places[number]] = False
                met[settled] = number
                settled += 1
        clicked, fired = waits, settled
        waits = own
        for j in range(own, joined):
            number = left[j]
            if (causes[number] >= 0 and unsettled[causes[number]]) or unfired[places[number]]:
                left[waits] = number
                waits += 1
            else:
                _take_bit(number, causes, received, double, bits, drawn)
                if bits[number] != received[places[number]]:
                    met[settled] = number
                    settled += 1
        joined = waits
        for j in range(fired, settled):
            double[places[met[j]]] = True
            received[places[met[j]]] = random[met[j] - own]
        for j in range(fired):
            unsettled[places[met[j]]] = False
        for j in range(own, size):
            unsettled[places[j]] = unfired[places[j]]
        for j in range(own, joined):
            unsettled[places[left[j]]] = True
    for number in range(size, causes.size):
        _take_bit(number, causes, received, double, bits, drawn)


@compiled("void(uint8[::1], uint16[::1], uint8[::1])")
def _look_up(table: Bits, cells: NDArray[np.uint16], found: Bits) -> None:
    for i in range(cells.size):
        found[i] = table[cells[i]]
