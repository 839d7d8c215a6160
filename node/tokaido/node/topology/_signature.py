"""Signed topology files: the file of a person, and one last line with a signature over its bytes."""

from __future__ import annotations

import base64
import contextlib
import re
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from tokaido.hal import AuthenticationError, ConfigurationError
from tokaido.hal.files import MODE_OF_SECRETS, path_of, read_believed, write_new, write_whole
from tokaido.node.topology._file import decoded, read_bytes, read_topology, topology_from_text
from tokaido.node.topology._topology import Topology

SIGNING_KEY_FILE: Final = "topology.key"
"""Name of the private key's file."""
PUBLIC_KEY_FILE: Final = "topology.pub"
"""Name of the public key's file."""

_DOMAIN: Final = b"TOKAIDO-TOPOLOGY-1\0\0"
"""Comes before what is signed, so that no other use of a key makes a topology."""
_TRAILER: Final = b"# tokaido topology signature, Ed25519: "
_SIGNATURE: Final = re.compile(rb"[A-Za-z0-9+/]{86}==\n?")
_LONGEST_KEY: Final = 1 << 16


def new_signing_key(folder: str | Path) -> tuple[Path, Path]:
    """Make a key pair for signatures, and return the files of the private key (mode 0600) and the public one.

    Args:
        folder: Made with mode 0700 if it is not there.

    Raises:
        ConfigurationError: A file is there already, or the folder cannot be made.
        TokaidoError: A file could not be written; no key is left.
    """
    folder = path_of(folder, "the folder of the signing key")
    private, public = folder / SIGNING_KEY_FILE, folder / PUBLIC_KEY_FILE
    if public.exists():
        raise ConfigurationError(f"{public} exists, and is not overwritten", remedy="Choose another folder")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"the folder {folder} cannot be made: {error.strerror}") from error
    key = Ed25519PrivateKey.generate()
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    write_new(private, secret, mode=MODE_OF_SECRETS)
    try:
        write_new(public, key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo))
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            private.unlink()
        raise
    return private, public


def sign(path: str | Path, key: str | Path, output: str | Path) -> Topology:
    """Write a topology file with its signature, and return what it says.

    Args:
        path: The file of a person, without a signature.
        key: File of the private key.
        output: Overwritten if it is an older topology of the same network.

    Raises:
        ConfigurationError: With every mistake in the file; or the key cannot be used, the file is signed already, or
            the output is something else.
        TokaidoError: The output could not be written.
    """
    path, output = path_of(path, "the topology file"), path_of(output, "the signed topology file")
    data = read_bytes(path)
    if _TRAILER in data:
        raise ConfigurationError(
            f"the topology file {path} is signed already",
            remedy="Sign the file without its last line, under its own name",
        )
    topology = topology_from_text(decoded(data, path), path)
    private = _signing_key(path_of(key, "the signing key's file"))
    if not data.endswith(b"\n"):
        data += b"\n"
    _check_output(output, topology)
    signature = base64.b64encode(private.sign(_DOMAIN + data))
    write_whole(output, data + _TRAILER + signature + b"\n")
    return topology


def read_signed(path: str | Path, public_key: str | Path) -> Topology:
    """Return what a signed topology file says, after its signature was verified.

    Whether it is valid now and newer than the one before is for the caller to judge: `valid_at`, `serial`.

    Args:
        path: The signed file.
        public_key: File of the public key, which nobody but its reader and root may alter.

    Raises:
        AuthenticationError: The signature is missing or wrong.
        ConfigurationError: With every mistake in the file; or a file cannot be read, or the key's is not believed.
    """
    path = path_of(path, "the topology file")
    return topology_from_signed(read_bytes(path), public_key, path)


def topology_from_signed(data: bytes, public_key: str | Path, path: Path | None = None) -> Topology:
    """Return what the bytes of a signed topology file say, after their signature was verified.

    Args:
        data: All of them.
        public_key: File of the public key, which nobody but its reader and root may alter.
        path: Where they come from, for errors.

    Raises:
        AuthenticationError: The signature is missing or wrong.
        ConfigurationError: With every mistake in the file; or the public key's is not believed.
    """
    what = "the topology" if path is None else f"the topology file {path}"
    key = _public_key(path_of(public_key, "the public key's file"))
    text, trailer, signature = data.rpartition(_TRAILER)
    if not trailer:
        raise AuthenticationError(f"{what} is not signed", remedy="Sign it: tokaido node topology sign")
    if not _SIGNATURE.fullmatch(signature) or not text.endswith(b"\n"):
        raise AuthenticationError(f"{what} does not end with the line of its signature", remedy="Get it again")
    try:
        key.verify(base64.b64decode(signature), _DOMAIN + text)
    except InvalidSignature as error:
        raise AuthenticationError(
            f"the signature of {what} is wrong: it was altered (line endings count), or signed by another key than "
            f"that of {public_key}",
            remedy="Get it again from the person who signed it",
        ) from error
    return topology_from_text(decoded(text, path), path)


def _check_output(output: Path, topology: Topology) -> None:
    if not output.exists():
        return
    try:
        before = read_topology(output)
    except ConfigurationError as error:
        raise ConfigurationError(
            f"{output} exists, is not a topology file, and is not overwritten", remedy="Choose another name"
        ) from error
    if before.network != topology.network:
        raise ConfigurationError(
            f"{output} is a topology of {before.network}, not of {topology.network}, and is not overwritten",
            remedy="Choose another name",
        )
    if before.serial >= topology.serial:
        raise ConfigurationError(
            f"{output} has serial {before.serial} already, and nodes take none that is not higher: the new one has "
            f"{topology.serial}",
            remedy=f"Write serial = {before.serial + 1}",
        )


def _signing_key(path: Path) -> Ed25519PrivateKey:
    data = read_believed(path, "signing key", longest=_LONGEST_KEY, closed=0o077)
    try:
        key = serialization.load_pem_private_key(data, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None  # no cause: it could quote the file
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigurationError(
            f"{path} holds no private key for Ed25519 in PEM", remedy="Make one: tokaido node topology key FOLDER"
        )
    return key


def _public_key(path: Path) -> Ed25519PublicKey:
    data = read_believed(path, "public key", longest=_LONGEST_KEY)
    try:
        key = serialization.load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigurationError(
            f"{path} holds no public key for Ed25519 in PEM", remedy=f"Name the signer's {PUBLIC_KEY_FILE}"
        )
    return key
