"""What a driver remembers of a watchdog that it set: under which name, for how long, and when it was last renewed."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from os import urandom
from typing import TYPE_CHECKING, Final

from tokaido.hal._clock import NS_PER_S, Clock
from tokaido.hal._errors import DeviceError, RefusedError, TokaidoError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RENEW_AFTER: Final = 1 / 3
"""The part of its time after which a watchdog is renewed."""

_background: Final = threading.local()


@contextmanager
def in_the_background() -> Iterator[None]:
    """Let the exchanges of this thread renew no watchdog: it goes on when the program that commands hangs."""
    _background.here = True
    try:
        yield
    finally:
        _background.here = False


class WatchdogHolder:
    """Holds a unit's watchdog for one driver object: it renews it with the exchanges that the driver makes anyway.

    Args:
        clock: Where time comes from.
        nonces: Source of n bytes for its name.
    """

    def __init__(self, clock: Clock, nonces: Callable[[int], bytes] = urandom) -> None:
        self.token = nonces(4).hex().upper()
        """The name under which this object holds a watchdog: eight upper-case hexadecimal digits, chosen at random."""
        self._clock = clock
        self._seconds = 0.0
        self._renewed_ns = 0
        self._lock = threading.Lock()  # held during the orders, which renew nothing themselves

    @property
    def is_held(self) -> bool:
        """Whether there is one to be renewed."""
        return self._seconds > 0

    def set(self, seconds: float, order: Callable[[], object]) -> None:
        """Give the order that sets or ends it, and hold it from then on, or no more.

        One whose reply was lost may be in force, and is held until the unit says otherwise.
        """
        with self._lock:
            before, start_ns = self._seconds, self._clock.monotonic_ns()
            self._seconds = seconds or before
            try:
                order()
            except DeviceError:
                self._seconds = before
                raise
            self._seconds, self._renewed_ns = seconds, start_ns

    def renew(self, keep: Callable[[], object], device: str) -> None:
        """Give the order `keep` if a third of the time has passed. A lost reply is tried again with the next exchange.

        Where the unit refuses, it went to its safe state or another program took the watchdog over: a warning is logged
        and it is held no more.
        """
        now_ns = self._clock.monotonic_ns()
        due = self._seconds and now_ns - self._renewed_ns >= self._seconds * RENEW_AFTER * NS_PER_S
        if not due or getattr(_background, "here", False) or not self._lock.acquire(blocking=False):
            return
        try:
            keep()
            self._renewed_ns = now_ns
        except RefusedError as error:
            import logging  # noqa: PLC0415 - for the lost alone

            self._seconds = 0.0
            logging.getLogger("tokaido.hal.watchdog").warning("%s: the watchdog is lost: %s", device, error.what)
        except TokaidoError:
            pass
        finally:
            self._lock.release()
