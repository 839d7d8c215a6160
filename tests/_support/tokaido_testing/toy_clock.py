"""Time that a test turns."""

from __future__ import annotations

import threading


class ToyClock:
    """A clock that goes on only when somebody waits."""

    def __init__(self, start_s: float = 1000.0) -> None:
        self._now_ns = round(start_s * 1e9)
        self._lock = threading.Lock()
        self.ahead_s = 0.0
        """How far the time of day is ahead."""

    def monotonic_ns(self) -> int:
        return self._now_ns

    def utc_ns(self) -> int:
        return self._now_ns + round(self.ahead_s * 1e9)

    def wait(self, seconds: float, event: threading.Event | None = None) -> bool:
        with self._lock:
            self._now_ns += max(round(seconds * 1e9), 1)
        return event is not None and event.is_set()
