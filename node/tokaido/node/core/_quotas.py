"""Quotas: how much an application may take of the keys of a pair."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokaido.node.core._settings import Quota


class Allowance:
    """What one application may still take of one pair: a bucket that fills at a rate."""

    def __init__(self, quota: Quota, now_s: float) -> None:
        self._level = most(quota)
        self._at_s = now_s

    def wait_s(self, quota: Quota, keys: int, now_s: float) -> float | None:
        """Return in how many s so many keys may be taken: 0 now, None never."""
        if keys > most(quota):
            return None
        filled = float("inf") if quota.rate is None else (now_s - self._at_s) * quota.rate
        self._level = min(self._level + filled, most(quota))
        self._at_s = now_s
        return max(keys - self._level, 0.0) / (quota.rate or 1.0)

    def take(self, keys: int) -> None:
        """Take so many keys."""
        self._level -= keys


def most(quota: Quota) -> float:
    """Return how many keys may be taken at once: without a burst, what 10 s bring, and 1 at least."""
    if quota.burst is not None:
        return float(quota.burst)
    return float("inf") if quota.rate is None else max(10 * quota.rate, 1.0)


def reserved(quota: Quota, stock: int) -> int:
    """Return how many keys of a pair's stock an application has to leave to others."""
    return round((1 - quota.share) * stock)
