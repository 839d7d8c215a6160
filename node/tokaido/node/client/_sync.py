"""The client for programs without asyncio: one connection, kept alive, of the standard library."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from typing import TYPE_CHECKING, Any, Final, Self

from tokaido.hal import (
    SYSTEM_CLOCK,
    Deadline,
    DeviceTimeoutError,
    NotConnectedError,
    OutcomeUnknownError,
    ProtocolError,
    RangeError,
)
from tokaido.node.client._messages import (
    JSON,
    LONGEST,
    KeyManagerStatus,
    address_of,
    decoded,
    ids_request,
    key_request,
    keys_in,
    path_of,
    refusal,
)
from tokaido.node.tls import client_context

if TYPE_CHECKING:
    import uuid
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from tokaido.node.client._messages import ClientKey
    from tokaido.node.tls import TlsFiles

TIMEOUT_S: Final = 10.0
PIECE: Final = 1 << 16


class KeyClient:
    """Asks one key manager for keys, for the application whose certificate it shows. Threads take turns.

    A request that gives keys is never sent twice: keys that were given are given once. If its answer is lost, that is
    an `OutcomeUnknownError`; ask for new keys then.

    Args:
        url: Of the key manager: `https://HOST:PORT`.
        files: Certificate and key of the application, and the authority of the key manager.
        timeout_s: For every call, connecting included.
    """

    def __init__(self, url: str, files: TlsFiles, *, timeout_s: float = TIMEOUT_S) -> None:
        self._host, self._port, self._base = address_of(url)
        self._context = client_context(files)
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._connection: http.client.HTTPSConnection | None = None

    def status(self, other: str) -> KeyManagerStatus:
        """Return how many keys there are to share with another application (clause 5.2).

        Raises:
            KeyManagerError: The key manager refused.
            TransportError: It could not be asked.
        """
        return decoded(self._call("GET", path_of(other, "status"), None), KeyManagerStatus)

    def enc_keys(
        self,
        slave: str,
        *,
        number: int = 1,
        size: int | None = None,
        further_slaves: Sequence[str] = (),
        mandatory: Mapping[str, Any] | None = None,
        optional: Mapping[str, Any] | None = None,
    ) -> tuple[ClientKey, ...]:
        """Return new keys to share with `slave` (clause 5.3).

        Args:
            slave: SAE id of the application at the other end.
            number: How many keys.
            size: Of each, in bits; None: what the key manager has for its default.
            further_slaves: SAE ids that get them, too.
            mandatory: Extensions that must be met, by name.
            optional: Extensions that may be met.

        Raises:
            KeyManagerError: The key manager refused; no key was given.
            OutcomeUnknownError: The answer was lost. Keys may have been given to nobody: ask for new ones.
            TransportError: It could not be asked.
        """
        if number < 1:
            raise RangeError(f"{number} keys cannot be asked for")
        body = key_request(number, size, further_slaves, mandatory or {}, optional or {})
        return _taken(self._call("POST", path_of(slave, "enc_keys"), body), number, size)

    def dec_keys(self, master: str, key_ids: Sequence[uuid.UUID]) -> tuple[ClientKey, ...]:
        """Return the keys that `master` got under these ids, in their order (clause 5.4). Each is given once.

        Raises:
            KeyManagerError: The key manager refused; no key was given.
            OutcomeUnknownError: The answer was lost, and the keys with it: have the master ask for new ones.
            TransportError: It could not be asked.
        """
        if not key_ids:
            raise RangeError("no key is asked for")
        data = self._call("POST", path_of(master, "dec_keys"), ids_request(key_ids))
        return _taken(data, len(key_ids), None, key_ids)

    def close(self) -> None:
        """Close the connection. The next call opens it again."""
        with self._lock:
            self._drop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- one exchange -------------------------------------------------------------------------------------------------

    def _call(self, method: str, path: str, body: bytes | None) -> bytearray:
        deadline = Deadline(SYSTEM_CLOCK, self._timeout_s)
        with self._lock:
            done = False
            try:
                sock = self._connect(deadline)
                answer = self._exchange(sock, method, self._base + path, body, deadline)
                done = True
                return answer
            finally:
                if not done:
                    self._drop()

    def _connect(self, deadline: Deadline) -> socket.socket:
        """Return the socket of a connection that is alive: one that the key manager closed is opened anew."""
        connection = self._connection
        if connection is not None and connection.sock is not None and _quiet(connection.sock):
            return connection.sock
        self._drop()
        connection = http.client.HTTPSConnection(
            self._host, self._port, timeout=max(0.01, deadline.remaining_s), context=self._context
        )
        try:
            connection.connect()
        except (OSError, ValueError) as error:
            connection.close()
            why = error.verify_message if isinstance(error, ssl.SSLCertVerificationError) else str(error)
            raise NotConnectedError(
                f"the key manager at {self._host}:{self._port} cannot be reached: {why}",
                remedy="Check address, certificate and authority",
            ) from None
        self._connection = connection
        assert connection.sock is not None
        return connection.sock

    def _exchange(
        self, sock: socket.socket, method: str, path: str, body: bytes | None, deadline: Deadline
    ) -> bytearray:
        connection = self._connection
        assert connection is not None
        headers = {"Accept": JSON} | ({"Content-Type": JSON} if body is not None else {})
        data = bytearray()
        try:
            sock.settimeout(max(0.01, deadline.remaining_s))
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            while True:
                left_s = deadline.remaining_s
                if left_s <= 0:
                    raise TimeoutError
                sock.settimeout(left_s)
                piece = response.read1(PIECE)
                data += piece
                if not piece:
                    break
                if len(data) > LONGEST:
                    raise ProtocolError(f"an answer is longer than {LONGEST} bytes")
            if response.length:
                raise http.client.IncompleteRead(b"", response.length)
            response.close()
        except (OSError, http.client.HTTPException, ValueError) as error:
            data[:] = bytes(len(data))
            raise self._lost(method, error, deadline) from None
        if response.will_close:
            self._drop()
        if response.status != 200:
            raise refusal(response.status, data, response.getheader("Retry-After"))
        return data

    def _lost(self, method: str, error: Exception, deadline: Deadline) -> Exception:
        late = isinstance(error, TimeoutError)
        refused = isinstance(error, ssl.SSLError) and "ALERT" in str(error)
        what = "did not answer in time" if late else f"closed or broke the connection ({error})"
        if refused:
            return NotConnectedError(
                f"the key manager refused this application's certificate: {error}",
                remedy="Is it of the right authority, in date, and not revoked?",
            )
        if method == "POST":
            return OutcomeUnknownError(
                f"the key manager {what}; keys may have been given to nobody",
                elapsed_s=deadline.elapsed_s,
                remedy="Ask for new keys; those are not given again",
            )
        if late:
            return DeviceTimeoutError(f"the key manager {what}", elapsed_s=deadline.elapsed_s)
        return NotConnectedError(f"the key manager {what}")

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _taken(
    data: bytearray, number: int, size: int | None, ids: Sequence[uuid.UUID] | None = None
) -> tuple[ClientKey, ...]:
    try:
        return keys_in(data, number=number, size=size, ids=ids)
    finally:
        data[:] = bytes(len(data))


def _quiet(sock: socket.socket) -> bool:
    """Whether nothing waits at a socket between two requests: a byte there belongs to no request, nor does an end."""
    sock.settimeout(0.0)
    try:
        sock.recv(1)
    except (ssl.SSLWantReadError, BlockingIOError):
        return True
    except OSError:
        return False
    return False
