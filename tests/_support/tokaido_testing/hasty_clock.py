"""Time that passes faster than the machine's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokaido.hal import SYSTEM_CLOCK

if TYPE_CHECKING:
    import threading


class HastyClock:
    """The clock of the machine, so many times as fast: for programs of several threads."""

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._begin_ns = SYSTEM_CLOCK.monotonic_ns()
        self._utc_ns = SYSTEM_CLOCK.utc_ns()

    def monotonic_ns(self) -> int:
        return self._begin_ns + round((SYSTEM_CLOCK.monotonic_ns() - self._begin_ns) * self._speed)

    def utc_ns(self) -> int:
        return self._utc_ns + self.monotonic_ns() - self._begin_ns

    def wait(self, seconds: float, event: threading.Event | None = None) -> bool:
        return SYSTEM_CLOCK.wait(seconds / self._speed, event)
