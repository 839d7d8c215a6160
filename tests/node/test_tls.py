"""Who is heard: certificates that are in date, of the authority, not revoked, and what they say of their holder."""

from __future__ import annotations

import dataclasses
import ssl
import warnings
from typing import TYPE_CHECKING

import pytest

from tokaido.hal import SYSTEM_CLOCK, ConfigurationError
from tokaido.node import pki
from tokaido.node.tls import TlsFiles, client_context, names_of, server_context
from tokaido_testing.handshakes import shaken

if TYPE_CHECKING:
    import threading
    from pathlib import Path


class Earlier:
    """The machine's clock, some days ago."""

    def __init__(self, days: float) -> None:
        self._ns = int(days * 86400e9)

    def monotonic_ns(self) -> int:
        return SYSTEM_CLOCK.monotonic_ns()

    def utc_ns(self) -> int:
        return SYSTEM_CLOCK.utc_ns() - self._ns

    def wait(self, seconds: float, event: threading.Event | None = None) -> bool:
        return SYSTEM_CLOCK.wait(seconds, event)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("pki") / "pki"
    pki.issue(found, nodes={"otemachi": [], "koganei": ["kme-b.example.net"]}, saes=["bank", "shop"])
    return found


def test_both_ends_learn_who_the_other_is(folder: Path) -> None:
    server, client = shaken(
        server_context(pki.files_of(folder, "node-otemachi")), client_context(pki.files_of(folder, "sae-bank"))
    )
    assert names_of(server) == (None, "bank")
    assert names_of(client) == ("otemachi", None)
    assert names_of(server.getpeercert()) == names_of(server.getpeercert(binary_form=True)) == (None, "bank")


def test_a_client_without_a_certificate_is_refused(folder: Path) -> None:
    nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    nobody.load_verify_locations(folder / "ca.pem")
    with pytest.raises(ssl.SSLError, match="PEER_DID_NOT_RETURN_A_CERTIFICATE"):
        shaken(server_context(pki.files_of(folder, "node-otemachi")), nobody)


def test_a_certificate_of_another_authority_is_refused(folder: Path, tmp_path: Path) -> None:
    pki.issue(tmp_path / "other", saes=["bank"])
    foreign = dataclasses.replace(
        pki.files_of(tmp_path / "other", "sae-bank"), authority=folder / "ca.pem", revoked=None
    )
    with pytest.raises(ssl.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        shaken(server_context(pki.files_of(folder, "node-otemachi")), client_context(foreign))


def test_a_certificate_that_ended_is_refused(tmp_path: Path) -> None:
    pki.issue(tmp_path / "pki", saes=["bank"], days=1, clock=Earlier(2))
    old = dataclasses.replace(pki.files_of(tmp_path / "pki", "sae-bank"), revoked=None)
    client = client_context(old, clock=Earlier(2))  # it believes that it is still in date
    with pytest.raises(ConfigurationError, match="ended on"):
        client_context(old)
    pki.issue(tmp_path / "now", nodes={"otemachi": []})
    node = dataclasses.replace(pki.files_of(tmp_path / "now", "node-otemachi"), authority=old.authority, revoked=None)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    with pytest.raises(ssl.SSLError, match="certificate has expired"):
        shaken(server_context(node), client)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_revoked_certificate_is_refused_and_others_are_not(tmp_path: Path, version: ssl.TLSVersion) -> None:
    pki.issue(tmp_path / "pki", nodes={"otemachi": []}, saes=["bank", "shop"])
    bank, shop = (client_context(pki.files_of(tmp_path / "pki", f"sae-{name}")) for name in ("bank", "shop"))
    bank.maximum_version = shop.maximum_version = version
    before = server_context(pki.files_of(tmp_path / "pki", "node-otemachi"))
    shaken(before, bank)
    pki.revoke(tmp_path / "pki", ["bank"])
    after = server_context(pki.files_of(tmp_path / "pki", "node-otemachi"))
    with pytest.raises(ssl.SSLError, match="certificate revoked"):
        shaken(after, bank)
    shaken(after, shop)


def test_a_revoked_node_is_refused_by_clients(tmp_path: Path) -> None:
    pki.issue(tmp_path / "pki", nodes={"otemachi": []}, saes=["bank"])
    server = server_context(pki.files_of(tmp_path / "pki", "node-otemachi"))
    pki.revoke(tmp_path / "pki", ["node-otemachi"])
    with pytest.raises(ssl.SSLError, match="certificate revoked"):
        shaken(server, client_context(pki.files_of(tmp_path / "pki", "sae-bank")))


def test_a_host_that_the_certificate_does_not_name_is_refused_unless_told(folder: Path) -> None:
    server = server_context(pki.files_of(folder, "node-koganei"))
    files = pki.files_of(folder, "node-otemachi")
    shaken(server, client_context(files), "kme-b.example.net")
    with pytest.raises(ssl.SSLError, match="Hostname mismatch"):
        shaken(server, client_context(files), "localhost")
    shaken(server, client_context(files, host_names=False), "localhost")


def test_an_application_cannot_stand_for_a_node(folder: Path) -> None:
    with pytest.raises(ssl.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        shaken(
            server_context(pki.files_of(folder, "sae-bank")),
            client_context(pki.files_of(folder, "node-otemachi"), host_names=False),
        )


def test_tls_1_1_is_refused(folder: Path) -> None:
    client = client_context(pki.files_of(folder, "sae-bank"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        client.minimum_version = ssl.TLSVersion.TLSv1
        client.maximum_version = ssl.TLSVersion.TLSv1_1
    client.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError, match=r"VERSION|PROTOCOL"):
        shaken(server_context(pki.files_of(folder, "node-otemachi")), client)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_no_session_is_resumed_by_a_ticket(folder: Path, version: ssl.TLSVersion) -> None:
    server = server_context(pki.files_of(folder, "node-otemachi"))
    client = client_context(pki.files_of(folder, "sae-bank"))
    client.maximum_version = version
    one, other = shaken(server, client)
    one.write(b"!")
    assert other.read(1) == b"!"  # tickets of TLS 1.3 come before it
    assert other.session is None or not other.session.has_ticket


def test_secrets_of_sessions_are_not_logged(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "secrets"))
    shaken(server_context(pki.files_of(folder, "node-otemachi")), client_context(pki.files_of(folder, "sae-bank")))
    assert not (tmp_path / "secrets").exists()


@pytest.mark.parametrize(
    ("uris", "commons", "found"),
    [
        (["urn:tokaido:node:otemachi"], ["otemachi"], ("otemachi", None)),
        (["urn:tokaido:sae:bank%20one"], ["other"], (None, "bank one")),
        (["urn:tokaido:sae:a%252Fb"], [], (None, "a%2Fb")),
        (["urn:tokaido:sae:a", "urn:tokaido:sae:b"], ["c"], (None, None)),
        (["urn:tokaido:sae:a", "urn:tokaido:sae:a"], [], (None, "a")),
        (["urn:tokaido:sae:a", "urn:tokaido:node:n"], [], ("n", "a")),
        (["urn:tokaido:node:m", "urn:tokaido:node:n"], ["c"], (None, None)),
        (["https://example.net"], ["bank"], (None, "bank")),
        ([], ["bank"], (None, "bank")),
        ([], ["bank", "shop"], (None, None)),
        ([], [], (None, None)),
        (["urn:tokaido:sae:"], ["bank"], (None, None)),
        (["urn:tokaido:sae:%FF"], ["bank"], (None, None)),
        ([], ["two\nlines"], (None, None)),
        ([], ["x" * 256], (None, None)),
    ],
)
def test_a_certificate_speaks_for_one_name_or_none(
    uris: list[str], commons: list[str], found: tuple[str | None, str | None]
) -> None:
    assert (
        names_of(
            {
                "subject": tuple((("commonName", name),) for name in commons),
                "subjectAltName": tuple(("URI", uri) for uri in uris),
            }
        )
        == found
    )


def test_no_certificate_and_no_certificate_at_all_speak_for_nobody() -> None:
    assert names_of(None) == names_of(b"") == names_of(b"\x30\x03junk") == (None, None)


@pytest.mark.parametrize("name", ["certificate", "key", "authority", "revoked"])
def test_a_file_that_is_missing_or_something_else_is_told(folder: Path, tmp_path: Path, name: str) -> None:
    files = pki.files_of(folder, "node-otemachi")
    with pytest.raises(ConfigurationError, match=r"none\.pem"):
        server_context(dataclasses.replace(files, **{name: tmp_path / "none.pem"}))
    other = tmp_path / "other.pem"
    other.write_text("not PEM at all")
    other.chmod(0o600)
    with pytest.raises(ConfigurationError, match=r"other\.pem"):
        server_context(dataclasses.replace(files, **{name: other}))


def test_a_key_that_others_may_read_is_refused(folder: Path, tmp_path: Path) -> None:
    files = pki.files_of(folder, "node-otemachi")
    shown = tmp_path / "shown.key"
    shown.write_bytes(files.key.read_bytes())
    shown.chmod(0o640)
    with pytest.raises(ConfigurationError, match=r"open to others.*chmod 600"):
        server_context(dataclasses.replace(files, key=shown))


def test_an_authority_that_others_may_write_is_refused(folder: Path, tmp_path: Path) -> None:
    files = pki.files_of(folder, "node-otemachi")
    loose = tmp_path / "ca.pem"
    loose.write_bytes(files.authority.read_bytes())
    loose.chmod(0o666)
    with pytest.raises(ConfigurationError, match="everybody may write"):
        server_context(dataclasses.replace(files, authority=loose))


def test_a_key_of_another_certificate_is_refused_and_an_encrypted_one_asks_nobody(folder: Path, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization

    files = pki.files_of(folder, "node-otemachi")
    with pytest.raises(ConfigurationError, match="cannot be used"):
        server_context(dataclasses.replace(files, key=folder / "node-koganei.key"))
    key = serialization.load_pem_private_key(files.key.read_bytes(), None)
    sealed = tmp_path / "sealed.key"
    sealed.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    sealed.chmod(0o600)
    with pytest.raises(ConfigurationError, match="unencrypted"):
        server_context(dataclasses.replace(files, key=sealed))


def test_a_revocation_list_that_nobody_could_pass_is_told_at_once(folder: Path, tmp_path: Path) -> None:
    files = pki.files_of(folder, "node-otemachi")
    pki.issue(tmp_path / "other", saes=["bank"])
    with pytest.raises(ConfigurationError, match="not by an authority"):
        server_context(dataclasses.replace(files, revoked=tmp_path / "other" / "crl.pem"))
    pki.issue(tmp_path / "old", nodes={"otemachi": []}, days=1, clock=Earlier(2))
    old: TlsFiles = pki.files_of(tmp_path / "old", "node-otemachi")
    with pytest.raises(ConfigurationError, match="nobody could connect"):
        server_context(dataclasses.replace(files, authority=old.authority, revoked=old.revoked))
