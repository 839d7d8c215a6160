"""Terminals that people sit at, which no device is behind: no byte for a device may reach them.

An emulated device's port is a link to a pseudo-terminal. If its program is killed the link stays, and the kernel gives
the number of that pseudo-terminal to the next window that somebody opens.
"""

# ruff: noqa: PTH116, PTH123, PTH208 - `pathlib` takes 4 ms of the first reading to load

from __future__ import annotations

import os
import stat
from contextlib import suppress

from tokaido.hal._errors import NotConnectedError

_TERMINAL_OF_SESSION = 4
"""Place of tty_nr behind the command in /proc/PID/stat (proc(5), field 7)."""


def check_that_no_session_has(address: str) -> None:
    """Refuse a pseudo-terminal that is the controlling terminal of a process.

    Raises:
        NotConnectedError: It is; names the process.
    """
    try:
        status = os.stat(address)
    except (OSError, ValueError):  # opening it will tell
        return
    if not stat.S_ISCHR(status.st_mode) or not 136 <= os.major(status.st_rdev) <= 143:  # Unix98 pseudo-terminals
        return
    number = os.minor(status.st_rdev)
    terminal = os.major(status.st_rdev) << 8 | number & 0xFF | (number & 0xFFF00) << 12
    for process in os.listdir("/proc"):
        if process.isdigit() and _terminal_of(process) == terminal:
            raise NotConnectedError(
                f"{os.path.realpath(address)} is the terminal of a person's session (pid {process}), "
                "and not the port of a device",
                remedy="An emulation that was killed may have left a link behind: remove it, or start it again",
            )


def _terminal_of(process: str) -> int:
    with suppress(OSError, ValueError, IndexError), open(f"/proc/{process}/stat", "rb") as file:  # it may have ended
        return int(file.read().rpartition(b")")[2].split()[_TERMINAL_OF_SESSION]) & 0xFFFFFFFF
    return 0
