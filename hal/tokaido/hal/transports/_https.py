"""Requests and responses over HTTPS under mutual TLS, one exchange a connection."""

from __future__ import annotations

import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import urlsplit

from tokaido.hal._clock import NS_PER_S, SYSTEM_CLOCK, Clock, Deadline
from tokaido.hal._errors import AuthenticationError, ConfigurationError, NotConnectedError, ProtocolError, TokaidoError
from tokaido.hal.transports._codec import NOT_MINE, Request, T
from tokaido.hal.transports._kinds import Option, TransportKind
from tokaido.hal.transports._tls import CHUNK, TlsConnection, client_context, explained
from tokaido.hal.transports._trace import TraceRecord, size
from tokaido.hal.transports._transport import SLICE_S, Transport
from tokaido.hal.wire.http import HttpMessage, ResponseReader, written

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokaido.hal.transports._resources import Resource

SPARE_S: Final = 1.0
"""How long a connection that was opened and not used yet is taken for the next exchange, in s."""


class HttpsTransport(Transport[HttpMessage]):
    """A client of one HTTPS server, under mutual TLS of version 1.2 or later.

    Each exchange has a connection of its own, which ends with it. So nothing that comes late, twice or unasked can be
    taken for a response, and no request ever meets a connection that the server is just closing. The server's
    certificate and name are checked every time; one that shows another certificate than before is asked again who it is
    before anything else. Redirections are not followed, and proxies that the environment names are not used.
    """

    correlated = True
    """No response of another request, and no altered one, is ever handed on."""

    def __init__(self, resource: Resource, *, clock: Clock = SYSTEM_CLOCK, timeout_s: float = 1.0) -> None:
        super().__init__(resource, clock=clock, timeout_s=timeout_s)
        parts = urlsplit(f"https:{resource.address}")
        if missing := [name for name in FILES if name not in resource.options]:
            raise ConfigurationError(
                f"https:{resource.address} would go without proof of who is there",
                mistakes=tuple(f"{name}: is missing" for name in missing),
                remedy="Name the certificate, its private key, and the authority that the server's is signed by",
            )
        self._host, self._port = parts.hostname or "", parts.port or 443
        self._base = parts.path.rstrip("/")
        self._server_name = resource.options.get("server_name", self._host)
        self.name = f"https:{resource.address.partition('?')[0]}"
        self._context: ssl.SSLContext | None = None
        self._spare: TlsConnection | None = None
        self._spare_ns = 0
        self._certificate = b""

    def translate(self, error: Exception) -> TokaidoError:
        """Return our error for one of TLS or of the network."""
        return explained(error)

    # --- opening and closing ------------------------------------------------------------------------------------------

    def _connect(self, deadline: Deadline) -> None:
        self._context = client_context(self.resource.options)
        self._spare = self._dialled(deadline)
        self._certificate = self._spare.certificate()

    def _dialled(self, deadline: Deadline) -> TlsConnection:
        if self._context is None:
            raise NotConnectedError("it was not opened")
        connection = TlsConnection(lambda: self._closed, SLICE_S)
        try:
            connection.dial(self._host, self._port, self._context, self._server_name, deadline)
        except BaseException:
            connection.close()
            raise
        self._spare_ns = self.clock.monotonic_ns()
        return connection

    def _disconnect(self) -> None:
        gone, self._spare = self._spare, None
        if gone is not None:
            gone.close()

    def _abandon(self) -> None:
        gone, self._spare = self._spare, None
        if gone is not None:
            gone.abandon()

    def _salvage(self) -> None:
        """Nothing is handed on: a response is whole or none."""

    def _settle(self, deadline: Deadline) -> None:
        """Nothing is left over: the connection took it along."""

    # --- an exchange --------------------------------------------------------------------------------------------------

    def _make_ready(self, deadline: Deadline) -> None:
        super()._make_ready(deadline)
        if self._spare is None:  # the handshake used it up
            with self._wire:
                self._prepare(deadline)

    def _prepare(self, deadline: Deadline) -> None:
        if self._spare is not None and self.clock.monotonic_ns() - self._spare_ns < SPARE_S * NS_PER_S:
            return
        self._disconnect()
        self._spare = self._dialled(deadline)
        if self._spare.certificate() != self._certificate:
            raise NotConnectedError("the server shows another certificate than before")

    def _hear(self, deadline: Deadline) -> None:
        """Nothing comes unasked."""

    def _transact(self, request: Request[HttpMessage, T], deadline: Deadline) -> T:
        connection = self._spare
        if connection is None:
            raise NotConnectedError("the connection was closed")
        data = written(request.payload, self._host_field, self._base)
        self._told(">", request.payload, confidential=request.confidential)
        reader = ResponseReader()
        try:
            self._sent = True
            self._exchanged(connection, data, reader, deadline)
            response = reader.message
            self._told("<", response, confidential=request.confidential)
            if 300 <= response.status < 400:
                raise ProtocolError(
                    f"the server redirects (status {response.status}), which is not followed",
                    remedy="Name the place itself in the resource",
                )
            value = self._judge(request, response)
        finally:
            if not reader.whole:
                self._abandon()
            self._disconnect()
            reader.wipe()
        if value is NOT_MINE:
            raise ProtocolError("the response is not one to this request")
        return value

    def _exchanged(self, connection: TlsConnection, data: bytes, reader: ResponseReader, deadline: Deadline) -> None:
        """Send a request, and read until the response is whole."""
        buffer = bytearray(CHUNK)
        view = memoryview(buffer)
        try:
            self._send(connection, data, deadline)
            while not reader.whole:
                count = connection.read(buffer, deadline)
                if count:
                    reader.feed(view[:count])
                else:
                    reader.end()
        except ssl.SSLError as error:
            ours = explained(error)
            if isinstance(ours, AuthenticationError):
                self._sent = False  # the server reads no request before it has taken our certificate
                raise ours from error
            raise
        finally:
            view.release()
            buffer[:] = bytes(len(buffer))

    def _send(self, connection: TlsConnection, data: bytes, deadline: Deadline) -> None:
        try:
            connection.write(data, deadline)
        except (ssl.SSLEOFError, ConnectionError):
            try:  # what the server said before it hung up tells more than that it did
                connection.read(bytearray(CHUNK), deadline)
            except ssl.SSLError as told:
                if isinstance(explained(told), AuthenticationError):
                    raise told from None
            except OSError:
                pass
            raise

    @property
    def _host_field(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return host if self._port == 443 else f"{host}:{self._port}"

    def _told(self, direction: Literal[">", "<"], message: HttpMessage, *, confidential: bool) -> None:
        if not self._sinks:
            return
        shown = size(len(message.body)) if confidential else bytes(message.body).decode("utf-8", "backslashreplace")
        text = " ".join(filter(None, (message.start, message.content_type, shown if message.body else "")))
        text = text.encode("unicode_escape").decode("ascii")
        told = TraceRecord(self.clock.monotonic_ns(), self.name, direction, text)
        for sink in self._sinks:
            sink(told)


# --- its resources ----------------------------------------------------------------------------------------------------

FILES: Final = ("cert_file", "key_file", "ca_file")


def _check_https(address: str, options: Mapping[str, str]) -> list[str]:
    mistakes: list[str] = []
    host: str | None = None
    with suppress(ValueError):  # a port that is none, brackets that do not match
        parts = urlsplit(f"https:{address}")
        if address.startswith("//") and parts.username is None and parts.port != 0 and not parts.fragment:
            host = parts.hostname
        if host and not f"{host}{parts.path}".isascii():
            mistakes.append("address: has a character that no URL has; write it as %25XX")
    if not host:
        mistakes.append("address: should be //HOST, //HOST:PORT or //HOST:PORT/PATH; for example //kme.example:8443")
    mistakes += [
        f"{name}: is missing, and each end proves who it is; add {name}={_OPTIONS[name].example}"
        for name in FILES
        if name not in options
    ]
    return mistakes


def _name(value: str) -> str:
    right = value.isascii() and all(one.isalnum() or one in "-.:" for one in value)
    return "" if right else "should be the name of a host"


def _keeps(address: str, key: str) -> bool:  # noqa: ARG001 - whatever the address is
    return key.replace("_", "").isalnum()


_OPTIONS: Final = {
    "cert_file": Option.file("node.crt"),
    "key_file": Option.file("node.key"),
    "ca_file": Option.file("ca.crt"),
    "server_name": Option(_name, "kme.example"),
}
KIND: Final = TransportKind(name="https", messages=HttpsTransport, options=_OPTIONS, check=_check_https, keeps=_keeps)
