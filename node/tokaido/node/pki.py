"""A test authority: certificates of nodes and applications in one call, for laboratories, tests and demonstrations.

Its own key lies in the same folder as the certificates, so it is worth no more than that folder. The page "Use
certificates of your own authority" says how a real one takes its place.
"""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tokaido.hal import NS_PER_S, SYSTEM_CLOCK, Clock, ConfigurationError
from tokaido.hal.driver import real
from tokaido.hal.files import MODE_OF_SECRETS, path_of, read_believed, write_new, write_whole
from tokaido.node.tls import HUB_URI, LONGEST_CRL, NODE_URI, OPERATOR_URI, SAE_URI, TlsFiles

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DEFAULT_DAYS: Final = 30.0
"""For how long a certificate of a test authority is good, in days."""
DEFAULT_HOSTS: Final = ("localhost", "127.0.0.1", "::1")
"""Where a node is found whose hosts are not given."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")
_BACKDATED: Final = datetime.timedelta(minutes=5)
"""Clocks of sites are not quite equal."""


@dataclass(frozen=True, slots=True)
class Issued:
    """One certificate of a test authority."""

    name: str
    """Of its files: `node-otemachi` for a node, `sae-bank-tokyo` for an application."""
    files: TlsFiles
    not_after: datetime.datetime
    """When it ends, in UTC."""


def issue(
    folder: str | Path,
    *,
    nodes: Mapping[str, Sequence[str]] | None = None,
    saes: Sequence[str] = (),
    operators: Sequence[str] = (),
    hubs: Mapping[str, Sequence[str]] | None = None,
    days: float = DEFAULT_DAYS,
    clock: Clock = SYSTEM_CLOCK,
) -> tuple[Issued, ...]:
    """Make certificates, and a test authority where the folder has none. No file is ever overwritten.

    Keys are ECDSA P-256, in files of mode 0600. A node's certificate is good for both ends of a connection, an
    application's for a client.

    Args:
        folder: Made with mode 0700 if it is not there.
        nodes: Hosts (DNS names and IP addresses) of each node, by name; none given: `DEFAULT_HOSTS` and the name.
        saes: Ids of applications: letters, digits, `.`, `_` and `-`.
        operators: Names of people who watch and command nodes over the bus.
        hubs: Hosts of each server of the bus, by name, as for nodes.
        days: How long they are good, at most as long as the authority.
        clock: Tells the time.

    Raises:
        ConfigurationError: A name cannot be one, a file is there already, or others may look into the folder.
        TokaidoError: A file could not be written. Files that were made before are left, and are good.
    """
    folder = path_of(folder, "the folder of certificates")
    servers = {f"node-{name}": (name, NODE_URI, given) for name, given in (nodes or {}).items()}
    servers |= {f"hub-{name}": (name, HUB_URI, given) for name, given in (hubs or {}).items()}
    clients = {f"sae-{name}": (name, SAE_URI) for name in saes}
    clients |= {f"operator-{name}": (name, OPERATOR_URI) for name in operators}
    wanted = {stem: name for stem, (name, *_) in servers.items()} | {stem: name for stem, (name, _) in clients.items()}
    _check(folder, wanted, len(servers) + len(saes) + len(operators), days)
    hosts = {
        stem: [_host(one) for one in given or (*DEFAULT_HOSTS, name)] for stem, (name, _, given) in servers.items()
    }
    authority = _Authority.of(folder, days, clock)
    made = [
        authority.issue(stem, name, f"{kind}{quote(name)}", days, hosts[stem])
        for stem, (name, kind, _) in servers.items()
    ]
    made += [authority.issue(stem, name, f"{kind}{quote(name)}", days, ()) for stem, (name, kind) in clients.items()]
    return tuple(made)


def revoke(folder: str | Path, names: Sequence[str], *, clock: Clock = SYSTEM_CLOCK) -> Path:
    """Put certificates on the authority's revocation list, beside those that are on it, and return the list's file.

    Servers that name it refuse them once they have read it again.

    Args:
        folder: The authority's.
        names: As `Issued.name`, or the name of a node or an application alone where only one has it.
        clock: Tells the time.

    Raises:
        ConfigurationError: There is no such authority or certificate.
        TokaidoError: The list could not be written; the one before is still there.
    """
    folder = path_of(folder, "the folder of certificates")
    authority = _Authority.load(folder, clock)
    authority.revoke([_certificate(_named(folder, name)) for name in names])
    return folder / "crl.pem"


def files_of(folder: Path, name: str) -> TlsFiles:
    """Return the files of one certificate of a test authority, by `Issued.name`."""
    return TlsFiles(folder / f"{name}.pem", folder / f"{name}.key", folder / "ca.pem", folder / "crl.pem")


def _check(folder: Path, wanted: Mapping[str, str], asked: int, days: float) -> None:
    mistakes = [f"{name!r}: take letters, digits, '.', '_' and '-'" for name in wanted.values() if not _fits(name)]
    if len(wanted) < asked:
        mistakes.append("a name is given twice")
    mistakes += [
        f"{folder / stem}.{end} exists, and is not overwritten"
        for stem in wanted
        for end in ("pem", "key")
        if (folder / f"{stem}.{end}").exists()
    ]
    if not 0 < real(days, "the days that a certificate is good for") <= 3650:
        mistakes.append(f"a certificate is good for 0 to 3650 days, not for {days!r}")
    if mistakes:
        raise ConfigurationError(f"no certificate was made in {folder}", mistakes=tuple(mistakes))


def _fits(name: str) -> bool:
    return _NAME.fullmatch(name) is not None


def _named(folder: Path, name: str) -> Path:
    found = [
        path
        for stem in (name, *(f"{kind}-{name}" for kind in ("node", "sae", "operator", "hub")))
        if _fits(stem) and (path := folder / f"{stem}.pem").exists()
    ]
    if len(found) != 1 or found[0].name == "ca.pem":
        why = "several have it" if len(found) > 1 else "no certificate has it"
        raise ConfigurationError(
            f"{name!r} cannot be revoked in {folder}: {why}",
            remedy="Say node-NAME, sae-NAME, operator-NAME or hub-NAME",
        )
    return found[0]


def _certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(read_believed(path, "certificate", longest=1 << 16))
    except ValueError as error:
        raise ConfigurationError(f"{path} holds no certificate: {error}") from error


class _Authority:
    """The certificate, key and revocation list of one folder."""

    def __init__(
        self, folder: Path, clock: Clock, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey
    ) -> None:
        self._folder = folder
        self._certificate = certificate
        self._key = key
        self._now = _utc(clock)

    @classmethod
    def of(cls, folder: Path, days: float, clock: Clock) -> _Authority:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            mode = stat.S_IMODE(folder.stat().st_mode)
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"the folder {str(folder)!r} cannot be made: {error}") from error
        if mode & 0o077:
            raise ConfigurationError(
                f"the folder {folder} is open to others (mode {mode:04o})",
                remedy=f"Name a new one, or run: chmod 700 {folder}",
            )
        return cls.load(folder, clock) if (folder / "ca.pem").exists() else cls._new(folder, days, clock)

    @classmethod
    def _new(cls, folder: Path, days: float, clock: Clock) -> _Authority:
        key = ec.generate_private_key(ec.SECP256R1())
        name = _subject(f"Tokaido test authority {os.urandom(4).hex()}")
        now = _utc(clock)
        certificate = (
            x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - _BACKDATED)
            .not_valid_after(now + datetime.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(authority=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        authority = cls(folder, clock, certificate, key)
        write_new(folder / "ca.key", _key_pem(key), mode=MODE_OF_SECRETS)
        try:
            write_new(folder / "crl.pem", authority._list([], 1), mode=MODE_OF_SECRETS)
            write_new(folder / "ca.pem", _pem(certificate), mode=MODE_OF_SECRETS)
        except BaseException:
            for file in ("ca.key", "crl.pem"):
                with contextlib.suppress(FileNotFoundError):
                    (folder / file).unlink()
            raise
        return authority

    @classmethod
    def load(cls, folder: Path, clock: Clock) -> _Authority:
        certificate = _certificate(folder / "ca.pem")
        path = folder / "ca.key"
        try:
            key = serialization.load_pem_private_key(
                read_believed(path, "authority's key", longest=1 << 16, closed=0o077), None
            )
        except (ValueError, TypeError) as error:
            raise ConfigurationError(f"{path} holds no private key: {error}") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
            raise ConfigurationError(f"{path} is not the key of {folder / 'ca.pem'}", remedy="Begin in a new folder")
        return cls(folder, clock, certificate, key)

    def issue(self, stem: str, common_name: str, uri: str, days: float, hosts: Sequence[x509.GeneralName]) -> Issued:
        key = ec.generate_private_key(ec.SECP256R1())
        end = min(self._now + datetime.timedelta(days=days), self._certificate.not_valid_after_utc)
        purposes = [ExtendedKeyUsageOID.CLIENT_AUTH]
        if hosts:
            purposes.append(ExtendedKeyUsageOID.SERVER_AUTH)
        names = [x509.UniformResourceIdentifier(uri), *dict.fromkeys(hosts)]
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        certificate = (
            x509.CertificateBuilder(
                self._certificate.subject, _subject(common_name), key.public_key(), x509.random_serial_number()
            )
            .not_valid_before(self._now - _BACKDATED)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(authority, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        files = files_of(self._folder, stem)
        write_new(files.key, _key_pem(key), mode=MODE_OF_SECRETS)
        try:
            write_new(files.certificate, _pem(certificate), mode=MODE_OF_SECRETS)
        except BaseException:
            files.key.unlink()
            raise
        return Issued(stem, files, certificate.not_valid_after_utc)

    def revoke(self, certificates: Sequence[x509.Certificate]) -> None:
        path = self._folder / "crl.pem"
        try:
            before = x509.load_pem_x509_crl(read_believed(path, "revocation list", longest=LONGEST_CRL))
            number = before.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
        except (ValueError, x509.ExtensionNotFound) as error:
            raise ConfigurationError(f"{path} holds no revocation list of ours: {error}") from error
        revoked = {one.serial_number: one for one in before}
        for one in certificates:
            revoked.setdefault(
                one.serial_number,
                x509.RevokedCertificateBuilder().serial_number(one.serial_number).revocation_date(self._now).build(),
            )
        write_whole(path, self._list(list(revoked.values()), number + 1))

    def _list(self, revoked: Sequence[x509.RevokedCertificate], number: int) -> bytes:
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._certificate.subject)
            .last_update(self._now - _BACKDATED)
            .next_update(self._certificate.not_valid_after_utc)
            .add_extension(x509.CRLNumber(number), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        for one in revoked:
            builder = builder.add_revoked_certificate(one)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _utc(clock: Clock) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(clock.utc_ns() // NS_PER_S, datetime.UTC)


def _subject(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _host(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        pass
    try:
        return x509.DNSName(text)
    except ValueError as error:
        raise ConfigurationError(f"{text!r} is neither a DNS name nor an IP address") from error


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
