"""How often a unit is ordered what may cost it authentication key."""

from __future__ import annotations

from collections import deque
from math import inf
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tokaido.node.supervision._settings import SupervisionSettings

HOUR_S: Final = 3600.0
JITTER: Final = 0.2
"""A pause is longer by up to this part of it, so that two ends and many links do not try in step."""


class Attempts:
    """Counts attempts and failures of one unit, and tells when the next attempt may be.

    Args:
        settings: How patient it is.
        random: Returns a number from 0 to 1, for jitter.
        before: When attempts were made in an earlier life of the node, in s of its age.
    """

    def __init__(
        self, settings: SupervisionSettings, random: Callable[[], float], before: Iterable[float] = ()
    ) -> None:
        self.settings = settings
        self._random = random
        self._times = deque(sorted(before))
        self.failures = 0
        """In a row."""
        self._pause_until_s = -inf

    @property
    def times(self) -> tuple[float, ...]:
        """When attempts were made within the last hour before the last one, in s of the node's age."""
        return tuple(self._times)

    @property
    def given_up(self) -> bool:
        """Whether so many failed that a person is needed."""
        return self.failures >= self.settings.give_up_after

    def within_an_hour(self, now_s: float) -> int:
        """Return how many were made within the last hour."""
        return sum(time_s > now_s - HOUR_S for time_s in self._times)

    def made(self, now_s: float) -> None:
        """Note an attempt."""
        self._forget(now_s)
        self._times.append(now_s)

    def unmade(self) -> None:
        """Take the last attempt back: it never reached the unit."""
        self._times.pop()

    def failed(self, now_s: float) -> None:
        """Note that one failed: the pause grows."""
        self.failures += 1
        settings = self.settings
        if self.given_up:
            pause_s = settings.probe_s
        else:
            doublings = min(self.failures - 1, 60)
            pause_s = min(settings.back_off_s * 2.0**doublings, settings.longest_back_off_s)
        self._pause_until_s = now_s + pause_s * (1 + JITTER * self._random())

    def succeeded(self) -> None:
        """Note that all is well: the next pause is a short one again."""
        self.failures = 0
        self._pause_until_s = -inf

    def next_s(self, now_s: float, *, waits_for_peer: bool) -> float:
        """Return when the next attempt may be made; not later than `now_s`: now.

        Args:
            now_s: The time.
            waits_for_peer: Whether light or answers of the other end are missing. No attempt here brings them, so
                there is one every `probe_s` at most.
        """
        self._forget(now_s)
        allowed_s = self._pause_until_s
        if len(self._times) >= self.settings.attempts_per_hour:
            allowed_s = max(allowed_s, self._times[-self.settings.attempts_per_hour] + HOUR_S)
        if waits_for_peer and self._times:
            allowed_s = max(allowed_s, self._times[-1] + self.settings.probe_s)
        return allowed_s

    def _forget(self, now_s: float) -> None:
        kept_s = max(HOUR_S, self.settings.probe_s)
        while self._times and self._times[0] <= now_s - kept_s:
            self._times.popleft()
