"""TLS of a node: both ends show a certificate of one authority, and what a certificate says of its holder.

A node's certificate has the URI `urn:tokaido:node:NAME` among its subject alternative names, and an application's has
`urn:tokaido:sae:ID`, or one common name, which is then its id.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from tokaido.hal import ConfigurationError
from tokaido.hal.files import read_believed

if TYPE_CHECKING:
    from pathlib import Path

NODE_URI: Final = "urn:tokaido:node:"
SAE_URI: Final = "urn:tokaido:sae:"
LONGEST_FILE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where a node finds its certificate, and whom it believes."""

    certificate: Path
    """Of this node, PEM, with the certificates between it and the authority's."""
    key: Path
    """Its private key, PEM without a password, mode 0600."""
    authority: Path
    """Certificates of the authorities, PEM."""
    revoked: Path | None = None
    """Lists of revoked certificates, PEM, one of each authority; None: none is looked at."""


@dataclass(frozen=True, slots=True)
class Names:
    """Whom a certificate speaks for."""

    node: str | None
    sae: str | None


def names_of(certificate: Mapping[str, Any] | None) -> Names:
    """Return whom a certificate speaks for, as `SSLSocket.getpeercert` gives it; two names of a kind are none."""
    if not certificate:
        return Names(None, None)
    uris = [value for kind, value in certificate.get("subjectAltName", ()) if kind == "URI"]
    nodes = [uri[len(NODE_URI) :] for uri in uris if uri.startswith(NODE_URI)]
    saes = [unquote(uri[len(SAE_URI) :]) for uri in uris if uri.startswith(SAE_URI)]
    if not saes and not nodes:
        saes = [value for part in certificate.get("subject", ()) for kind, value in part if kind == "commonName"]
    return Names(nodes[0] if len(nodes) == 1 else None, saes[0] if len(saes) == 1 else None)


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """Return the context of a listener: only who shows a certificate of the authority is heard.

    Raises:
        ConfigurationError: A file cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _fill(context, files)
    context.verify_mode = ssl.CERT_REQUIRED
    context.num_tickets = 0  # a resumed session would not look at the list of revoked certificates again
    context.options |= ssl.OP_NO_TICKET
    return context


def client_context(files: TlsFiles) -> ssl.SSLContext:
    """Return the context of a client, which checks the server's certificate and host name.

    Raises:
        ConfigurationError: A file cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _fill(context, files)
    return context


def _fill(context: ssl.SSLContext, files: TlsFiles) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    read_believed(files.key, "private key", longest=LONGEST_FILE, closed=0o077)
    read_believed(files.certificate, "certificate", longest=LONGEST_FILE)
    authority = read_believed(files.authority, "authority", longest=LONGEST_FILE)
    try:
        context.load_cert_chain(files.certificate, files.key, password=_no_password)
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"certificate {files.certificate} and key {files.key} cannot be used: {_reason(error)}",
            remedy="Both are PEM, they belong together, and the key has no password",
        ) from error
    _load(context, authority.decode("ascii", "replace"), files.authority, "authority")
    if files.revoked is not None:
        read_believed(files.revoked, "revocation list", longest=LONGEST_FILE)
        try:
            context.load_verify_locations(cafile=str(files.revoked))
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"the revocation list {files.revoked} cannot be used: {_reason(error)}", remedy="It is PEM, X509 CRL"
            ) from error
        context.verify_flags |= ssl.VerifyFlags.VERIFY_CRL_CHECK_LEAF


def _load(context: ssl.SSLContext, text: str, path: Path, what: str) -> None:
    try:
        context.load_verify_locations(cadata=text)
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"the {what} file {path} cannot be used: {_reason(error)}", remedy="It is PEM, one certificate or more"
        ) from error


def _reason(error: Exception) -> str:
    return str(getattr(error, "reason", None) or getattr(error, "strerror", None) or error)


def _no_password() -> str:
    """Refuse to ask at the terminal."""
    raise ValueError("the key is encrypted")
