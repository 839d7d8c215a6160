"""Port numbers for servers that tests start a moment later, in other processes too."""

from __future__ import annotations

import itertools
import os
import socket
from typing import Final

FIRST: Final = 10_000
"""Below the ports that Linux gives to sockets that ask for any, so that none of those is in the way."""
COUNT: Final = 1_500
"""Ports a test worker has for itself."""

_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_offsets = itertools.count(os.getpid())  # runs beside this one begin elsewhere


def free_port() -> int:
    """Return a TCP port of the loopback interface that is free now and that no other call here returns soon."""
    for offset in itertools.islice(_offsets, COUNT):
        port = FIRST + _worker % 15 * COUNT + offset % COUNT
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise AssertionError(f"no port is free from {FIRST + _worker * COUNT} on")
