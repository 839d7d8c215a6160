"""What a test leaves behind: threads, descriptors, devices within the process."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

from tokaido.emulators.ends import in_process_names
from tokaido.hal import SYSTEM_CLOCK, Deadline

ENDING_S: Final = 2.0
"""How long threads may take to end, and descriptors to be closed, after a test."""


class Leftovers:
    """What was there before a test, to be compared with what is there afterwards."""

    def __init__(self) -> None:
        self._threads = set(threading.enumerate())
        self._descriptors = _descriptors()
        self._devices = set(in_process_names())

    def found(self, *, but_under: Path | None = None) -> list[str]:
        """Return what is there now and was not, after a moment in which threads may end.

        Args:
            but_under: A folder whose files may still be open: what a failed test had lives on in its traceback.
        """
        deadline = Deadline(SYSTEM_CLOCK, ENDING_S)
        while (left := self._left(but_under)) and not deadline.passed:
            SYSTEM_CLOCK.wait(0.01)
        return left

    def _left(self, but_under: Path | None) -> list[str]:
        left = [f"thread {thread.name}" for thread in threading.enumerate() if thread not in self._threads]
        left += [
            f"descriptor {number}: {leads_to}"
            for number, leads_to in _descriptors().items()
            if self._descriptors.get(number) != leads_to
            and not _is_shared(leads_to)
            and not (but_under is not None and leads_to.startswith(f"{but_under}/"))
        ]
        left += [f"emulated device {name}" for name in in_process_names() if name not in self._devices]
        return left


def _descriptors() -> dict[int, str]:
    found: dict[int, str] = {}
    with suppress(OSError):
        for entry in Path("/proc/self/fd").iterdir():
            with suppress(OSError):
                found[int(entry.name)] = os.readlink(entry)  # noqa: PTH115 - no path: pipe:[123]
    return found


def _is_shared(leads_to: str) -> bool:
    """Whether a descriptor belongs to what one process has once: ZeroMQ's context, and directories being listed."""
    return leads_to.startswith(("anon_inode:[eventfd]", "anon_inode:[eventpoll]", "/proc/"))
