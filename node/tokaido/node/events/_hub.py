"""The configuration of a hub's servers, from a file of ours and the certificates of all who may connect."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import quote, unquote

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from tokaido.hal import ConfigurationError
from tokaido.hal.files import read_believed
from tokaido.hal.tables import Check, Mistakes, read
from tokaido.node.events._settings import NETWORK_NAME
from tokaido.node.events._subjects import KINDS, RESERVED, Subjects, inbox, node_user, operator_user
from tokaido.node.tls import LONGEST_CRL, NODE_URI, OPERATOR_URI

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

STORE_BYTES: Final = 20 << 30
_LONGEST_FILE: Final = 1 << 20
_TEXT: Final = Check(lambda value: isinstance(value, str) and bool(value), "text in quotes")
_TEXTS: Final = Check(
    lambda value: isinstance(value, list) and all(isinstance(one, str) and one for one in value), "a list of texts"
)
_NAME: Final = Check(
    lambda value: isinstance(value, str) and bool(NETWORK_NAME.fullmatch(value)), "a name of 1 to 32 of A-Z a-z 0-9 _ -"
)
_HUB: Final = {"network": _NAME, "authority": _TEXT, "revoked": _TEXT, "certificates": _TEXTS, "keepers": _TEXTS}
_SERVER: Final = {"listen": _TEXT, "cluster": _TEXT, "certificate": _TEXT, "key": _TEXT, "store": _TEXT}


@dataclass(frozen=True, slots=True)
class HubServer:
    """One server of the hub."""

    name: str
    listen: str
    """`HOST:PORT` for nodes and people."""
    cluster: str
    """`HOST:PORT` for the other servers; empty: it stands alone."""
    certificate: Path
    key: Path
    store: Path
    """Folder of its streams."""


@dataclass(frozen=True, slots=True)
class HubFile:
    """What a hub file says. `read` makes it."""

    network: str
    authority: Path
    revoked: Path | None
    certificates: tuple[Path, ...]
    """Of all who may connect, if they are not revoked."""
    keepers: frozenset[str]
    servers: Mapping[str, HubServer]

    @classmethod
    def read(cls, path: Path) -> HubFile:
        """Return what a hub file says.

        Raises:
            ConfigurationError: With every mistake in it.
        """
        text, tables = read(path, "the hub file")
        mistakes, base = Mistakes(text), path.resolve().parent
        mistakes.only((), tables, ("hub", "servers"))
        hub = mistakes.checked("hub", mistakes.table((), tables, "hub"), _HUB)
        for key, example in (
            ("network", '"tokaido"'),
            ("authority", '"pki/ca.pem"'),
            ("certificates", '["pki/*.pem"]'),
        ):
            if key not in hub:
                mistakes.note(("hub",), f"{key} is missing, such as {key} = {example}")
        files: list[Path] = []
        for pattern in hub.get("certificates", ()):
            found = sorted(base.glob(pattern)) if not pattern.startswith("/") else [base / pattern]
            if not found:
                mistakes.note(("hub", "certificates"), f"no file fits {pattern!r}")
            files += found
        servers: dict[str, HubServer] = {}
        listed = mistakes.table((), tables, "servers")
        for name in listed:
            one = mistakes.checked(f"servers.{name}", mistakes.table(("servers",), listed, name), _SERVER)
            missing = [key for key in _SERVER if key not in one and (key != "cluster" or len(listed) > 1)]
            for key in missing:
                mistakes.note(("servers", name), f"{key} is missing")
            if not NETWORK_NAME.fullmatch(name):
                mistakes.note(("servers", name), "is not a name of 1 to 32 of A-Z a-z 0-9 _ -")
            for key in ("listen", "cluster"):
                if key in one and not re.fullmatch(r"[^\s\"]+:\d{1,5}", one[key]):
                    mistakes.note(("servers", name, key), f"must be HOST:PORT, not {one[key]!r}")
            paths = [base / str(one.get(key, "")) for key in ("certificate", "key", "store")]
            servers[name] = HubServer(name, one.get("listen", ""), one.get("cluster", ""), *paths)
        if not listed:
            mistakes.note(("servers",), "there is none: a table [servers.NAME] for each")
        if mistakes:
            raise ConfigurationError(
                f"the hub file {path} has {len(mistakes)} mistake{'s' if len(mistakes) > 1 else ''}: "
                + "; ".join(mistakes),
                mistakes=tuple(mistakes),
            )
        revoked = base / hub["revoked"] if "revoked" in hub else None
        keepers = frozenset(hub.get("keepers", ()))
        return cls(hub["network"], base / hub["authority"], revoked, tuple(dict.fromkeys(files)), keepers, servers)


class _LetIn(NamedTuple):
    """Who may connect."""

    users: Mapping[str, dict[str, Any]]
    """Permissions, by the URI of the certificate."""
    pins: Sequence[str]
    own_pins: Sequence[str]
    """Of the servers, among themselves."""


def hub_configuration(hub: HubFile, *, store_bytes: int = STORE_BYTES) -> dict[str, str]:
    """Return the configuration of each server, by its name.

    Args:
        hub: What the hub file says.
        store_bytes: How much each server may keep on its disk.

    Raises:
        ConfigurationError: A certificate or the revocation list cannot be used.
    """
    good = _good(hub, hub.certificates)
    pins: list[str] = []
    users: dict[str, dict[str, Any]] = {}
    for path, certificate in good:
        name, user = _user(path, certificate, hub)
        if user is not None:
            users[name] = user
            pins.append(_pin(certificate))
    missing = hub.keepers - {unquote(uri.removeprefix(OPERATOR_URI)) for uri in users if uri.startswith(OPERATOR_URI)}
    if missing:
        raise ConfigurationError(
            f"no good certificate is there of {', '.join(sorted(missing))}, named in hub.keepers",
            remedy="Add it to hub.certificates",
        )
    own = _good(hub, [server.certificate for server in hub.servers.values()])
    let_in = _LetIn(users, pins, [_pin(certificate) for _, certificate in own])
    return {name: _text(_server(hub, server, let_in, store_bytes)) for name, server in hub.servers.items()}


def node_permissions(network: str, node: str) -> dict[str, Any]:
    """Return what a node may publish and hear."""
    subjects = Subjects(network)
    publish = [subjects.of(node, kind) for kind in KINDS]
    publish += [f"{subjects.of(node, 'answer')}.*"]
    publish += [f"$JS.API.DIRECT.GET.{subjects.records_stream}.{subjects.topology}"]
    return _permissions(publish, [subjects.command(node, "*"), subjects.topology, f"{inbox(node_user(node))}.>"])


def operator_permissions(network: str, who: str, *, keeper: bool) -> dict[str, Any]:
    """Return what a person may publish and hear; a keeper also makes streams and publishes topologies."""
    subjects = Subjects(network)
    streams = (subjects.telemetry_stream, subjects.records_stream)
    publish = [subjects.command("*", who)]
    for stream in streams:
        publish += [f"$JS.API.DIRECT.GET.{stream}", f"$JS.API.DIRECT.GET.{stream}.>"]
    if keeper:
        publish.append(subjects.topology)
        for act in ("CREATE", "UPDATE", "INFO"):
            publish += [f"$JS.API.STREAM.{act}.{stream}" for stream in streams]
    return _permissions(publish, [subjects.everything, f"{inbox(operator_user(who))}.>"])


def _permissions(publish: Sequence[str], hear: Sequence[str]) -> dict[str, Any]:
    return {"publish": {"allow": list(publish)}, "subscribe": {"allow": list(hear)}}


def _user(path: Path, certificate: x509.Certificate, hub: HubFile) -> tuple[str, dict[str, Any] | None]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    except (x509.ExtensionNotFound, ValueError):
        uris = []
    ours = [uri for uri in uris if uri.startswith((NODE_URI, OPERATOR_URI))]
    if len(ours) != 1:
        raise ConfigurationError(
            f"the certificate {path} names {len(ours) or 'no'} nodes or people",
            remedy=f"It needs one URI: {NODE_URI}NAME or {OPERATOR_URI}NAME",
        )
    (uri,) = ours
    kind = NODE_URI if uri.startswith(NODE_URI) else OPERATOR_URI
    name = unquote(uri.removeprefix(kind))
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name) or uri != f"{kind}{quote(name)}":
        raise ConfigurationError(f"the certificate {path} has a name that no subject can bear: {name!r}")
    if kind == NODE_URI:
        if name in RESERVED:
            raise ConfigurationError(f"the certificate {path} is one of a node called {name}: the bus has none")
        return uri, node_permissions(hub.network, name)
    return uri, operator_permissions(hub.network, name, keeper=name in hub.keepers)


def _good(hub: HubFile, paths: Iterable[Path]) -> list[tuple[Path, x509.Certificate]]:
    """Return the certificates that are not revoked."""
    revoked = _revoked(hub)
    found: list[tuple[Path, x509.Certificate]] = []
    for path in paths:
        data = read_believed(path, "certificate", longest=_LONGEST_FILE)
        try:
            certificate = x509.load_pem_x509_certificate(data)
        except ValueError as error:
            raise ConfigurationError(f"{path} holds no certificate: {error}") from error
        if (certificate.issuer, certificate.serial_number) not in revoked:
            found.append((path, certificate))
    return found


def _revoked(hub: HubFile) -> set[tuple[x509.Name, int]]:
    if hub.revoked is None:
        return set()
    try:
        authorities = x509.load_pem_x509_certificates(read_believed(hub.authority, "authority", longest=_LONGEST_FILE))
        found: set[tuple[x509.Name, int]] = set()
        data = read_believed(hub.revoked, "revocation list", longest=LONGEST_CRL)
        for pem in re.findall(rb"-----BEGIN X509 CRL-----.*?-----END X509 CRL-----", data, re.DOTALL):
            listed = x509.load_pem_x509_crl(pem)
            issuers = [one for one in authorities if one.subject == listed.issuer]
            if not any(listed.is_signature_valid(one.public_key()) for one in issuers):  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
                raise ConfigurationError(f"the revocation list {hub.revoked} is not by an authority of the hub file")
            found |= {(listed.issuer, one.serial_number) for one in listed}
    except (ValueError, TypeError) as error:
        raise ConfigurationError(f"the revocation list {hub.revoked} cannot be read: {error}") from error
    return found


def _pin(certificate: x509.Certificate) -> str:
    """Return what the servers know a certificate by: the SHA-256 of its public key in DER."""
    der = certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(der).hexdigest()


def _server(hub: HubFile, server: HubServer, let_in: _LetIn, store_bytes: int) -> dict[str, Any]:
    files = {"cert_file": str(server.certificate), "key_file": str(server.key), "ca_file": str(hub.authority)}
    found: dict[str, Any] = {
        "server_name": server.name,
        "listen": server.listen,
        "ping_interval": "10s",
        "write_deadline": "5s",
        "max_payload": 1 << 20,
        "tls": {**files, "verify_and_map": True, "timeout": 5, "pinned_certs": let_in.pins},
        "authorization": {
            "timeout": 5,
            "users": [{"user": uri, "permissions": permissions} for uri, permissions in sorted(let_in.users.items())],
        },
        "jetstream": {
            "store_dir": str(server.store),
            "max_memory_store": 1 << 26,
            "max_file_store": store_bytes,
            "sync_interval": "always",
        },
    }
    if server.cluster:
        found["cluster"] = {
            "name": hub.network,
            "listen": server.cluster,
            "no_advertise": True,
            "routes": [f"nats-route://{one.cluster}" for one in hub.servers.values()],
            "tls": {**files, "verify": True, "timeout": 5, "pinned_certs": let_in.own_pins},
        }
    return found


def _text(configuration: Mapping[str, Any]) -> str:
    """Return a configuration as the servers read it: JSON is a part of their language."""
    head = "# Written by `tokaido network hub-config`. Change the hub file, and write it again.\n"
    return head + json.dumps(configuration, indent=2) + "\n"
