"""Calls people by the hooks of the station: once for each cause, and for no consequence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tokaido.hal import NS_PER_S, SYSTEM_CLOCK, HookQueue, StationAlarm
from tokaido.node.operation._alarm_book import Change

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokaido.hal import AlarmHook, Clock
    from tokaido.node.operation._alarm_book import AlarmChange, NodeAlarm


SETTLE_S: Final = 60.0
"""How long a consequence may stay when its cause has gone before somebody is called for it: a link takes a while to
come up again."""


class Callout:
    """Tells hooks that an alarm was raised, unless it follows from another one, and that it was cleared.

    A consequence that stays when its cause has gone is a cause of its own, and is told after a while.

    Args:
        node: Its name.
        hooks: What is told.
        clock: Where time comes from.
    """

    def __init__(self, node: str, hooks: Iterable[AlarmHook], *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._node = node
        self._clock = clock
        self._queues = [HookQueue(hook, clock) for hook in hooks]
        self._told: set[tuple[str, str]] = set()
        self._waiting: dict[tuple[str, str], tuple[float, NodeAlarm]] = {}

    def changed(self, change: AlarmChange) -> None:
        """Take a change of an alarm."""
        alarm = change.alarm
        known = alarm.name in self._told
        waited = self._waiting.pop(alarm.name, None)
        lasts = alarm.cause is None and alarm.cleared_s is None and not known
        if change.change is Change.CLEARED and (known or (alarm.cause is None and waited is None)):
            self._tell(alarm, raised=False)
        elif change.change is Change.RAISED and lasts:
            self._tell(alarm, raised=True)
        elif lasts:
            self._waiting[alarm.name] = self._now_s() if waited is None else waited[0], alarm

    def tick(self) -> None:
        """Tell of what has stayed behind for long enough; call it now and then."""
        now_s = self._now_s()
        for name, (begun_s, alarm) in tuple(self._waiting.items()):
            if now_s >= begun_s + SETTLE_S:
                del self._waiting[name]
                self._tell(alarm, raised=True)

    def end(self) -> None:
        """Tell what waits at a hook, and no more."""
        for queue in self._queues:
            queue.end()

    def _tell(self, alarm: NodeAlarm, *, raised: bool) -> None:
        (self._told.add if raised else self._told.discard)(alarm.name)
        at_ns = round((alarm.raised_s if raised else alarm.cleared_s or 0.0) * NS_PER_S)
        told = StationAlarm(self._node, alarm.of, alarm.code, alarm.severity, raised, at_ns, alarm.text)
        for queue in self._queues:
            queue.put(told)

    def _now_s(self) -> float:
        return self._clock.monotonic_ns() / NS_PER_S
