"""Locks of an instrument among its clients (IVI-6.1, 2.6 and table 22; VISA's viLock)."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class LockResult(IntEnum):
    """How a request for a lock, or its release, ended (IVI-6.1, table 21)."""

    FAILURE = 0
    """The time ran out."""
    SUCCESS = 1
    """Granted; or an exclusive lock was released."""
    SHARED_RELEASED = 2
    ERROR = 3
    """There was nothing to release, or the lock is held already."""


class _Waiting(NamedTuple):
    client: int
    key: str
    deadline_ns: int


class Locks:
    """One exclusive lock and one shared lock with a key; a client may hold both."""

    def __init__(self) -> None:
        self._exclusive: int | None = None
        self._sharing: dict[int, str] = {}
        self._queue: list[_Waiting] = []

    @property
    def exclusive(self) -> bool:
        """Whether some client holds the exclusive lock."""
        return self._exclusive is not None

    @property
    def holders(self) -> int:
        """How many clients hold a lock of either kind."""
        return len({*self._sharing} | ({self._exclusive} if self._exclusive is not None else set()))

    def admits(self, client: int) -> bool:
        """Whether this client may talk to the instrument now."""
        if self._exclusive is not None:
            return self._exclusive == client
        return not self._sharing or client in self._sharing

    def request(self, client: int, key: str, now_ns: int, timeout_ns: int) -> LockResult | None:
        """Ask for the exclusive lock, or with a key for the shared one; None means that the client waits."""
        if client in self._sharing if key else client == self._exclusive:
            return LockResult.ERROR
        if key and client == self._exclusive:  # a shared lock comes first (IVI-6.1, table 22)
            return LockResult.ERROR
        if any(waiting.client == client for waiting in self._queue):
            return LockResult.ERROR
        if self._grant(client, key):
            return LockResult.SUCCESS
        if timeout_ns <= 0:
            return LockResult.FAILURE
        self._queue.append(_Waiting(client, key, now_ns + timeout_ns))
        return None

    def holds(self, client: int) -> bool:
        """Whether this client has a lock of either kind."""
        return self._exclusive == client or client in self._sharing

    def give_up(self, client: int) -> bool:
        """Wait no longer for a lock; return whether this client did."""
        waited = [waiting for waiting in self._queue if waiting.client == client]
        self._queue = [waiting for waiting in self._queue if waiting.client != client]
        return bool(waited)

    def release(self, client: int) -> LockResult:
        """Give back the exclusive lock, or else the shared one."""
        if self._exclusive == client:
            self._exclusive = None
            return LockResult.SUCCESS
        if self._sharing.pop(client, None) is not None:
            return LockResult.SHARED_RELEASED
        return LockResult.ERROR

    def forget(self, client: int) -> None:
        """Give back and give up everything: the client is gone."""
        if self._exclusive == client:
            self._exclusive = None
        self._sharing.pop(client, None)
        self.give_up(client)

    def settle(self, now_ns: int) -> list[tuple[int, LockResult]]:
        """Return which clients wait no longer, first come first served, and how it ended."""
        ended: list[tuple[int, LockResult]] = []
        for waiting in list(self._queue):
            if self._grant(waiting.client, waiting.key):
                ended.append((waiting.client, LockResult.SUCCESS))
            elif now_ns >= waiting.deadline_ns:
                ended.append((waiting.client, LockResult.FAILURE))
            else:
                continue
            self._queue.remove(waiting)
        return ended

    def next_deadline_ns(self) -> int | None:
        """Return when the next of those that wait gives up."""
        return min((waiting.deadline_ns for waiting in self._queue), default=None)

    def _grant(self, client: int, key: str) -> bool:
        if key:
            if self._sharing:
                if key not in self._sharing.values():
                    return False
            elif self._exclusive is not None:
                return False
            self._sharing[client] = key
            return True
        if self._exclusive is not None or (self._sharing and client not in self._sharing):
            return False
        self._exclusive = client
        return True
