"""Where devices of a demonstration are reached: free ports of the loopback interface, and pseudo-terminals."""

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


def control_of(driver: str, place: Path, port: int, options: str = "") -> str:
    """Return the resource of a control port that can be emulated here, as a driver takes it.

    Args:
        driver: Its name.
        place: Where its pseudo-terminal is to be, if it takes a serial line.
        port: Where it is to listen, if it takes a network socket alone.
        options: Of a serial line: `?baudrate=115200`.

    Raises:
        ConfigurationError: It takes neither.
    """
    kinds = hal.load_driver(driver, hal.Device).resource_kinds["control"]
    if "serial" in kinds:
        return f"serial:{place}{options}"
    if "visa" in kinds:
        return f"visa:TCPIP::127.0.0.1::{port}::SOCKET"
    raise hal.ConfigurationError(
        f"control ports of the kind {', '.join(kinds)}, as {driver} has them, are not emulated by a demonstration"
    )


def _first_of_connections() -> int:
    try:
        first = int(_RANGE.read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        first = _USUAL_RANGE
    return first if first > _LOWEST + 1000 else _USUAL_RANGE
