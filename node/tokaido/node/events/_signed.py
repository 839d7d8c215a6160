"""Commands signed by a person's certificate, so that the hub is not trusted: docs/protocols/events.md, section 4."""

from __future__ import annotations

import base64
import binascii
import datetime
import re
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple
from urllib.parse import unquote

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509 import verification
from msgspec import Meta

from tokaido.hal import NS_PER_S, SYSTEM_CLOCK, AuthenticationError, ConfigurationError, ProtocolError
from tokaido.hal.files import read_believed
from tokaido.node.tls import LONGEST_CRL, OPERATOR_URI

if TYPE_CHECKING:
    from tokaido.hal import Clock
    from tokaido.node.tls import TlsFiles

_DOMAIN: Final = b"TOKAIDO-COMMAND-1\0\0"
"""Comes before what is signed, so that no other use of a key makes a command."""
_PSS: Final = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
_LONGEST_FILE: Final = 1 << 20
MAX_ENVELOPE: Final = 1 << 16
MOST_CERTIFICATES: Final = 4


class Envelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A command, and who gives it."""

    body: Annotated[str, Meta(max_length=1 << 14)]
    signature: Annotated[str, Meta(max_length=2048)]
    certificates: Annotated[str, Meta(max_length=1 << 15)]


class Signed(NamedTuple):
    """What an envelope holds, once it is believed."""

    who: str
    body: bytes


_decoder: Final = msgspec.json.Decoder(Envelope)
_encoder: Final = msgspec.json.Encoder()


def sign(body: bytes, files: TlsFiles) -> bytes:
    """Return an envelope around a body.

    Raises:
        ConfigurationError: The files cannot be used.
    """
    pem = read_believed(files.certificate, "certificate", longest=_LONGEST_FILE).decode("ascii", "replace")
    try:
        key = serialization.load_pem_private_key(
            read_believed(files.key, "private key", longest=_LONGEST_FILE, closed=0o077), None
        )
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None  # no cause: it could quote the file
    if isinstance(key, ec.EllipticCurvePrivateKey):
        signature = key.sign(_DOMAIN + body, ec.ECDSA(hashes.SHA256()))
    elif isinstance(key, rsa.RSAPrivateKey):
        signature = key.sign(_DOMAIN + body, _PSS, hashes.SHA256())
    else:
        raise ConfigurationError(f"{files.key} holds no private key that signs", remedy="Name one of ECDSA or RSA")
    return _encoder.encode(Envelope(body.decode(), base64.b64encode(signature).decode(), pem))


def operator_of(certificate: x509.Certificate) -> str:
    """Return the person that a certificate speaks for; empty: nobody, or several."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return ""
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    found = {unquote(uri.removeprefix(OPERATOR_URI)) for uri in uris if uri.startswith(OPERATOR_URI)}
    return found.pop() if len(found) == 1 else ""


def opened(data: bytes, files: TlsFiles, clock: Clock = SYSTEM_CLOCK) -> Signed:
    """Return what an envelope holds, after certificate and signature were verified.

    Args:
        data: All of it.
        files: The authority that is believed, and the lists of what it revoked.
        clock: Tells the time.

    Raises:
        ProtocolError: It is not an envelope.
        AuthenticationError: It is not believed.
        ConfigurationError: The files cannot be used.
    """
    if len(data) > MAX_ENVELOPE:
        raise ProtocolError(f"a command of {len(data)} bytes; {MAX_ENVELOPE} are the most")
    try:
        envelope = _decoder.decode(data)
        signature = base64.b64decode(envelope.signature, validate=True)
        chain = x509.load_pem_x509_certificates(envelope.certificates.encode())
    except (msgspec.MsgspecError, ValueError, RecursionError, binascii.Error) as error:
        raise ProtocolError(f"not a command: {error}") from None
    if not 1 <= len(chain) <= MOST_CERTIFICATES:
        raise ProtocolError(f"a command with {len(chain)} certificates; 1 to {MOST_CERTIFICATES} are taken")
    person = chain[0]
    _verify(chain, files, clock)
    who = operator_of(person)
    if not who:
        raise AuthenticationError("CERTIFICATE: it names no person who gives commands")
    key, said = person.public_key(), _DOMAIN + envelope.body.encode()
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, said, ec.ECDSA(hashes.SHA256()))
        elif isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, said, _PSS, hashes.SHA256())
        else:
            raise AuthenticationError(f"CERTIFICATE: that of {who} has a key of another kind than ECDSA and RSA")
    except InvalidSignature:
        raise AuthenticationError(f"SIGNATURE: that of {who} is wrong") from None
    return Signed(who, envelope.body.encode())


def _verify(chain: list[x509.Certificate], files: TlsFiles, clock: Clock) -> None:
    """See that an authority that is believed made the first certificate, and did not revoke it."""
    try:
        authorities = x509.load_pem_x509_certificates(
            read_believed(files.authority, "authority", longest=_LONGEST_FILE)
        )
    except ValueError as error:
        raise ConfigurationError(f"the authority file {files.authority} holds no certificates: {error}") from error
    now = datetime.datetime.fromtimestamp(clock.utc_ns() // NS_PER_S, datetime.UTC)
    verifier = (
        verification.PolicyBuilder()
        .store(verification.Store(authorities))
        .time(now)
        .max_chain_depth(MOST_CERTIFICATES)
        .build_client_verifier()
    )
    try:
        found = verifier.verify(chain[0], chain[1:])
    except verification.VerificationError as error:
        raise AuthenticationError(f"CERTIFICATE: it is not believed: {error}") from None
    if files.revoked is not None:
        _see_revocations(chain[0], found.chain[1] if len(found.chain) > 1 else chain[0], files, now)


def _see_revocations(
    person: x509.Certificate, issuer: x509.Certificate, files: TlsFiles, now: datetime.datetime
) -> None:
    assert files.revoked is not None
    data = read_believed(files.revoked, "revocation list", longest=LONGEST_CRL)
    for pem in re.findall(rb"-----BEGIN X509 CRL-----.*?-----END X509 CRL-----", data, re.DOTALL):
        try:
            listed = x509.load_pem_x509_crl(pem)
            if listed.issuer != person.issuer or not listed.is_signature_valid(issuer.public_key()):  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
                continue
        except (ValueError, TypeError) as error:
            raise ConfigurationError(f"the revocation list {files.revoked} cannot be read: {error}") from error
        if listed.next_update_utc is not None and listed.next_update_utc < now:
            raise AuthenticationError("CERTIFICATE: the revocation list of its authority is out of date")
        if listed.get_revoked_certificate_by_serial_number(person.serial_number) is not None:
            raise AuthenticationError("CERTIFICATE: it is revoked")
        return
    raise AuthenticationError("CERTIFICATE: its authority has no revocation list here")
