"""`tokaido node pki`: certificates of a test authority, in one command."""

from __future__ import annotations

import datetime
import json
import stat
from typing import TYPE_CHECKING, Any

import pytest

from tokaido.console import main
from tokaido.node.pki import files_of
from tokaido.node.tls import client_context, names_of, server_context
from tokaido_testing.handshakes import shaken

if TYPE_CHECKING:
    from pathlib import Path


def told(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> Any:
    assert main(["node", "pki", *arguments, "--json"]) == code
    out, err = capsys.readouterr()
    return json.loads(err if code else out)


def test_one_command_makes_certificates_that_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "pki"
    made = told(
        capsys, str(folder), "--node", "otemachi", "--node", "koganei=kme.example.net,192.0.2.7", "--sae", "bank-tokyo"
    )
    assert [one["name"] for one in made["certificates"]] == ["node-otemachi", "node-koganei", "sae-bank-tokyo"]
    days = datetime.datetime.fromisoformat(made["certificates"][0]["not_after"]) - datetime.datetime.now(datetime.UTC)
    assert 29 < days.total_seconds() / 86400 <= 30
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    client = client_context(files_of(folder, "sae-bank-tokyo"))
    for node, host in (("otemachi", "localhost"), ("koganei", "192.0.2.7"), ("koganei", "kme.example.net")):
        server, seen = shaken(server_context(files_of(folder, f"node-{node}")), client, host)
        assert (names_of(server).sae, names_of(seen).node) == ("bank-tokyo", node)


def test_it_tells_people_files_and_their_end_and_no_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["node", "pki", str(tmp_path / "pki"), "--sae", "bank", "--days", "7"]) == 0
    out = capsys.readouterr().out
    end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=7)
    assert "sae-bank.pem" in out
    assert f"{end:%Y-%m-%d}" in out
    assert "for tests" in out
    assert "PRIVATE" not in out


def test_revoking_makes_the_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(tmp_path / "pki")
    told(capsys, folder, "--node", "otemachi", "--sae", "bank")
    assert told(capsys, folder, "--revoke", "bank") == {"revoked": ["bank"], "list": f"{folder}/crl.pem"}
    with pytest.raises(OSError, match="revoked"):
        shaken(
            server_context(files_of(tmp_path / "pki", "node-otemachi")),
            client_context(files_of(tmp_path / "pki", "sae-bank")),
        )
    assert main(["node", "pki", folder, "--revoke", "node-otemachi"]) == 0
    assert "SIGHUP" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((), "no name is given"),
        (("--sae", "bank", "--revoke", "bank"), "not both"),
        (("--node", "a", "--node", "a=x"), "twice"),
        (("--node", "a="), "names no host"),
        (("--sae", "a/b"), "letters, digits"),
        (("--sae", "a", "--days", "0"), "0 to 3650"),
        (("--revoke", "nobody"), "ca.pem"),
    ],
)
def test_what_cannot_be_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], text: str
) -> None:
    assert text in told(capsys, str(tmp_path / "pki"), *arguments, code=2)["error"]["message"]
    assert not (tmp_path / "pki").exists()


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told(capsys, str(tmp_path / "pki"), "--sae", "bank")
    before = (tmp_path / "pki" / "sae-bank.key").read_bytes()
    assert "not overwritten" in told(capsys, str(tmp_path / "pki"), "--sae", "bank", code=2)["error"]["message"]
    assert (tmp_path / "pki" / "sae-bank.key").read_bytes() == before
