"""A stream port as a plain TCP socket: what a SCPI instrument has at port 5025."""

from __future__ import annotations

import select
import selectors
import socket
from typing import TYPE_CHECKING, Final

from tokaido.emulators.ends._end import End, SharedModel

if TYPE_CHECKING:
    from tokaido.emulators._faults import Faults
    from tokaido.emulators._model import DeviceModel
    from tokaido.hal import Clock

LOOPBACK: Final = "127.0.0.1"
MAX_CLIENTS: Final = 16
MAX_QUEUED: Final = 16 * 1024 * 1024
"""Bytes that wait for a client that does not read; then its connection is closed."""
MAX_LINE: Final = 64 * 1024
"""Bytes without an end of line that are held back; more is handed on as it came."""
_CHUNK: Final = 65536


class Connection:
    """One client: what came from it and is not a whole line yet, and what waits to be sent to it."""

    __slots__ = ("incoming", "number", "outgoing", "socket")

    def __init__(self, number: bytes, connected: socket.socket) -> None:
        self.number = number
        self.socket = connected
        self.incoming = bytearray()
        self.outgoing = bytearray()

    def lines(self, data: bytes) -> list[bytes]:
        """Return the whole lines that are there now."""
        self.incoming += data
        lines = bytes(self.incoming).splitlines(keepends=True)
        rest = lines.pop() if lines and not lines[-1].endswith((b"\r", b"\n")) and len(lines[-1]) <= MAX_LINE else b""
        self.incoming = bytearray(rest)
        return lines


def listen(port: int) -> socket.socket:
    """Return a socket that listens at a port of the loopback interface; 0 takes a free one.

    Raises:
        OSError: The port is taken.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((LOOPBACK, port))
        listener.listen(MAX_CLIENTS)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


class TcpEnd(End):
    """Carries the stream port `control` on raw TCP, to several clients at a time.

    Line by line, each client gets the replies to its own lines. TCP without TLS is what such instruments speak; so
    this listener is bound to the loopback interface, carries no port that has keys, and is there only when asked for.

    Args:
        shared: The model.
        port: Where to listen; 0 takes a free one.
        faults: Faults on this wire.
        clock: Times the delays of the faults.
        impostor: The other box that answers under the fault `wrong_id`.
    """

    def __init__(
        self, shared: SharedModel, port: int = 0, *, faults: Faults, clock: Clock, impostor: DeviceModel
    ) -> None:
        super().__init__(shared, "control", faults, clock, impostor)
        self.port = port
        """Where it listens, once it was started."""
        self._selector = selectors.EpollSelector()
        self._listener: socket.socket | None = None
        self._connections: dict[bytes, Connection] = {}
        self._accepted = 0
        self._asker = b""

    @property
    def plugged(self) -> bool:
        """Whether it listens."""
        return self._listener is not None

    def _descriptors(self) -> dict[int, int]:
        return {self._selector.fileno(): select.EPOLLIN}

    def _open(self) -> None:
        self._listener = listen(self.port)
        self.port = self._listener.getsockname()[1]
        self._selector.register(self._listener, selectors.EVENT_READ)

    def _shut(self) -> None:
        self._unplug_now()
        self._selector.close()

    def _unplug_now(self) -> None:
        self._replug_ns = None
        for connection in list(self._connections.values()):
            self._drop(connection)
        if self._listener is not None:
            self._selector.unregister(self._listener)
            self._listener.close()
            self._listener = None
        self._lose_what_is_on_its_way()

    def _replug_now(self) -> None:
        self._replug_ns = None
        if self._listener is None:
            self._open()

    def _drop(self, connection: Connection) -> None:
        if self._connections.pop(connection.number, None) is not None:
            self._selector.unregister(connection.socket)
            connection.socket.close()

    # --- from outside -----------------------------------------------------------------------------------------------

    def _arrived(self) -> list[list[bytes]]:
        pieces: list[list[bytes]] = []
        for key, events in self._selector.select(0):
            connection: Connection | None = key.data
            if connection is None:
                self._accept()
                continue
            if events & selectors.EVENT_WRITE:
                self._send(connection)
            if events & selectors.EVENT_READ and connection.number in self._connections:
                pieces += self._read(connection)
        return pieces

    def _accept(self) -> None:
        if self._listener is None:
            return
        try:
            connected, _ = self._listener.accept()
        except OSError:  # it went away again
            return
        if len(self._connections) >= MAX_CLIENTS:
            connected.close()
            return
        connected.setblocking(False)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._accepted += 1
        connection = self._connected(b"%d" % self._accepted, connected)
        self._connections[connection.number] = connection
        self._selector.register(connected, selectors.EVENT_READ, connection)

    def _connected(self, number: bytes, connected: socket.socket) -> Connection:
        """Return what is known of a new client."""
        return Connection(number, connected)

    def _read(self, connection: Connection) -> list[list[bytes]]:
        try:
            data = connection.socket.recv(_CHUNK)
        except BlockingIOError:
            return []
        except OSError:
            data = b""
        if not data:
            self._drop(connection)
        return self._pieces(connection, data) if data else []

    def _pieces(self, connection: Connection, data: bytes) -> list[list[bytes]]:
        """Return the pieces that bytes of a client make."""
        return [[line, connection.number] for line in connection.lines(data)]

    # --- pieces: [line, connection] ---------------------------------------------------------------------------------

    def _content(self, piece: list[bytes]) -> list[bytes]:
        return piece[:1]

    def _rebuilt(self, piece: list[bytes], content: list[bytes]) -> list[bytes]:
        return [content[0], piece[1]]

    def _may_give(self, piece: list[bytes]) -> bool:
        return piece[1] == self._asker or not self._shared.model.occupied

    def _may_mix(self) -> bool:
        return len(self._connections) < 2

    def _give(self, model: DeviceModel, piece: list[bytes]) -> None:
        self._asker = piece[1]
        model.receive("control", piece[0])

    def _take(self, model: DeviceModel) -> list[list[bytes]]:
        data = model.take("control")
        return [[line, self._asker] for line in data.splitlines(keepends=True)] if data else []

    def _emit(self, piece: list[bytes]) -> None:
        connection = self._connections.get(piece[1])
        if connection is None:
            return
        connection.outgoing += piece[0]
        self._send(connection)
        if len(connection.outgoing) > MAX_QUEUED:
            self._drop(connection)

    def _send(self, connection: Connection) -> None:
        try:
            while connection.outgoing:
                del connection.outgoing[: connection.socket.send(connection.outgoing)]
        except BlockingIOError:
            pass
        except OSError:
            self._drop(connection)
            return
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if connection.outgoing else 0)
        if self._selector.get_key(connection.socket).events != events:
            self._selector.modify(connection.socket, events, connection)
