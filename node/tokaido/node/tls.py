"""TLS of a node, to its neighbours and to applications: both ends show a certificate of one authority.

A certificate speaks for the node that a URI `urn:tokaido:node:NAME` among its subject alternative names names, and for
the application (SAE) that `urn:tokaido:sae:ID` names. One without either speaks for the application of its one common
name.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import unquote_to_bytes

from cryptography import x509
from cryptography.x509.oid import NameOID

from tokaido.hal import SYSTEM_CLOCK, Clock, ConfigurationError
from tokaido.hal.files import read_believed

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

NODE_URI: Final = "urn:tokaido:node:"
"""Begins the URI, among the subject alternative names of a certificate, that names a node."""
OUR_URI: Final = "urn:tokaido:"
"""Begins all of them: a certificate that has one speaks for nobody by its common name."""
SAE_URI: Final = "urn:tokaido:sae:"
"""Begins the URI that names an application (SAE). Its id follows, percent-encoded."""
OPERATOR_URI: Final = "urn:tokaido:operator:"
"""Begins the URI that names a person who watches and commands nodes over the bus."""
HUB_URI: Final = "urn:tokaido:hub:"
"""Begins the URI that names a server of the bus."""

_LONGEST_NAME: Final = 255
_PEM_OF_LIST: Final = re.compile(rb"-----BEGIN X509 CRL-----.*?-----END X509 CRL-----", re.DOTALL)
LONGEST_CRL: Final = 16 << 20
"""Longest revocation list that is read, in bytes."""
_LONGEST_FILE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """The PEM files by which one end of a connection proves who it is, and knows whom it believes."""

    certificate: Path
    """This end's certificate, and those of authorities between it and the other end's anchor."""
    key: Path
    """Its private key, unencrypted, of mode 0600."""
    authority: Path
    """Certificates of the authorities that are believed."""
    revoked: Path | None = None
    """Lists of revoked certificates (CRL), one of each authority. None: none is looked at."""


class Names(NamedTuple):
    """Whom a certificate speaks for. None: nobody of that kind, or several."""

    node: str | None
    sae: str | None

    def __str__(self) -> str:
        named = [
            f"{what} {name}" for what, name in (("node", self.node), ("application", self.sae)) if name is not None
        ]
        return " and ".join(named) or "nobody"


def server_context(files: TlsFiles, clock: Clock = SYSTEM_CLOCK) -> ssl.SSLContext:
    """Return the settings of a listener: TLS 1.2 or higher, and only clients with a certificate.

    No session is ever resumed by a ticket: each connection shows its certificate again. To read renewed files, make a
    new context and take it for the connections to come (`Listener.reload` does): a context remembers TLS 1.2 sessions.

    Raises:
        ConfigurationError: A file is missing, is not what it should be, is out of date, or others may alter it.
    """
    return _context(ssl.PROTOCOL_TLS_SERVER, files, clock)


def client_context(files: TlsFiles, *, host_names: bool = True, clock: Clock = SYSTEM_CLOCK) -> ssl.SSLContext:
    """Return the settings of a client with a certificate of its own: TLS 1.2 or higher.

    Args:
        files: Its files.
        host_names: Whether the server's certificate must name the host that was dialled. Without it the caller
            checks `names_of` the connection before it says anything.
        clock: Tells whether the files are out of date.

    Raises:
        ConfigurationError: A file is missing, is not what it should be, is out of date, or others may alter it.
    """
    context = _context(ssl.PROTOCOL_TLS_CLIENT, files, clock)
    context.check_hostname = host_names
    return context


class Ends(NamedTuple):
    """When the files of one end of a connection end, in s since 1970-01-01 UTC."""

    certificate: float
    """The earliest end in this end's chain."""
    authority: float
    """Of the authority that ends last: as long as one lasts, somebody can connect."""
    revoked: float | None
    """Of the revocation list that ends first; None: there is none, or it has no end."""


def ends_of(files: TlsFiles) -> Ends:
    """Return when files end.

    Raises:
        ConfigurationError: One cannot be read.
    """
    lists = []
    if files.revoked is not None:
        data = read_believed(files.revoked, "revocation list", longest=LONGEST_CRL)
        lists = [x509.load_pem_x509_crl(pem).next_update_utc for pem in _PEM_OF_LIST.findall(data)]
    return Ends(
        min(one.not_valid_after_utc.timestamp() for one in _certificates(files.certificate, "certificate")),
        max(one.not_valid_after_utc.timestamp() for one in _certificates(files.authority, "authority")),
        min((end.timestamp() for end in lists if end is not None), default=None),
    )


@lru_cache(maxsize=1024)
def end_of(der: bytes) -> float | None:
    """Return when a certificate in DER ends, in s since 1970-01-01 UTC; None if it cannot be read."""
    try:
        return x509.load_der_x509_certificate(der).not_valid_after_utc.timestamp()
    except ValueError:
        return None


def names_of(peer: ssl.SSLObject | ssl.SSLSocket | bytes | Mapping[str, Any] | None) -> Names:
    """Return the node and the application (SAE) that a certificate speaks for.

    Args:
        peer: A connection whose handshake is over, whose other end is meant; or a certificate in DER, or as
            `SSLSocket.getpeercert` gives it. None speaks for nobody.
    """
    if peer is None or isinstance(peer, bytes):
        return _names(peer) if peer else Names(None, None)
    if isinstance(peer, Mapping):
        commons = [value for part in peer.get("subject", ()) for kind, value in part if kind == "commonName"]
        return _named(commons, [value for kind, value in peer.get("subjectAltName", ()) if kind == "URI"])
    return names_of(peer.getpeercert(binary_form=True))


def _context(protocol: int, files: TlsFiles, clock: Clock) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)  # and not `create_default_context`, which logs secrets to SSLKEYLOGFILE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    if protocol == ssl.PROTOCOL_TLS_SERVER:
        context.num_tickets = 0
    context.set_alpn_protocols(["http/1.1"])
    authorities = _certificates(files.authority, "authority")
    own = _certificates(files.certificate, "certificate")
    read_believed(files.key, "private key", longest=_LONGEST_FILE, closed=0o077)
    now = clock.utc_ns() / 1e9
    if own[0].not_valid_after_utc.timestamp() < now:
        raise ConfigurationError(
            f"the certificate {files.certificate} ended on {own[0].not_valid_after_utc:%Y-%m-%d %H:%M} UTC",
            remedy="Have it renewed",
        )
    try:
        context.load_verify_locations(cafile=files.authority)
        context.load_cert_chain(files.certificate, files.key, password=lambda: b"")
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"the certificate {files.certificate} and the key {files.key} cannot be used: {error}",
            remedy="Name a certificate with its own key, unencrypted PEM",
        ) from error
    if files.revoked is not None:
        _check_revocations(files.revoked, (*authorities, *own[1:]), now)
        context.load_verify_locations(cafile=files.revoked)
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    return context


def _certificates(path: Path, what: str) -> list[x509.Certificate]:
    data = read_believed(path, what, longest=_LONGEST_FILE)
    try:
        return x509.load_pem_x509_certificates(data)
    except ValueError as error:
        raise ConfigurationError(
            f"the {what} file {path} holds no certificates in PEM: {error}", remedy="Name another file"
        ) from error


def _check_revocations(path: Path, authorities: Iterable[x509.Certificate], now: float) -> None:
    """Say what OpenSSL would only tell every peer: that the list is foreign, or out of date."""
    data = read_believed(path, "revocation list", longest=LONGEST_CRL)
    pems = _PEM_OF_LIST.findall(data)
    if not pems:
        raise ConfigurationError(f"the revocation list {path} holds none in PEM", remedy="Name another file")
    for pem in pems:
        try:
            listed = x509.load_pem_x509_crl(pem)
            issuers = [one for one in authorities if one.subject == listed.issuer]
            signed = any(listed.is_signature_valid(one.public_key()) for one in issuers)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
        except (ValueError, TypeError) as error:
            raise ConfigurationError(
                f"the revocation list {path} cannot be read: {error}", remedy="Name another one"
            ) from error
        if not signed:
            raise ConfigurationError(
                f"the revocation list {path} is not by an authority that is believed", remedy="Name another file"
            )
        end = listed.next_update_utc
        if end is not None and end.timestamp() < now:
            raise ConfigurationError(
                f"the revocation list {path} ended on {end:%Y-%m-%d %H:%M} UTC: nobody could connect",
                remedy="Have a new one made",
            )


@lru_cache(maxsize=1024)
def _names(der: bytes) -> Names:
    try:
        certificate = x509.load_der_x509_certificate(der)
        commons = [str(one.value) for one in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        return _named(commons, _uris(certificate))
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return Names(None, None)


def _named(commons: list[str], uris: list[str]) -> Names:
    nodes = {uri.removeprefix(NODE_URI) for uri in uris if uri.startswith(NODE_URI)}
    saes = {uri.removeprefix(SAE_URI) for uri in uris if uri.startswith(SAE_URI)}
    if any(uri.startswith(OUR_URI) for uri in uris):  # such as that of a person: none is an application besides
        return Names(_one(nodes), _one(saes))
    return Names(None, _plain(commons[0]) if len(commons) == 1 else None)


def _uris(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return names.get_values_for_type(x509.UniformResourceIdentifier)


def _one(encoded: set[str]) -> str | None:
    """Return the one name of a set of percent-encoded ones; None if there is none, or more than one."""
    if len(encoded) != 1:
        return None
    try:
        return _plain(unquote_to_bytes(encoded.pop()).decode("utf-8"))
    except UnicodeDecodeError:
        return None


def _plain(name: str) -> str | None:
    return name if 0 < len(name) <= _LONGEST_NAME and name.isprintable() else None
