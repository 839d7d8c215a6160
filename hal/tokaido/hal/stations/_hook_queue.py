"""Alarms on their way to one hook: in a thread of its own, in order, a bounded number of them."""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import TYPE_CHECKING, Final

from tokaido.hal.roles._alarms import Severity

if TYPE_CHECKING:
    from tokaido.hal._clock import Clock
    from tokaido.hal.stations._alarm_hooks import AlarmHook
    from tokaido.hal.stations._alarm_looks import StationAlarm

KEPT_ALARMS: Final = 100
"""Alarms that wait for a hook; one that comes then takes the place of the oldest."""
REST_S: Final = 3600.0
_logger = logging.getLogger("tokaido.hal.alarms")
_RANKS: Final = {severity: rank for rank, severity in enumerate(Severity)}


class HookQueue:
    """The alarms that one hook is still to be told. Putting one takes no time.

    Args:
        hook: What is told.
        clock: Where time comes from.
    """

    def __init__(self, hook: AlarmHook, clock: Clock) -> None:
        self._hook = hook
        self._clock = clock
        self._waiting: deque[StationAlarm] = deque()
        self._dropped = 0
        self._lock = threading.Lock()
        self._news = threading.Event()
        self._ended = False
        self.thread = threading.Thread(target=self._run, name=f"tokaido-hook-{hook.name}"[:60], daemon=True)
        self.thread.start()

    def put(self, alarm: StationAlarm) -> None:
        """Let the hook be told, if it is severe enough for it."""
        if self._hook.severity is not None and _RANKS[alarm.severity] > _RANKS[self._hook.severity]:
            return
        with self._lock:
            if self._ended:
                return
            if len(self._waiting) >= KEPT_ALARMS:
                self._waiting.popleft()
                self._dropped += 1
            self._waiting.append(alarm)
        self._news.set()

    def end(self) -> None:
        """Take no more alarms; those that wait are still told."""
        with self._lock:
            self._ended = True
        self._news.set()

    def give_up(self) -> None:
        """Drop what still waits, and say so."""
        with self._lock:
            left = len(self._waiting) + self._dropped
            self._waiting.clear()
            self._dropped = 0
        if left:
            _logger.warning("hook %s: %d alarms were never told, since the watch ended", self._hook.name, left)

    def _run(self) -> None:
        while True:
            with self._lock:
                alarm = self._waiting.popleft() if self._waiting else None
                dropped, self._dropped = (self._dropped, 0) if alarm is not None else (0, self._dropped)
                if alarm is None and self._ended:
                    return
                self._news.clear()
            if alarm is None:
                self._clock.wait(REST_S, self._news)
                continue
            if dropped:
                _logger.warning("hook %s is too slow: %d alarms before this one were dropped", self._hook.name, dropped)
            try:
                self._hook.tell({**alarm.record(), "dropped": dropped})
            except Exception as error:  # noqa: BLE001 - whatever a hook does, the next alarm is told
                _logger.warning("hook %s failed for %s %s: %s", self._hook.name, alarm.device, alarm.code, error)
