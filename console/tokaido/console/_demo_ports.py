"""Free ports of the loopback interface, for processes that a demonstration starts a moment later."""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

import tokaido.hal as hal

_LOWEST: Final = 10_000
_RANGE: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
_USUAL_RANGE: Final = 32_768


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens at, below those that the system gives to connections: these come and go.

    Raises:
        TokaidoError: There are not so many.
    """
    candidates = list(range(_LOWEST, _first_of_connections()))
    random.SystemRandom().shuffle(candidates)
    found: list[int] = []
    with ExitStack() as stack:
        for port in candidates:
            if len(found) == count:
                break
            with suppress(OSError):
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
                found.append(port)
    if len(found) < count:
        raise hal.TokaidoError(f"{count} ports of 127.0.0.1 are needed, and {len(found)} are free")
    return found


def _first_of_connections() -> int:
    try:
        first = int(_RANGE.read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        first = _USUAL_RANGE
    return first if first > _LOWEST + 1000 else _USUAL_RANGE
