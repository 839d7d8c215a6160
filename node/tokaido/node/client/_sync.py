"""The client for programs without asyncio."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, Any, Final, Self

from tokaido.hal import SYSTEM_CLOCK, AuthenticationError, Clock, Deadline, ProtocolError
from tokaido.hal.wire.http import ResponseReader
from tokaido.node.client._messages import (
    LONGEST,
    PIECE,
    KeyManagerStatus,
    address_of,
    decoded,
    failed,
    ids_request,
    key_request,
    keys_in,
    taken,
)
from tokaido.node.tls import client_context, names_of

if TYPE_CHECKING:
    import ssl
    import uuid
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from tokaido.node.client._messages import ClientKey
    from tokaido.node.tls import TlsFiles

TIMEOUT_S: Final = 10.0


class KeyClient:
    """Asks one key manager for keys, for the application whose certificate it shows. Threads may share it.

    A request that gives keys is never sent twice: keys are given once. If its answer is lost, that is an
    `OutcomeUnknownError`; ask for new keys then. No redirect is followed, and no proxy of the environment is used.

    Args:
        url: Of the key manager: `https://HOST:PORT`.
        files: Certificate and key of the application, and the authority of the key manager.
        node: The node that the key manager's certificate must name (clause 5.1); None: the host alone must fit.
        timeout_s: For every call, connecting included. How long names of hosts take is the system's to say.
        clock: Counts it.

    Raises:
        ConfigurationError: The address or a file cannot be used.
    """

    def __init__(
        self,
        url: str,
        files: TlsFiles,
        *,
        node: str | None = None,
        timeout_s: float = TIMEOUT_S,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._address = address_of(url)
        self._context = client_context(files)
        self._node = node
        self._clock = clock
        self._timeout_s = Deadline(clock, timeout_s).timeout_s

    def status(self, other: str) -> KeyManagerStatus:
        """Return how many keys there are to share with another application (clause 5.2).

        Raises:
            KeyManagerError: The key manager refused.
            TransportError: It could not be asked.
        """
        return decoded(self._call("GET", other, "status", None), KeyManagerStatus)

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
            RangeError: No key manager could be asked that.
            KeyManagerError: The key manager refused; no key was given.
            OutcomeUnknownError: The answer was lost. Keys may have been given to nobody: ask for new ones.
            TransportError: It could not be asked, or its answer is not what was asked for.
        """
        body = key_request(number, size, further_slaves, mandatory or {}, optional or {})
        return keys_in(self._call("POST", slave, "enc_keys", body), number=number, size=size)

    def dec_keys(self, master: str, key_ids: Sequence[uuid.UUID]) -> tuple[ClientKey, ...]:
        """Return the keys that `master` got under these ids, in their order (clause 5.4). Each is given once.

        Raises:
            RangeError: No key manager could be asked that.
            KeyManagerError: The key manager refused; no key was given.
            OutcomeUnknownError: The answer was lost, and the keys with it: have the master ask for new ones.
            TransportError: It could not be asked, or its answer is not what was asked for.
        """
        body = ids_request(key_ids)
        return keys_in(self._call("POST", master, "dec_keys", body), number=len(key_ids), size=None, ids=key_ids)

    def close(self) -> None:
        """Do nothing: no connection outlives its call."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _call(self, verb: str, other: str, method: str, body: bytes | None) -> bytearray:
        """Return the body of one answer of status 200."""
        request = self._address.request(verb, other, method, body)
        where = f"the key manager at {self._address}"
        deadline = Deadline(self._clock, self._timeout_s)
        answer, sent = ResponseReader(LONGEST), False
        try:
            with self._connected(where, deadline) as sock:
                sent = True
                sock.settimeout(_left_s(deadline))
                sock.sendall(request)
                while not answer.whole:
                    sock.settimeout(_left_s(deadline))
                    if piece := sock.recv(PIECE):
                        answer.feed(memoryview(piece))
                    else:
                        answer.end()
        except (OSError, ValueError, ProtocolError) as error:  # a ValueError is of a host that cannot be one
            answer.wipe()
            raise failed(verb, sent, error, deadline, where) from None
        return taken(method, answer)

    def _connected(self, where: str, deadline: Deadline) -> ssl.SSLSocket:
        """Return a connection to whom the certificate says that it is."""
        host, port, _ = self._address
        plain = _dialled(host, port, deadline)
        try:
            plain.settimeout(_left_s(deadline))
            sock = self._context.wrap_socket(plain, server_hostname=host, suppress_ragged_eofs=False)
        except BaseException:
            plain.close()
            raise
        if self._node is not None and (found := names_of(sock)).node != self._node:
            sock.close()
            raise AuthenticationError(f"{where} is {found}, and not node {self._node}", remedy="Nothing was asked")
        return sock


def _dialled(host: str, port: int, deadline: Deadline) -> socket.socket:
    """Return a connection to the first address of a host that takes one."""
    failure: OSError = OSError("it has no address")
    for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        with contextlib.ExitStack() as stack:
            sock = stack.enter_context(socket.socket(family, kind, protocol))
            try:
                sock.settimeout(_left_s(deadline))
                sock.connect(address)
            except OSError as error:
                failure = error
                continue
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            stack.pop_all()
            return sock
    raise failure


def _left_s(deadline: Deadline) -> float:
    left_s = deadline.remaining_s
    if left_s <= 0:
        raise TimeoutError("too late")
    return left_s
