"""Ending by signal: SIGTERM does what Ctrl-C does, so that context managers clean up."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def terminated_as_interrupt() -> Iterator[None]:
    """Have SIGTERM raise KeyboardInterrupt in the main thread while the context lasts."""
    if threading.current_thread() is not threading.main_thread():  # only there can it be arranged
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
