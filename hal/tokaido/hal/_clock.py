"""Time as an object: every transport, device model and daemon is given a clock and asks no other."""

from __future__ import annotations

import threading
import time
from typing import Protocol

from tokaido.hal._errors import RangeError
from tokaido.hal._numbers import real

NS_PER_S = 1_000_000_000


class Clock(Protocol):
    """A monotonic clock in integer nanoseconds that can also wait."""

    def monotonic_ns(self) -> int:
        """Return the monotonic time in ns; its zero has no meaning."""
        ...

    def utc_ns(self) -> int:
        """Return the time since 1970-01-01 UTC in ns; may step."""
        ...

    def wait(self, seconds: float, event: threading.Event | None = None) -> bool:
        """Wait `seconds`, or less if `event` is set; return whether it is set."""
        ...


class SystemClock:
    """The clock of the machine."""

    monotonic_ns = staticmethod(time.monotonic_ns)  # noqa: TID251 - this is the one place that may ask
    """Return the monotonic time in ns; its zero has no meaning."""

    utc_ns = staticmethod(time.time_ns)
    """Return the time since 1970-01-01 UTC in ns; may step."""

    def wait(self, seconds: float, event: threading.Event | None = None) -> bool:
        """Wait `seconds`, or less if `event` is set; return whether it is set."""
        if event is not None:
            return event.wait(max(seconds, 0.0))
        if seconds > 0:
            time.sleep(seconds)  # noqa: TID251 - this is the one place that may sleep
        return False


SYSTEM_CLOCK: Clock = SystemClock()


class Deadline:
    """A point in time that a whole call must not pass.

    Raises:
        ValueTypeError: The timeout is not a number.
        RangeError: It does not lie in 0 to 1e9 s.
    """

    __slots__ = ("_clock", "_start_ns", "timeout_s")

    def __init__(self, clock: Clock, timeout_s: float) -> None:
        if type(timeout_s) is not float or not 0 <= timeout_s <= 1e9:
            timeout_s = _checked(timeout_s)
        self._clock = clock
        self._start_ns = clock.monotonic_ns()
        self.timeout_s = timeout_s

    @property
    def elapsed_s(self) -> float:
        """Seconds since the deadline was set."""
        return (self._clock.monotonic_ns() - self._start_ns) / NS_PER_S

    @property
    def remaining_s(self) -> float:
        """Seconds left, never negative."""
        left_s = self.timeout_s - (self._clock.monotonic_ns() - self._start_ns) / NS_PER_S
        return left_s if left_s > 0 else 0.0

    @property
    def passed(self) -> bool:
        """Whether the deadline has passed."""
        return self.elapsed_s >= self.timeout_s


def _checked(timeout_s: object) -> float:
    number = real(timeout_s, "a timeout")
    if not 0 <= number <= 1e9:
        raise RangeError(f"a timeout must lie in 0 to 1e9 s, not {timeout_s!r}")
    return number
