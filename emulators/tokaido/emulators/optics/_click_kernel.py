"""Which clicks two detectors register: arrays and numbers in, arrays out, every random number passed in.

Gates are counted while the detectors are live. Light and noise then click after waits that know nothing of dead time or
of what happened before, and each registered click has its own dead gates behind it: a renewal process, one sum. An
afterpulse competes with the wait for the click that comes next: whichever is first is registered, what falls into dead
gates is lost, and the rest of an afterpulse's delay counts against the click after that. Click by click:

    gap = min(wait of light and noise, what is left of each afterpulse that waits)
    slot += dead gates + 1 + gap
    what is left of each afterpulse: less gap; 0 fired, 1 to the dead gates lost, above that less dead gates + 1
    if this click has an afterpulse, its delay waits too

Few clicks have afterpulses, and of those most are settled by the click that comes next. So all are settled at once, as
if each were alone, and where one still waits at a click that has another, both are settled click by click.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from tokaido.emulators import fast

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Integers = NDArray[np.int64]
    Numbers = NDArray[np.float64]
    Outcomes = NDArray[np.uint8]

LOST: Final = 0
"""It fell into dead gates, or is still to come."""
ALONE: Final = 1
"""It fired in a gate in which light and noise did not."""
TOGETHER: Final = 2
"""It fired in a gate in which light or noise did too."""


def registered_clicks(  # noqa: PLR0917 - flat, so that it can be compiled
    draws: Numbers,
    scale: float,
    longest: float,
    parents: Integers,
    delays: Integers,
    dead_gates: int,
    first: int,
) -> tuple[Integers, Integers, Outcomes]:
    """Return the slots of n registered clicks, and of k afterpulses which click settled them and what became of each.

    Args:
        draws: Exponential, mean 1, shape (n,); times `scale`, at most `longest`, rounded down, they are the gates
            without light and noise before each click. n >= 1.
        scale: See `draws`.
        longest: See `draws`; inf: any.
        parents: Which click each afterpulse follows, rising, shape (k,); -1 for those that wait from the beginning, of
            which there may be several.
        delays: Live gates that would pass before each afterpulse, shape (k,).
        dead_gates: How many gates are dead after each registered click.
        first: Slot of the first live gate.

    Returns:
        Slots, rising, shape (n,); the click in whose gate or dead gates each afterpulse ended, n if in none, shape
        (k,); LOST, ALONE or TOGETHER, shape (k,).
    """
    if fast.enabled(draws.size):
        from . import _fast_clicks  # noqa: PLC0415 - compiles, so only when needed

        return _fast_clicks.registered_clicks(draws, scale, longest, parents, delays, dead_gates, first)
    scaled = draws * scale
    if longest < np.inf:
        np.minimum(scaled, longest, out=scaled)
    waits = scaled.astype(np.int64)
    outcomes = np.zeros(parents.size, np.uint8)
    ends, lefts = settle(waits, parents, delays, dead_gates)
    fired = np.flatnonzero(lefts >= 0)
    at, gaps = ends[fired], lefts[fired]
    outcomes[fired] = np.where(waits[at] == gaps, TOGETHER, ALONE)
    waits[at] = gaps
    waits += dead_gates + 1
    waits[0] += first - dead_gates - 1
    return np.cumsum(waits, out=waits), ends, outcomes


def settle(waits: Integers, parents: Integers, delays: Integers, dead_gates: int) -> tuple[Integers, Integers]:
    """Return at which click each afterpulse ended, and the gap before that click if it fired, -1 if not; shape (k,).

    `waits` are the gates without light and noise before each of n clicks; an end is n where the click is not among
    them. The rest is as in `registered_clicks`.
    """
    ends, lefts = parents + 1, delays.copy()
    joined = np.append(parents[1:], waits.size)  # which click has the next afterpulse
    crowded: list[int] = []
    waiting = np.flatnonzero(ends < waits.size)
    lefts[waiting.size :] = -1
    while waiting.size:
        at = ends[waiting]
        alone = at <= joined[waiting]
        if not alone.all():
            crowded += waiting[~alone].tolist()
            waiting, at = waiting[alone], at[alone]
        rest = lefts[waiting] - waits[at]
        late = np.flatnonzero(rest > 0)
        waiting, rest = waiting[late], rest[late]
        lefts[waiting] = -1
        again = np.flatnonzero(rest > dead_gates)
        waiting = waiting[again]
        ends[waiting] += 1
        inside = ends[waiting] < waits.size
        lefts[waiting] = np.where(inside, rest[again] - (dead_gates + 1), -1)
        waiting = waiting[inside]
    settled = 0
    for number in sorted(crowded):
        if number >= settled:
            settled = settle_crowd(waits, parents, delays, dead_gates, number, ends, lefts)
    return ends, lefts


def settle_crowd(  # noqa: PLR0917
    waits: Integers,
    parents: Integers,
    delays: Integers,
    dead_gates: int,
    number: int,
    ends: Integers,
    lefts: Integers,
) -> int:
    """Settle afterpulses from `number` on, click by click, until none waits; return the number of the next one.

    No afterpulse before `number` waits when its click has happened. `ends` and `lefts` are written, as `settle` returns
    them.
    """
    click, clicks, count = int(parents[number]) + 1, waits.size, parents.size
    waiting: list[int] = []
    left: list[int] = []
    while True:
        while number < count and parents[number] < click:
            waiting.append(number)
            left.append(int(delays[number]))
            number += 1
        if not waiting:
            return number
        if click == clicks:
            for each in waiting:
                ends[each], lefts[each] = click, -1
            return number
        gap = min(int(waits[click]), *left)
        still = 0
        for place in range(len(waiting)):
            each, rest = waiting[place], left[place] - gap
            if rest > dead_gates:
                waiting[still], left[still] = each, rest - dead_gates - 1
                still += 1
            else:
                ends[each], lefts[each] = click, -1 if rest else gap
        del waiting[still:], left[still:]
        click += 1
