"""The table `endpoint` of a node file: where the control endpoint listens, and who may connect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tokaido.hal import ConfigurationError
from tokaido.hal.tables import Check, Mistakes
from tokaido.hal.transports import CurveClient, load_curve_public, load_curve_secret
from tokaido.node.endpoint._desk import Role

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tokaido.hal.transports import CurveKeyPair

ROLES: Final = tuple(role.value for role in Role)
_TEXT: Final = Check(lambda value: isinstance(value, str) and bool(value), "text in quotes")
_ROLES: Final = Check(
    lambda value: isinstance(value, list) and bool(value) and all(one in ROLES for one in value),
    f"a list of roles, each one of {', '.join(ROLES)}",
)


@dataclass(frozen=True, slots=True)
class ListedClient:
    """One client that may connect."""

    key_file: Path
    """Its public CURVE key."""
    roles: frozenset[str]


@dataclass(frozen=True, slots=True)
class EndpointSettings:
    """What a node file says of the control endpoint."""

    listen: str
    """`tcp://HOST:PORT`."""
    key_file: Path
    """The node's own secret CURVE key, mode 0600."""
    clients: Mapping[str, ListedClient]

    @classmethod
    def read(cls, mistakes: Mistakes, tables: Mapping[str, Any], base: Path) -> EndpointSettings | None:
        """Return what the table says, and note its mistakes; None if there is no such table."""
        if "endpoint" not in tables:
            return None
        table = mistakes.table((), tables, "endpoint")
        entry = mistakes.checked(
            "endpoint", {k: v for k, v in table.items() if k != "clients"}, {"listen": _TEXT, "key_file": _TEXT}
        )
        for key, example in (("listen", "127.0.0.1:8475"), ("key_file", "keys/node.key_secret")):
            if key not in table:
                mistakes.note(("endpoint",), f'{key} is missing, such as {key} = "{example}"')
        listen = entry.get("listen", "127.0.0.1:0")
        host, _, port = listen.rpartition(":")
        if not host or not port.isascii() or not port.isdigit() or not 0 <= int(port) <= 65535:
            mistakes.note(("endpoint", "listen"), f"must be HOST:PORT, not {listen!r}")
        clients: dict[str, ListedClient] = {}
        listed = mistakes.table(("endpoint",), table, "clients")
        if not listed:
            mistakes.note(("endpoint",), "clients is missing: a table [endpoint.clients.NAME] for each client")
        for name in listed:
            where = f"endpoint.clients.{name}"
            one = mistakes.checked(
                where, mistakes.table(("endpoint", "clients"), listed, name), {"key_file": _TEXT, "roles": _ROLES}
            )
            if "key_file" not in listed[name] or "roles" not in listed[name]:
                mistakes.note(("endpoint", "clients", name), "needs key_file (its public key) and roles")
            clients[name] = ListedClient(base / one.get("key_file", ""), frozenset(one.get("roles", ())))
        return cls(f"tcp://{listen}", base / entry.get("key_file", ""), clients)

    def identities(self) -> tuple[CurveKeyPair, tuple[CurveClient, ...]]:
        """Return the node's own keys, and who may connect.

        Raises:
            ConfigurationError: With every key file that cannot be used.
        """
        mistakes: list[str] = []
        found: list[CurveClient] = []
        for name, listed in self.clients.items():
            try:
                found.append(CurveClient(load_curve_public(listed.key_file), name, listed.roles))
            except ConfigurationError as error:
                mistakes.append(f"endpoint.clients.{name}: {error}")
        if mistakes:
            raise ConfigurationError("the list of clients of the control endpoint is wrong", mistakes=tuple(mistakes))
        return load_curve_secret(self.key_file), tuple(found)
