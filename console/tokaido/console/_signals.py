"""Ending by signal: SIGTERM and SIGHUP do what Ctrl-C does, so that context managers clean up."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import tokaido.hal as hal

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOOK_S: Final = 0.2


def stand_by(seconds: float | None) -> None:
    """Let other threads work for `seconds`, or for good: until one of the signals comes."""
    deadline = None if seconds is None else hal.Deadline(hal.SYSTEM_CLOCK, seconds)
    while deadline is None or not deadline.passed:
        hal.SYSTEM_CLOCK.wait(_LOOK_S if deadline is None else min(_LOOK_S, deadline.remaining_s))


@contextmanager
def terminated_as_interrupt() -> Iterator[None]:
    """Have SIGTERM and SIGHUP raise KeyboardInterrupt in the main thread while the context lasts.

    A signal that is ignored stays so: `nohup` means it.
    """
    if threading.current_thread() is not threading.main_thread():  # only there can it be arranged
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    taken = [number for number, handler in before.items() if handler is not signal.SIG_IGN]
    try:
        for number in taken:
            signal.signal(number, signal.default_int_handler)
        yield
    finally:
        for number in taken:
            signal.signal(number, before[number])
