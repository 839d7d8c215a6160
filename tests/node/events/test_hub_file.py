"""The hub file: who may connect, what they may say, and every mistake with its line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tokaido.hal import ConfigurationError
from tokaido.node.events import HubFile, hub_configuration
from tokaido.node.pki import issue, revoke
from tokaido_testing.console_runs import run_console

HUB = """
[hub]
network = "line"
authority = "pki/ca.pem"
revoked = "pki/crl.pem"
certificates = ["pki/node-*.pem", "pki/operator-*.pem"]
keepers = ["ann"]
[servers.hub-a]
listen = "127.0.0.1:4222"
cluster = "127.0.0.1:6222"
certificate = "pki/hub-hub-a.pem"
key = "pki/hub-hub-a.key"
store = "store-a"
[servers.hub-b]
listen = "127.0.0.1:4223"
cluster = "127.0.0.1:6223"
certificate = "pki/hub-hub-b.pem"
key = "pki/hub-hub-b.key"
store = "store-b"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    issue(
        tmp_path / "pki",
        nodes=dict.fromkeys(("maibara", "kyoto.2"), ()),
        operators=["ann", "bob"],
        hubs=dict.fromkeys(("hub-a", "hub-b"), ()),
    )
    (tmp_path / "hub.toml").write_text(HUB, encoding="utf-8")
    return tmp_path


def configured(folder: Path) -> dict[str, Any]:
    """Return the configuration of one server."""
    text = hub_configuration(HubFile.read(folder / "hub.toml"))["hub-a"]
    found: dict[str, Any] = json.loads(text.partition("\n")[2])
    return found


def test_each_certificate_is_a_user_with_subjects_of_its_own(folder: Path) -> None:
    found = configured(folder)
    users = {one["user"]: one["permissions"] for one in found["authorization"]["users"]}
    assert set(users) == {
        "urn:tokaido:node:maibara",
        "urn:tokaido:node:kyoto.2",
        "urn:tokaido:operator:ann",
        "urn:tokaido:operator:bob",
    }
    node = users["urn:tokaido:node:kyoto.2"]
    assert all(
        subject.startswith(("tokaido.line.kyoto%2E2.", "$JS.API.DIRECT.GET.line-records.tokaido.line.topology"))
        for subject in node["publish"]["allow"]
    )
    assert node["subscribe"]["allow"] == [
        "tokaido.line.command.kyoto%2E2.*",
        "tokaido.line.topology",
        "_INBOX_node-kyoto%2E2.>",
    ]
    bob, ann = (set(users[f"urn:tokaido:operator:{name}"]["publish"]["allow"]) for name in ("bob", "ann"))
    assert "tokaido.line.command.*.bob" in bob
    assert not any("STREAM" in subject or subject.endswith("topology") for subject in bob)
    assert {"tokaido.line.topology", "$JS.API.STREAM.CREATE.line-records"} <= ann
    assert not any("DELETE" in subject or "PURGE" in subject or subject == ">" for subject in ann)


def test_a_revoked_certificate_is_in_no_list(folder: Path) -> None:
    before = configured(folder)
    revoke(folder / "pki", ["operator-bob", "hub-hub-b"])
    after = configured(folder)
    assert len(before["tls"]["pinned_certs"]) == 4
    assert len(after["tls"]["pinned_certs"]) == 3
    assert "urn:tokaido:operator:bob" not in {one["user"] for one in after["authorization"]["users"]}
    assert len(before["cluster"]["tls"]["pinned_certs"]) == 2
    assert len(after["cluster"]["tls"]["pinned_certs"]) == 1
    assert set(before["cluster"]["tls"]["pinned_certs"]).isdisjoint(before["tls"]["pinned_certs"])


def test_every_mistake_is_told(folder: Path) -> None:
    text = HUB.replace('network = "line"', 'network = "a.b"').replace("127.0.0.1:4222", "here").replace("store-b", "")
    (folder / "hub.toml").write_text(text.replace("keepers", "keeper"), encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        HubFile.read(folder / "hub.toml")
    told = "\n".join(caught.value.mistakes)
    assert "line 3, hub.network" in told
    assert "line 7, hub.keeper: unknown key" in told
    assert "line 9, servers.hub-a.listen: must be HOST:PORT" in told
    assert "servers.hub-b.store" in told


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda folder: revoke(folder / "pki", ["operator-ann"]), "named in hub.keepers"),
        (lambda folder: issue(folder / "pki", nodes={"command": ()}), "called command"),
        (lambda folder: (folder / "pki" / "node-x.pem").write_text("no"), "holds no certificate"),
        (
            lambda folder: (folder / "pki" / "node-x.pem").write_bytes((folder / "pki" / "ca.pem").read_bytes()),
            "names no nodes or people",
        ),
    ],
)
def test_certificates_that_cannot_be_are_refused(folder: Path, change: Any, match: str) -> None:
    change(folder)
    with pytest.raises(ConfigurationError, match=match):
        configured(folder)


def test_the_console_writes_a_file_for_each_server(folder: Path) -> None:
    ran = run_console("network", "hub-config", str(folder / "hub.toml"), "-o", str(folder / "out"), "--json")
    assert ran.code == 0, ran.err
    assert set(json.loads(ran.out)["written"]) == {"hub-a", "hub-b"}
    assert "verify_and_map" in (folder / "out" / "hub-b.conf").read_text(encoding="utf-8")
