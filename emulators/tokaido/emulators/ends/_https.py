"""A server of a model behind TLS, with certificates on both sides. Faults strike the encrypted bytes."""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from tokaido.emulators._https_model import HttpsModel
from tokaido.emulators.ends._tcp import Connection, TcpEnd
from tokaido.hal import NS_PER_S

if TYPE_CHECKING:
    from tokaido.emulators._faults import Faults
    from tokaido.emulators._model import DeviceModel
    from tokaido.emulators.certificates import CertificateFiles
    from tokaido.emulators.ends._shared import SharedModel
    from tokaido.hal import Clock

IDLE_S: Final = 10.0
"""A connection that is older may be closed for a new one, in s."""
MANY: Final = 8
"""Connections that are left alone whatever their age."""
RECORD_HEAD: Final = 5
"""Bytes before the content of a record of TLS, the last two of which tell its length (RFC 8446, 5.1)."""
_CHUNK: Final = 65_536


class TlsConnection(Connection):
    """One client: TLS without a socket, and its encrypted bytes on their way."""

    __slots__ = ("_into", "_out", "client", "greeted", "over", "since_ns", "tls")

    def __init__(self, number: bytes, connected: socket.socket, context: ssl.SSLContext, since_ns: int) -> None:
        super().__init__(number, connected)
        self._into, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._into, self._out, server_side=True)
        self.greeted = False
        """Whether the handshake is over."""
        self.over = False
        """Whether nothing of it is heard any more."""
        self.client = ""
        self.since_ns = since_ns

    def shake_hands(self, data: bytes) -> bytes:
        """Take encrypted bytes until the handshake is over, and return those behind it.

        Raises:
            ssl.SSLError: They are not those of a client that is believed.
        """
        self.incoming += data
        while not self.greeted and (record := self._record()):
            self._into.write(record)
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                continue
            self.greeted = True
            self.client = _common_name(self.tls)
        rest = bytes(self.incoming) if self.greeted else b""
        del self.incoming[: len(rest)]
        return rest

    def _record(self) -> bytes:
        head = self.incoming[:RECORD_HEAD]
        length = RECORD_HEAD + int.from_bytes(head[3:], "big")
        if len(head) < RECORD_HEAD or len(self.incoming) < length:
            return b""
        record = bytes(self.incoming[:length])
        del self.incoming[:length]
        return record

    def opened(self, data: bytes) -> bytes:
        """Return what encrypted bytes say, as far as whole records of them came.

        Raises:
            ssl.SSLError: A record was altered.
        """
        self._into.write(data)
        said = b""
        with suppress(ssl.SSLWantReadError, ssl.SSLZeroReturnError):
            while piece := self.tls.read(_CHUNK):
                said += piece
        return said

    def closed(self, data: bytes, *, last: bool = False) -> bytes:
        """Return bytes encrypted, with the end of all behind the `last` ones."""
        if data:
            self.tls.write(data)
        if last:
            with suppress(ssl.SSLWantReadError):  # it waits for the other's end, and its own is written
                self.tls.unwrap()
        return self._out.read()


class HttpsEnd(TcpEnd):
    """Carries one server of an `HttpsModel` on the loopback interface, under mutual TLS.

    Args:
        shared: The model.
        server: Which of its servers.
        files: Its certificate, and the authority of its clients.
        port: Where to listen; 0 takes a free one.
        faults: Faults on this wire.
        clock: Times the delays of the faults.
        impostor: The other box that answers under the fault `wrong_id`.
    """

    def __init__(
        self,
        shared: SharedModel,
        server: str,
        files: CertificateFiles,
        port: int = 0,
        *,
        faults: Faults,
        clock: Clock,
        impostor: DeviceModel,
    ) -> None:
        super().__init__(shared, port, faults=faults, clock=clock, impostor=impostor)
        self.server: Final = server
        """Name of the server that it carries."""
        self.files: Final = files
        """What the server shows."""
        self._believing, self._distrusting = (self._context(believing=believing) for believing in (True, False))

    def _context(self, *, believing: bool) -> ssl.SSLContext:
        context = self.files.server_context(believing=believing)
        context.num_tickets = 0  # the handshake ends with the client's last word, so that every later piece is HTTP's
        return context

    def _model(self, model: DeviceModel | None = None) -> HttpsModel:
        found = self._shared.model if model is None else model
        if not isinstance(found, HttpsModel):
            raise TypeError(f"{type(found).__name__} is not a server")
        return found

    # --- connections --------------------------------------------------------------------------------------------------

    def _connected(self, number: bytes, connected: socket.socket) -> Connection:
        now_ns = self._clock.monotonic_ns()
        old = [one for one in self._connections.values() if isinstance(one, TlsConnection)][:-MANY]
        for one in old:
            if now_ns - one.since_ns > IDLE_S * NS_PER_S:
                self._drop(one)
        context = self._distrusting if self._model().distrusts else self._believing
        return TlsConnection(number, connected, context, now_ns)

    def _pieces(self, connection: Connection, data: bytes) -> list[list[bytes]]:
        if not isinstance(connection, TlsConnection) or connection.over:
            return []
        if not connection.greeted:
            try:
                data = connection.shake_hands(data)
            except ssl.SSLError:
                self._end(connection)
                return []
            connection.outgoing += connection.closed(b"")
            self._send(connection)
        return [[data, connection.number]] if data else []

    def _end(self, connection: TlsConnection) -> None:
        """Tell a client by an alert that nothing of it is heard any more; it hangs up then."""
        connection.over = True
        connection.outgoing += connection.closed(b"")
        self._send(connection)
        with suppress(OSError):
            connection.socket.shutdown(socket.SHUT_WR)

    def _drop(self, connection: Connection) -> None:
        if connection.number in self._connections:
            self._model().hung_up(self.server, connection.number)
        super()._drop(connection)

    # --- pieces: [encrypted bytes, connection] ------------------------------------------------------------------------

    def _may_mix(self) -> bool:
        return True  # each reply names its connection

    def _give(self, model: DeviceModel, piece: list[bytes]) -> None:
        connection = self._connections.get(piece[1])
        if not isinstance(connection, TlsConnection) or connection.over:
            return
        try:
            said = connection.opened(piece[0])
        except ssl.SSLError:
            self._end(connection)
            return
        if said:
            self._model(model).hear(self.server, connection.number, connection.client, said)

    def _take(self, model: DeviceModel) -> list[list[bytes]]:
        pieces: list[list[bytes]] = []
        for number, data, last in self._model(model).say(self.server):
            connection = self._connections.get(number)
            if isinstance(connection, TlsConnection):
                with suppress(ssl.SSLError):  # its session ended meanwhile
                    pieces.append([connection.closed(data, last=last), number])
        return pieces

    def _output_waits(self) -> bool:
        return self._model().has_said(self.server)


def _common_name(tls: ssl.SSLObject) -> str:
    """Return the common name of the client's certificate, which the handshake believed."""
    subject: tuple[tuple[tuple[str, str], ...], ...] = (tls.getpeercert() or {}).get("subject", ())  # type: ignore[assignment]
    return next((value for row in subject for name, value in row if name == "commonName"), "")
