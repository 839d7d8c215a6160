"""Time that passes only while somebody waits for it: the clock of programs and emulated devices in one thread."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from tokaido.hal import NS_PER_S, ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

STEP_NS: Final = 100_000_000
"""Longest step of time in ns while nobody waits for anything in particular."""
EVENT_STEP_NS: Final = 5_000_000
"""The same while somebody waits for an event, which is noticed so much later at most."""
BEGIN_UTC_NS: Final = 1_767_225_600 * NS_PER_S
"""Where the time of day begins: 2026-01-01T00:00:00Z, so that a run repeats to the digit."""


class SteppedClock:
    """A clock on which waiting is what makes time pass: nothing sleeps, and a run is repeated exactly.

    There is one rule. With one thread, waiting is time: give this clock to the drivers and to `launch`, `Bench` or
    `QkdLink`, and use all of them from the thread that made it. With several threads, time is real, or scaled by
    `speed`: take the clock of the machine.

    Args:
        utc_ns: Time of day at which it begins, in ns since 1970-01-01 UTC.
    """

    def __init__(self, utc_ns: int = BEGIN_UTC_NS) -> None:
        self._utc_ns = utc_ns
        self._now_ns = 0
        self._thread = threading.get_ident()
        self._turns: list[Callable[[int], None]] = []
        self._turning = False

    def monotonic_ns(self) -> int:
        """Return the time since the clock was made, in ns."""
        return self._now_ns

    def utc_ns(self) -> int:
        """Return the time of day in ns since 1970-01-01 UTC."""
        return self._utc_ns + self._now_ns

    def wait(self, seconds: float, event: threading.Event | None = None) -> bool:
        """Let time pass for `seconds`, or until `event` is set; return whether it is set.

        Raises:
            ConfigurationError: Another thread waits, or a device that is being stepped does.
        """
        self.check_thread()
        if self._turning:
            raise ConfigurationError("a device that this clock steps waits by it", remedy="Report it")
        until_ns = self._now_ns + max(round(seconds * NS_PER_S), 0)
        step_ns = STEP_NS if event is None else EVENT_STEP_NS
        while self._now_ns < until_ns and not (event is not None and event.is_set()):
            self._now_ns = min(self._now_ns + step_ns, until_ns)
            self._turning = True
            try:
                for turn in tuple(self._turns):
                    turn(self._now_ns)
            finally:
                self._turning = False
        return event is not None and event.is_set()

    def check_thread(self) -> None:
        """Make sure that it is called in the clock's own thread.

        Raises:
            ConfigurationError: It is another one.
        """
        if threading.get_ident() != self._thread:
            raise ConfigurationError(
                f"a stepped clock is for one thread, and {threading.current_thread().name} lives by it",
                remedy="Where there are several threads, take the clock of the machine and a `speed`; "
                "in a test, mark it tokaido_in_thread",
            )

    def attach(self, turn: Callable[[int], None]) -> Callable[[], None]:
        """Call `turn` with the time in ns after every step, and return what ends that."""
        self._turns.append(turn)
        return lambda: self._turns.remove(turn) if turn in self._turns else None
