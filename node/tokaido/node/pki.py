"""A test authority with certificates of nodes and applications; a production network brings its own.

Keys are on the curve P-256. A name's files are `NAME.crt` and `NAME.key`; the authority's are `authority.crt`, which
everybody needs, `authority.key`, which nobody but this module does, and `revoked.crl`.
"""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tokaido.hal import ConfigurationError
from tokaido.hal.files import MODE_OF_SECRETS, write_new, write_whole
from tokaido.node.tls import NODE_URI, SAE_URI, TlsFiles

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

DAYS: Final = 30.0
"""How long a certificate is valid, by default."""
BEFORE: Final = datetime.timedelta(minutes=5)
"""Clocks of two machines may differ by so much."""
CRL_DAYS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate that was made."""

    name: str
    certificate: Path
    key: Path
    not_after: datetime.datetime


class TestAuthority:
    """An authority in a folder of mode 0700. It is for tests and demonstrations: its key lies beside its certificates.

    Args:
        folder: Where its files are.

    Raises:
        ConfigurationError: There is no authority there, or its files cannot be used.
    """

    __test__ = False  # a class of the library, whatever pytest thinks of its name

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.certificate_file = folder / "authority.crt"
        self.revocation_file = folder / "revoked.crl"
        try:
            self._certificate = x509.load_pem_x509_certificate(self.certificate_file.read_bytes())
            key = serialization.load_pem_private_key((folder / "authority.key").read_bytes(), None)
        except (OSError, ValueError, TypeError) as error:
            raise ConfigurationError(
                f"there is no test authority in {folder}: {error}", remedy="Make one: tokaido node pki FOLDER"
            ) from error
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        self._key = key

    @classmethod
    def create(cls, folder: Path, *, days: float = DAYS) -> TestAuthority:
        """Make an authority in a folder that has none.

        Raises:
            ConfigurationError: There is one already, or the folder cannot be written.
        """
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(f"the folder {folder} cannot be made: {error.strerror}") from error
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Tokaido test authority")])
        begin = _now()
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin - BEFORE)
            .not_valid_after(begin + datetime.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(authority=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        write_new(folder / "authority.key", _pem(key), mode=MODE_OF_SECRETS)
        write_new(folder / "authority.crt", certificate.public_bytes(serialization.Encoding.PEM))
        made = cls(folder)
        made.revoke()
        return made

    def node(
        self, name: str, hosts: Sequence[str] = ("localhost", "127.0.0.1", "::1"), *, days: float = DAYS
    ) -> Issued:
        """Make the certificate of a node, for these host names and addresses."""
        return self._issue(name, [x509.UniformResourceIdentifier(NODE_URI + name), *_hosts(hosts)], days)

    def application(self, sae_id: str, *, days: float = DAYS) -> Issued:
        """Make the certificate of an application (SAE); its common name is its id, too."""
        return self._issue(sae_id, [x509.UniformResourceIdentifier(SAE_URI + quote(sae_id, safe=""))], days)

    def files(self, name: str, *, revocation: bool = True) -> TlsFiles:
        """Return the files that a holder of a certificate needs."""
        return TlsFiles(
            certificate=self.folder / f"{name}.crt",
            key=self.folder / f"{name}.key",
            authority=self.certificate_file,
            revoked=self.revocation_file if revocation else None,
        )

    def revoke(self, *names: str) -> None:
        """Add certificates, by the names of their files, to the list of revoked ones, and write it anew.

        Raises:
            ConfigurationError: A name has no certificate here.
        """
        begin = _now()
        serials = {entry.serial_number: entry.revocation_date_utc for entry in self._revoked()}
        for name in names:
            try:
                found = x509.load_pem_x509_certificate((self.folder / f"{name}.crt").read_bytes())
            except (OSError, ValueError) as error:
                raise ConfigurationError(f"{name} has no certificate in {self.folder}: {error}") from error
            serials.setdefault(found.serial_number, begin)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._certificate.subject)
            .last_update(begin - BEFORE)
            .next_update(begin + datetime.timedelta(days=CRL_DAYS))
        )
        for serial, date in serials.items():
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(date).build()
            )
        pem = builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        write_whole(self.revocation_file, pem)

    def _revoked(self) -> Iterable[x509.RevokedCertificate]:
        if not self.revocation_file.exists():
            return ()
        return x509.load_pem_x509_crl(self.revocation_file.read_bytes())

    def _issue(self, name: str, alternatives: list[x509.GeneralName], days: float) -> Issued:
        if not name or name.startswith(".") or "/" in name or name in ("authority", "revoked"):
            raise ConfigurationError(f"{name!r} cannot be the name of a certificate", remedy="It names a file, too")
        certificate_file, key_file = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        key = ec.generate_private_key(ec.SECP256R1())
        begin = _now()
        end = min(begin + datetime.timedelta(days=days), self._certificate.not_valid_after_utc)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(self._certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(min(begin - BEFORE, end - BEFORE))
            .not_valid_after(end)
            .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(authority=False), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                critical=False,
            )
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        write_new(key_file, _pem(key), mode=MODE_OF_SECRETS)
        write_new(certificate_file, certificate.public_bytes(serialization.Encoding.PEM))
        return Issued(name, certificate_file, key_file, end)


def _hosts(hosts: Sequence[str]) -> list[x509.GeneralName]:
    found: list[x509.GeneralName] = []
    for host in hosts:
        try:
            found.append(x509.IPAddress(ipaddress.ip_address(host)))
        except ValueError:
            found.append(x509.DNSName(host))
    return found


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
