"""Signed topologies: a node reads what was signed, and nothing else."""

from __future__ import annotations

import base64
import shutil
import stat
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from tokaido.hal import AuthenticationError, ConfigurationError
from tokaido.node.topology import (
    new_signing_key,
    read_signed,
    read_topology,
    sign,
    topology_from_signed,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TEXT = """\
[topology]
network = "two"
serial = 7
valid_from = 2026-11-01T00:00:00Z
[nodes.tokyo]
url = "https://192.0.2.1:1"
[nodes.kobe]
url = "https://192.0.2.2:1"
[links.tokyo-kobe]
ends = ["tokyo", "kobe"]
"""
TRAILER = b"# tokaido topology signature, Ed25519: "


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a key pair, and a signed file `two.signed.toml` beside its unsigned one."""
    folder = tmp_path_factory.mktemp("keys")
    new_signing_key(folder)
    (folder / "two.toml").write_text(TEXT, encoding="utf-8")
    sign(folder / "two.toml", folder / "topology.key", folder / "two.signed.toml")
    return folder


def read(data: bytes, keys: Path) -> int:
    return topology_from_signed(data, keys / "topology.pub").serial


def test_a_signed_file_is_read_and_is_the_file_of_the_person_with_one_line_more(keys: Path) -> None:
    found = read_signed(keys / "two.signed.toml", keys / "topology.pub")
    assert found == read_topology(keys / "two.toml") == read_topology(keys / "two.signed.toml")
    data = (keys / "two.signed.toml").read_bytes()
    assert data.startswith(TEXT.encode() + TRAILER)
    assert data.count(b"\n") == TEXT.count("\n") + 1


def test_the_signature_is_what_the_page_says(keys: Path) -> None:
    public = serialization.load_pem_public_key((keys / "topology.pub").read_bytes())
    assert isinstance(public, Ed25519PublicKey)
    last = (keys / "two.signed.toml").read_bytes().splitlines()[-1]
    signature = base64.b64decode(last.removeprefix(TRAILER), validate=True)
    assert len(signature) == 64
    public.verify(signature, b"TOKAIDO-TOPOLOGY-1\x00\x00" + TEXT.encode())


def test_a_change_of_any_byte_is_found(keys: Path) -> None:
    data = (keys / "two.signed.toml").read_bytes()
    for at in range(len(data) - 1):
        with pytest.raises(AuthenticationError):
            read(data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :], keys)


@given(st.data())
def test_no_piece_put_in_or_taken_out_passes(keys: Path, data: st.DataObject) -> None:
    signed = (keys / "two.signed.toml").read_bytes()
    at = data.draw(st.integers(0, len(signed)))
    gone = data.draw(st.integers(0, 40))
    new = data.draw(st.binary(max_size=8) | st.sampled_from([b"\n", b"\r\n", b"serial = 9\n", TRAILER]))
    changed = signed[:at] + new + signed[at + gone :]
    if changed in (signed, signed[:-1]):
        assert read(changed, keys) == 7
        return
    with pytest.raises(AuthenticationError):
        read(changed, keys)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda data: TEXT.encode(), "is not signed"),
        (lambda data: b"", "is not signed"),
        (lambda data: data + b"serial = 9\n", "does not end with the line of its signature"),
        (lambda data: data + b"\n", "does not end with the line of its signature"),
        (lambda data: data[:-9] + b"\n", "does not end with the line of its signature"),
        (lambda data: data.replace(b"\n" + TRAILER, TRAILER), "does not end with the line of its signature"),
        (lambda data: data.replace(b"serial = 7", b"serial = 8"), "is wrong: it was altered"),
        (lambda data: data.replace(b"\n", b"\r\n"), "does not end with the line of its signature"),
        (lambda data: TEXT.encode().replace(b"\n", b"\r\n") + data[len(TEXT) :], "line endings count"),
        (lambda data: data + data[len(TEXT) :], "is wrong: it was altered"),
    ],
)
def test_what_is_wrong_is_told(keys: Path, change: Callable[[bytes], bytes], told: str) -> None:
    with pytest.raises(AuthenticationError, match=told):
        read(change((keys / "two.signed.toml").read_bytes()), keys)


def test_another_key_and_another_purpose_are_refused(keys: Path, tmp_path: Path) -> None:
    new_signing_key(tmp_path)
    with pytest.raises(AuthenticationError, match=r"signed by another key than that of .*topology\.pub"):
        read_signed(keys / "two.signed.toml", tmp_path / "topology.pub")
    private = serialization.load_pem_private_key((keys / "topology.key").read_bytes(), None)
    assert isinstance(private, Ed25519PrivateKey)
    bare = base64.b64encode(private.sign(TEXT.encode()))
    with pytest.raises(AuthenticationError, match="is wrong"):
        read(TEXT.encode() + TRAILER + bare + b"\n", keys)


def test_a_file_that_was_signed_with_mistakes_is_not_made_and_not_read(keys: Path, tmp_path: Path) -> None:
    wrong = TEXT.replace("serial = 7", "serial = 0")
    (tmp_path / "wrong.toml").write_text(wrong, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"line 3, topology\.serial"):
        sign(tmp_path / "wrong.toml", keys / "topology.key", tmp_path / "out.toml")
    assert not (tmp_path / "out.toml").exists()
    private = serialization.load_pem_private_key((keys / "topology.key").read_bytes(), None)
    assert isinstance(private, Ed25519PrivateKey)
    for text in (wrong.encode(), b"\xff\n"):
        signature = base64.b64encode(private.sign(b"TOKAIDO-TOPOLOGY-1\0\0" + text))
        with pytest.raises(ConfigurationError):
            read(text + TRAILER + signature, keys)


def test_a_last_line_without_its_end_gets_one(keys: Path, tmp_path: Path) -> None:
    (tmp_path / "two.toml").write_text(TEXT.rstrip("\n"), encoding="utf-8")
    sign(tmp_path / "two.toml", keys / "topology.key", tmp_path / "out.toml")
    assert (tmp_path / "out.toml").read_bytes() == (keys / "two.signed.toml").read_bytes()


def test_an_output_gives_way_to_a_newer_issue_of_its_network_alone(keys: Path, tmp_path: Path) -> None:
    newer = tmp_path / "two.toml"
    output = tmp_path / "two.signed.toml"
    shutil.copy(keys / "two.signed.toml", output)
    before = output.read_bytes()

    def signed(text: str) -> int:
        newer.write_text(text, encoding="utf-8")
        return sign(newer, keys / "topology.key", output).serial

    with pytest.raises(ConfigurationError, match=r"has serial 7 already.*Write serial = 8"):
        signed(TEXT)
    with pytest.raises(ConfigurationError, match="is a topology of two, not of three"):
        signed(TEXT.replace('"two"', '"three"').replace("serial = 7", "serial = 9"))
    assert output.read_bytes() == before
    assert signed(TEXT.replace("serial = 7", "serial = 8")) == 8
    assert read_signed(output, keys / "topology.pub").serial == 8
    output.write_text("a diary", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="is not a topology file, and is not overwritten"):
        signed(TEXT)
    assert output.read_text(encoding="utf-8") == "a diary"


def test_a_signed_file_is_not_signed_again(keys: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is signed already"):
        sign(keys / "two.signed.toml", keys / "topology.key", tmp_path / "out.toml")


def test_keys_are_made_once_and_the_private_one_is_closed(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "keys"
    private, public = new_signing_key(folder)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (folder, private, public)]
    assert modes == [0o700, 0o600, 0o644]
    assert b"PRIVATE" not in public.read_bytes()
    before = private.read_bytes()
    for left in (private, public):
        other = folder / "put-away"
        left.rename(other)
        with pytest.raises(ConfigurationError, match="exists, and is not overwritten"):
            new_signing_key(folder)
        assert not left.exists()
        other.rename(left)
    assert private.read_bytes() == before


def test_keys_that_cannot_be_used_are_told(keys: Path, tmp_path: Path) -> None:
    opened = tmp_path / "open.key"
    shutil.copy(keys / "topology.key", opened)
    opened.chmod(0o644)
    with pytest.raises(ConfigurationError, match="is open to others"):
        sign(keys / "two.toml", opened, tmp_path / "out.toml")
    loose = tmp_path / "loose.pub"
    shutil.copy(keys / "topology.pub", loose)
    loose.chmod(0o666)
    with pytest.raises(ConfigurationError, match="is not believed"):
        read_signed(keys / "two.signed.toml", loose)
    (tmp_path / "secret.key").touch(mode=0o600)
    (tmp_path / "secret.key").write_text("-----BEGIN PRIVATE KEY-----\nsesame\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="holds no private key for Ed25519") as caught:
        sign(keys / "two.toml", tmp_path / "secret.key", tmp_path / "out.toml")
    assert "sesame" not in str(caught.value)
    assert caught.value.__cause__ is caught.value.__context__ is None
    curve = ec.generate_private_key(ec.SECP256R1()).public_key()
    other = tmp_path / "other.pub"
    other.write_bytes(curve.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))
    with pytest.raises(ConfigurationError, match="holds no public key for Ed25519"):
        read_signed(keys / "two.signed.toml", other)
    with pytest.raises(ConfigurationError, match="holds no public key for Ed25519"):
        read_signed(keys / "two.signed.toml", keys / "topology.key")
    assert not (tmp_path / "out.toml").exists()
