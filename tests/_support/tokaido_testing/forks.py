"""Work in a child process, which has what its parent had open."""

from __future__ import annotations

import os
import traceback
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def in_a_fork(work: Callable[[], object]) -> str:
    """Run `work` in a child process and return what went wrong there."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:  # noqa: BLE001 - the parent tells
            os.write(writing, traceback.format_exc().encode()[-4000:])
        os._exit(0)
    os.close(writing)
    told = b""
    while piece := os.read(reading, 4096):
        told += piece
    os.close(reading)
    os.waitpid(child, 0)
    return told.decode()
