"""A test authority: one call makes all certificates, nothing is overwritten, and others may not look."""

from __future__ import annotations

import datetime
import stat
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from tokaido.hal import ConfigurationError
from tokaido.node import pki

if TYPE_CHECKING:
    from pathlib import Path


def certificate(folder: Path, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((folder / f"{name}.pem").read_bytes())


def test_one_call_makes_all_of_it_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "pki"
    made = pki.issue(folder, nodes={"otemachi": [], "koganei": []}, saes=["bank-tokyo"])
    assert [one.name for one in made] == ["node-otemachi", "node-koganei", "sae-bank-tokyo"]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert len(list(folder.iterdir())) == 3 + 2 * 3


def test_certificates_are_p_256_short_lived_and_say_what_they_are_for(tmp_path: Path) -> None:
    made = pki.issue(tmp_path / "pki", nodes={"otemachi": ["kme.example.net", "192.0.2.7"]}, saes=["bank"])
    node, sae = (certificate(tmp_path / "pki", one.name) for one in made)
    assert isinstance(node.public_key(), ec.EllipticCurvePublicKey)
    days = (made[0].not_after - datetime.datetime.now(datetime.UTC)).total_seconds() / 86400
    assert 29.9 < days <= 30
    names = node.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["urn:tokaido:node:otemachi"]
    assert names.get_values_for_type(x509.DNSName) == ["kme.example.net"]
    assert [str(one) for one in names.get_values_for_type(x509.IPAddress)] == ["192.0.2.7"]
    uses = [set(one.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) for one in (node, sae)]
    client, server = x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH, x509.oid.ExtendedKeyUsageOID.SERVER_AUTH
    assert uses == [{client, server}, {client}]


def test_more_are_made_later_by_the_same_authority(tmp_path: Path) -> None:
    pki.issue(tmp_path / "pki", nodes={"otemachi": []}, days=2)
    later = pki.issue(tmp_path / "pki", saes=["bank"], days=90)
    authority = certificate(tmp_path / "pki", "ca")
    certificate(tmp_path / "pki", "sae-bank").verify_directly_issued_by(authority)
    assert later[0].not_after == authority.not_valid_after_utc  # none outlives it


def test_nothing_is_overwritten_and_every_mistake_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "pki"
    pki.issue(folder, saes=["bank"])
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(ConfigurationError) as told:
        pki.issue(folder, nodes={"a/b": []}, saes=["bank", "shop", "shop"])
    assert "a/b" in str(told.value)
    assert "sae-bank.pem exists" in str(told.value)
    assert "twice" in str(told.value)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("days", [0, -1, 4000, "30"])
def test_a_validity_that_is_none_is_refused(tmp_path: Path, days: float) -> None:
    with pytest.raises((ConfigurationError, TypeError)):
        pki.issue(tmp_path / "pki", saes=["bank"], days=days)
    assert not (tmp_path / "pki").exists()


def test_a_host_that_is_none_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="neither a DNS name"):
        pki.issue(tmp_path / "pki", nodes={"otemachi": ["köln.example"]})
    assert not (tmp_path / "pki").exists()


def test_a_folder_that_others_may_look_into_is_refused(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o755)
    with pytest.raises(ConfigurationError, match=r"open to others.*chmod 700"):
        pki.issue(tmp_path / "open", saes=["bank"])
    assert list((tmp_path / "open").iterdir()) == []


def test_revoking_adds_to_the_list_and_may_be_repeated(tmp_path: Path) -> None:
    folder = tmp_path / "pki"
    pki.issue(folder, nodes={"both": []}, saes=["both", "bank"])
    with pytest.raises(ConfigurationError, match="several have it"):
        pki.revoke(folder, ["both"])
    for names in (["bank"], ["node-both"], ["bank"]):
        assert pki.revoke(folder, names) == folder / "crl.pem"
    listed = x509.load_pem_x509_crl((folder / "crl.pem").read_bytes())
    assert {one.serial_number for one in listed} == {
        certificate(folder, name).serial_number for name in ("sae-bank", "node-both")
    }
    assert listed.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number == 4
    assert stat.S_IMODE((folder / "crl.pem").stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["nobody", "ca", "../pki/sae-bank", ""])
def test_what_has_no_certificate_cannot_be_revoked(tmp_path: Path, name: str) -> None:
    pki.issue(tmp_path / "pki", saes=["bank"])
    with pytest.raises(ConfigurationError, match="cannot be revoked"):
        pki.revoke(tmp_path / "pki", [name])


def test_a_folder_without_an_authority_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"ca\.pem"):
        pki.revoke(tmp_path, ["bank"])
