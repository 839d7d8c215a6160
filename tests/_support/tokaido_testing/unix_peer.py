"""A box that misbehaves on request, behind a Unix domain socket."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from tokaido_testing.visa_peers import SocketPeer

if TYPE_CHECKING:
    from pathlib import Path


class UnixPeer(SocketPeer):
    """A box that speaks lines at a Unix domain socket."""

    def __init__(self, path: Path, serial_number: str = "BOX1") -> None:
        self._path = path
        super().__init__(serial_number)

    def plug(self) -> None:
        """Listen, at the same path as before."""
        self._stop.clear()
        self._path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self._path))
        self._listener.listen()
        self._start(self._run)
