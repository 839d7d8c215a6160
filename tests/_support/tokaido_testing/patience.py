"""How slow the machine is right now, and deadlines of tests that are as much longer.

Checks stay as strict as they are: only bounds on how long something may take grow with it.
"""

from __future__ import annotations

import threading
import time

PIECE_S = 0.0009
"""What one piece of work takes, in s, on a machine with two cores that has only the suite to run, in three workers."""
PIECES = 20
FRESH_S = 5.0
"""For how long a measurement is good, in s."""
HALF_LIFE_S = 5.0
"""In how many s what was measured before counts half: others come and go."""
MOST = 4.0
"""A machine that is slower fails its tests, so that no deadline grows without end."""

_lock = threading.Lock()
_known = (1.0, -1e9)  # the slowness, and when it was measured


def slowness() -> float:
    """Return how many times slower than usual the machine is now, 1 to 4. Measures for 12 ms, at most every 5 s."""
    global _known  # noqa: PLW0603 - the one thing that is measured once for all tests
    with _lock:
        before, at_s = _known
        age_s = time.monotonic() - at_s
        if age_s > FRESH_S:
            now = measure()
            _known = max(now, min(before, MOST) * 0.5 ** (age_s / HALF_LIFE_S)), time.monotonic()
        return min(max(_known[0], 1.0), MOST)


def patient(seconds: float) -> float:
    """Return a deadline in s that suits a machine as slow as this one is now."""
    return seconds * slowness()


def in_time(start_s: float, seconds: float) -> bool:
    """Return whether no more than `seconds` of patience went by since `start_s` of `time.monotonic`."""
    took_s = time.monotonic() - start_s
    return took_s < seconds or took_s < patient(seconds) or took_s < seconds * min(measure(), MOST)


def measure() -> float:
    """Return how long work takes now, with the waits in between, in units of what it takes on an idle machine."""
    start_s = time.perf_counter()
    for _ in range(PIECES):
        total = 0
        for number in range(20_000):
            total += number * number
        time.sleep(0)  # let others in, so that what they take is seen
    return (time.perf_counter() - start_s) / PIECES / PIECE_S
