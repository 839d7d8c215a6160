"""A wire between a host and a TCP port that spoils what passes: what happens below the encryption of a key channel."""

from __future__ import annotations

import socket
import struct
import threading
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from types import TracebackType

    from tokaido.emulators._fault_kinds import Direction

SPOILS: Final = ("garble", "cut", "drop", "duplicate", "reset")
"""What may happen to the next bytes: one byte altered, half of them and then the end, lost, carried twice, torn off."""
_ROUND_S = 0.01
_RESET_AT_CLOSE = struct.pack("ii", 1, 0)


class TcpProxy:
    """Carries every connection to a port of this machine, through a port of its own.

    Args:
        target: The port on 127.0.0.1 that it leads to.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: Final[int] = self._listener.getsockname()[1]
        """Where to connect instead."""
        self.struck = 0
        """How many pieces were spoilt."""
        self._spoil: tuple[str, Direction] | None = None
        self._other: dict[socket.socket, socket.socket] = {}
        self._hosts: set[socket.socket] = set()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._live, name=f"TcpProxy-{target}", daemon=True)
        self._thread.start()

    def spoil(self, how: str, direction: Direction) -> None:
        """Let the next bytes on this way meet one of `SPOILS`."""
        self._spoil = how, direction

    def heal(self) -> None:
        """End what has not struck yet."""
        self._spoil = None

    def close(self) -> None:
        """End every connection and stop listening."""
        self._closing.set()
        self._thread.join()
        for end in list(self._other):
            end.close()
        self._listener.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _live(self) -> None:
        while not self._closing.is_set():
            for end in wait([self._listener, *self._other], _ROUND_S):
                if end is self._listener:
                    self._accept()
                elif end in self._other:  # the other end of a pair may have ended both just before
                    self._carry(end)

    def _accept(self) -> None:
        host, _ = self._listener.accept()
        try:
            unit = socket.create_connection(("127.0.0.1", self._target), timeout=1)
        except OSError:
            host.close()
            return
        self._hosts.add(host)
        self._other[host], self._other[unit] = unit, host

    def _carry(self, end: socket.socket) -> None:
        direction: Direction = "to_unit" if end in self._hosts else "from_unit"
        try:
            data = end.recv(65_536)
            goes_on = bool(data)
            if data and self._spoil is not None and self._spoil[1] == direction:
                data, goes_on = self._spoilt(self._other[end], data)
            self._other[end].sendall(data)
        except OSError:
            goes_on = False
        if not goes_on:
            self._end(end)

    def _spoilt(self, towards: socket.socket, data: bytes) -> tuple[bytes, bool]:
        """Return what is carried of a piece, and whether the connection goes on."""
        how, self._spoil = self._spoil[0] if self._spoil else "", None
        self.struck += 1
        middle = len(data) // 2
        match how:
            case "garble":
                return data[:middle] + bytes([data[middle] ^ 0x55]) + data[middle + 1 :], True
            case "cut":
                return data[:middle], False
            case "drop":
                return b"", True
            case "duplicate":
                return data + data, True
            case _:
                towards.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
                return b"", False

    def _end(self, end: socket.socket) -> None:
        other = self._other.pop(end)
        del self._other[other]
        self._hosts -= {end, other}
        end.close()
        other.close()
