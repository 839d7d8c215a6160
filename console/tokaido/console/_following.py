"""A program that ends with the one that started it, also when that one was killed and could end nothing."""

from __future__ import annotations

import os
import signal
import threading


def follow() -> None:
    """Ask this program to end (SIGTERM) when its standard input ends: a pipe whose other end its starter holds."""
    threading.Thread(target=_wait_for_the_end, name="following", daemon=True).start()


def _wait_for_the_end() -> None:
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
