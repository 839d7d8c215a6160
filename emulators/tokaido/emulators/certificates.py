"""Certificates for emulated servers and their clients: an authority of one run, that nobody else believes."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tokaido.hal.files import MODE_OF_SECRETS, write_new

if TYPE_CHECKING:
    from collections.abc import Sequence

LOOPBACK: Final = ("localhost", "127.0.0.1")
LIFETIME: Final = datetime.timedelta(days=30)


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """What one end of a connection under mutual TLS shows, and whom it believes; all in PEM."""

    certificate: Path
    key: Path
    """Its private key, of mode 0600."""
    authority: Path

    def server_context(self, *, believing: bool = True) -> ssl.SSLContext:
        """Return the context of a server that believes only clients whose certificate is of its authority, or none."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.verify_mode = ssl.CERT_REQUIRED
        if believing:
            context.load_verify_locations(self.authority)
        context.load_cert_chain(self.certificate, self.key)
        return context


class CertificateAuthority:
    """Signs certificates for tests: of curve P-256, valid for 30 days.

    Args:
        folder: Where the files appear; made of mode 0700 if it is not there.
        name: What the authority is called.
    """

    def __init__(self, folder: Path | str, name: str = "tokaido-emulation") -> None:
        self.folder = Path(folder)
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(name)
        self.certificate = self.folder / f"{name}.crt"
        """File of the authority's own certificate."""
        made = (
            _begun(self._name, self._name, self._key, LIFETIME)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs=True), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        write_new(self.certificate, made.public_bytes(serialization.Encoding.PEM), durable=False)

    def issue(
        self,
        name: str,
        hosts: Sequence[str] = LOOPBACK,
        *,
        lifetime: datetime.timedelta = LIFETIME,
        common_name: str = "",
    ) -> CertificateFiles:
        """Make a key and a certificate for a server or a client.

        Args:
            name: Of the files.
            hosts: Names and addresses that a server may be reached by.
            lifetime: How long from now it is valid; negative for one that has expired.
            common_name: Whose it is; default: `name`.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        alternatives = x509.SubjectAlternativeName([_host(host) for host in hosts])
        uses = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        made = (
            _begun(_named(common_name or name), self._name, key, lifetime)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(alternatives, critical=False)
            .add_extension(uses, critical=False)
            .add_extension(authority, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        files = CertificateFiles(self.folder / f"{name}.crt", self.folder / f"{name}.key", self.certificate)
        write_new(files.key, private, mode=MODE_OF_SECRETS, durable=False)
        write_new(files.certificate, made.public_bytes(serialization.Encoding.PEM), durable=False)
        return files


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _host(host: str) -> x509.GeneralName:
    with suppress(ValueError):
        return x509.IPAddress(ipaddress.ip_address(host))
    return x509.DNSName(host)


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _begun(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, lifetime: datetime.timedelta
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + min(lifetime, datetime.timedelta()) - datetime.timedelta(days=1))
        .not_valid_after(now + lifetime)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
