"""One connection under mutual TLS, that never blocks longer than a slice: dialled, written, read, given up."""

from __future__ import annotations

import ipaddress
import select
import socket
import ssl
from contextlib import suppress
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tokaido.hal._errors import (
    AuthenticationError,
    ClosedError,
    ConfigurationError,
    DeviceTimeoutError,
    NotConnectedError,
    TokaidoError,
)
from tokaido.hal._file_trust import who_else_may_write
from tokaido.hal.transports._ports import abandon, within

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokaido.hal._clock import Deadline

CHUNK: Final = 16_384
"""Most bytes that are read or written at once, in bytes: one record of TLS."""
_REMEDY: Final = "Check that the server is on, its address, and the network in between"
_REFUSES_US: Final = frozenset(
    {
        "CERTIFICATE_REQUIRED",
        "UNKNOWN_CA",
        "BAD_CERTIFICATE",
        "CERTIFICATE_EXPIRED",
        "CERTIFICATE_REVOKED",
        "CERTIFICATE_UNKNOWN",
        "UNSUPPORTED_CERTIFICATE",
        "ACCESS_DENIED",
        "HANDSHAKE_FAILURE",
        "DECRYPT_ERROR",
    }
)
"""Alerts by which a server refuses a client's certificate (RFC 8446, 6.2). Until it takes it, it reads no request."""


def client_context(options: Mapping[str, str]) -> ssl.SSLContext:
    """Return what a client shows and whom it believes, by the options `cert_file`, `key_file` and `ca_file`.

    Raises:
        ConfigurationError: A file is missing, holds something else or may be written by others, or the key's file is
            open to others.
    """
    certificate, key, authority = (Path(options[name]) for name in ("cert_file", "key_file", "ca_file"))
    mistakes = [
        *_complaints(certificate, "certificate"),
        *_complaints(key, "private key", secret=True),
        *_complaints(authority, "certificate of the authority"),
    ]
    if mistakes:
        raise ConfigurationError("the files of the connection cannot be used", mistakes=tuple(mistakes))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # which checks the certificate and the name, and logs no secret
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(authority)
    except (ssl.SSLError, OSError) as error:
        raise ConfigurationError(
            f"{authority} holds no certificate of an authority", remedy="Name a file of certificates in PEM"
        ) from error
    try:
        context.load_cert_chain(certificate, key, password=lambda: "")  # else OpenSSL asks at the terminal
    except (ssl.SSLError, OSError, ValueError) as error:
        raise ConfigurationError(
            f"{certificate} and {key} do not hold a certificate and its private key",
            remedy="Name files in PEM that belong together; a key with a password cannot be used",
        ) from error
    return context


def _complaints(path: Path, what: str, *, secret: bool = False) -> list[str]:
    try:
        mode = path.stat().st_mode & 0o777
        other = who_else_may_write(path)
    except (OSError, ValueError) as error:
        return [f"the file of the {what} {path} cannot be read: {getattr(error, 'strerror', error)}"]
    if secret and mode & 0o077:
        return [f"the file of the {what} {path} is open to others (mode {mode:04o}); run: chmod 600 {path}"]
    return [f"the file of the {what} {path} is not believed: {other}"] if other else []


class TlsConnection:
    """A connection to a server that proved who it is.

    Args:
        closed: Whether another thread closed the transport meanwhile; a wait notices it within `slice_s`.
        slice_s: Longest single wait in s.
    """

    def __init__(self, closed: Callable[[], bool], slice_s: float) -> None:
        self._closed = closed
        self._slice_s = slice_s
        self._socket: socket.socket | ssl.SSLSocket | None = None

    # --- opening ------------------------------------------------------------------------------------------------------

    def dial(self, host: str, port: int, context: ssl.SSLContext, server_name: str, deadline: Deadline) -> None:
        """Connect, and prove each to the other who it is.

        Raises:
            NotConnectedError: Nobody is there, or what is there speaks no TLS of a version that is taken.
            AuthenticationError: The server's certificate is not believed, or not that of this name.
        """
        errors: list[OSError] = []
        places = _places(host, port, deadline)
        for left, (family, place) in zip(range(len(places), 0, -1), places, strict=True):
            try:
                self._connect(family, place, deadline, deadline.remaining_s / left)
                break
            except OSError as error:
                self.close()
                errors.append(error)
        if self._socket is None:
            raise NotConnectedError(f"nobody answers at {host}:{port} ({errors[-1]})", remedy=_REMEDY) from errors[-1]
        self._greet(context, server_name, deadline)

    def _connect(self, family: int, place: Any, deadline: Deadline, seconds: float) -> None:
        self._socket = plain = socket.socket(family, socket.SOCK_STREAM)
        plain.setblocking(False)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        until_s = max(deadline.remaining_s - seconds, 0.0)
        with suppress(BlockingIOError):
            plain.connect(place)
        while not self._ready(select.POLLOUT, min(self._slice_s, max(deadline.remaining_s - until_s, 0.0))):
            if deadline.remaining_s <= until_s:
                raise NotConnectedError("nobody answered within the deadline", remedy=_REMEDY)
        code = plain.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, _text(code))

    def _greet(self, context: ssl.SSLContext, server_name: str, deadline: Deadline) -> None:
        plain = self._socket
        if plain is None:
            raise ClosedError("the connection was closed")
        self._socket = secure = context.wrap_socket(
            plain, server_hostname=server_name, do_handshake_on_connect=False, suppress_ragged_eofs=False
        )
        try:
            self._patiently(secure.do_handshake, deadline)
        except DeviceTimeoutError as error:
            raise NotConnectedError("the server did not finish the handshake in time", remedy=_REMEDY) from error

    def certificate(self) -> bytes:
        """Return the server's certificate, as it stands in X.509."""
        if not isinstance(self._socket, ssl.SSLSocket):
            raise NotConnectedError("the connection was closed")
        return self._socket.getpeercert(binary_form=True) or b""

    # --- bytes --------------------------------------------------------------------------------------------------------

    def write(self, data: bytes, deadline: Deadline) -> None:
        """Write all of `data`.

        Raises:
            DeviceTimeoutError: The server takes no bytes.
        """
        secure = self._secure
        left = memoryview(data)
        while left:
            left = left[self._patiently(lambda left=left: secure.send(left[:CHUNK]), deadline) :]  # type: ignore[misc]

    def read(self, buffer: bytearray, deadline: Deadline) -> int:
        """Read into `buffer` what comes next, and return how many bytes; 0 at an end in good order.

        Raises:
            DeviceTimeoutError: Nothing came within the deadline.
        """
        secure = self._secure

        def receive() -> int:
            try:
                return secure.recv_into(buffer)
            except ssl.SSLZeroReturnError:
                return 0

        return self._patiently(receive, deadline)

    @property
    def _secure(self) -> ssl.SSLSocket:
        if not isinstance(self._socket, ssl.SSLSocket):
            raise NotConnectedError("the connection was closed")
        return self._socket

    def _patiently(self, step: Callable[[], int | None], deadline: Deadline) -> int:
        """Do a step of TLS as often as it takes, waiting for the socket in between."""
        while True:
            if self._closed():
                raise ClosedError("the transport was closed")
            try:
                return step() or 0
            except ssl.SSLWantReadError:
                events = select.POLLIN
            except ssl.SSLWantWriteError:
                events = select.POLLOUT
            while not self._ready(events, min(deadline.remaining_s, self._slice_s)):
                if deadline.passed:
                    raise DeviceTimeoutError("no reply", remedy="Check that the server is on and not busy")

    def _ready(self, events: int, seconds: float) -> bool:
        if self._closed():
            raise ClosedError("the transport was closed")
        if self._socket is None:
            raise NotConnectedError("the connection was closed")
        waiting = select.poll()
        waiting.register(self._socket, events)
        return waiting.poll(ceil(seconds * 1000)) != []

    # --- the end ------------------------------------------------------------------------------------------------------

    def abandon(self) -> None:
        """Let nothing leave any more of what was written, and close. Raises nothing."""
        if self._socket is not None:
            with suppress(OSError, ValueError):
                abandon(self._socket.fileno())
        self.close()

    def close(self) -> None:
        """Close without a word more. May be called again; raises nothing."""
        gone, self._socket = self._socket, None
        if gone is not None:
            with suppress(OSError):
                gone.close()


class _Found:
    """Addresses of a host, as a thread found them."""

    def __init__(self, places: list[tuple[int, Any]]) -> None:
        self.places = places

    def close(self) -> None:
        """There is nothing to close."""


def _places(host: str, port: int, deadline: Deadline) -> list[tuple[int, Any]]:
    """Return where a host is: itself if it is an address, else as the resolver says, which no deadline can interrupt.

    Raises:
        NotConnectedError: There is no such host, or the resolver does not answer.
    """
    with suppress(ValueError):
        address = ipaddress.ip_address(host)
        return [(socket.AF_INET if address.version == 4 else socket.AF_INET6, (host, port))]
    found: list[_Found] = []
    try:
        within(deadline, lambda: _resolved(host, port), found.append, name=f"resolver:{host}:{port}")
    except OSError as error:
        why = "the resolver does not answer" if isinstance(error, TokaidoError) else error
        raise NotConnectedError(f"the host {host} is not found: {why}", remedy="Check its name") from error
    return found[0].places


def _resolved(host: str, port: int) -> _Found:
    return _Found([(row[0], row[4]) for row in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)])


def _text(code: int) -> str:
    import os  # noqa: PLC0415 - for the failed alone

    return os.strerror(code)


def explained(error: Exception) -> TokaidoError:
    """Return our error for one of TLS or of the socket below it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return AuthenticationError(
            f"the server's certificate is not believed: {error.verify_message}",
            remedy="Check ca_file, and server_name if the certificate is for another name than the resource's host",
        )
    if isinstance(error, ssl.SSLError):
        reason = error.reason or ""
        if "ALERT_" in reason and reason.partition("ALERT_")[2] in _REFUSES_US:
            return AuthenticationError(
                f"the server refuses our certificate ({reason.partition('ALERT_')[2].lower().replace('_', ' ')})",
                remedy="Have it signed by an authority that the server believes; see cert_file",
            )
        return NotConnectedError(f"TLS failed: {reason.lower().replace('_', ' ') or error}", remedy=_REMEDY)
    return NotConnectedError(f"the connection failed: {error}", remedy=_REMEDY)
