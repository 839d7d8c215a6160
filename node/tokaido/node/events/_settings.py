"""The table `events` of a node file, and of a person's file: where the hub is, and who connects."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tokaido.hal import ConfigurationError
from tokaido.hal.tables import Check, Mistakes, number, of_kind, read, whole
from tokaido.node.endpoint import Role
from tokaido.node.events._subjects import RESERVED
from tokaido.node.tls import TlsFiles

if TYPE_CHECKING:
    from collections.abc import Mapping

ROWS: Final = 20_000
EVERY_S: Final = 1.0
ROLES: Final = tuple(role.value for role in Role)
NETWORK_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")
SERVER: Final = re.compile(r"tls://[^/?#@\s]+:\d{1,5}")
_TEXT: Final = Check(lambda value: isinstance(value, str) and bool(value), "text in quotes")
_SERVERS: Final = Check(
    lambda value: (
        isinstance(value, list) and bool(value) and all(isinstance(one, str) and SERVER.fullmatch(one) for one in value)
    ),
    'a list of servers, such as ["tls://192.0.2.11:4222"]',
)
_ROLES: Final = Check(
    lambda value: isinstance(value, list) and bool(value) and all(one in ROLES for one in value),
    f"a list of roles, each one of {', '.join(ROLES)}",
)
_FILES: Final = {"certificate": _TEXT, "key": _TEXT, "authority": _TEXT, "revoked": _TEXT}
_KEYS: Final = {
    "network": Check(
        lambda value: isinstance(value, str) and bool(NETWORK_NAME.fullmatch(value)),
        "a name of 1 to 32 of A-Z a-z 0-9 _ -",
    ),
    "servers": _SERVERS,
    **_FILES,
    "every_s": Check(number(0.2, 3600), "a number of seconds, 0.2 to 3600"),
    "rows": Check(whole(100, 10_000_000), "a whole number of messages, 100 to 10000000"),
    "topology": Check(of_kind(bool), "true or false"),
}


@dataclass(frozen=True, slots=True)
class EventsSettings:
    """What a file says of the bus."""

    network: str
    servers: tuple[str, ...]
    """`tls://HOST:PORT` each; any of the hub's."""
    tls: TlsFiles
    every_s: float = EVERY_S
    """How often telemetry goes out, in s."""
    rows: int = ROWS
    """Most messages in the outbox, but for those that are never dropped."""
    topology: bool = False
    """Whether topologies are taken from the bus."""
    operators: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Roles of the people who may give commands, by the name in their certificate."""

    @classmethod
    def read(
        cls, mistakes: Mistakes, tables: Mapping[str, Any], base: Path, files: TlsFiles | None = None
    ) -> EventsSettings | None:
        """Return what the table says, and note its mistakes; None if there is no such table.

        Args:
            mistakes: Where they are noted.
            tables: Of the file.
            base: Folder that files are relative to.
            files: The certificates that are used where the table names none.
        """
        if "events" not in tables:
            return None
        table = mistakes.table((), tables, "events")
        entry = mistakes.checked("events", {k: v for k, v in table.items() if k != "operators"}, _KEYS)
        needed = {"network": '"tokaido"', "servers": '["tls://192.0.2.11:4222"]'}
        if files is None or any(key in table for key in _FILES):
            needed |= {"certificate": '"me.pem"', "key": '"me.key"', "authority": '"ca.pem"'}
            revoked = base / entry["revoked"] if "revoked" in entry else None
            paths = [base / str(entry.get(key, "")) for key in ("certificate", "key", "authority")]
            files = TlsFiles(paths[0], paths[1], paths[2], revoked)
        for key, example in needed.items():
            if key not in table:
                mistakes.note(("events",), f"{key} is missing, such as {key} = {example}")
        operators: dict[str, frozenset[str]] = {}
        listed = mistakes.table(("events",), table, "operators")
        for name in listed:
            one = mistakes.checked(
                f"events.operators.{name}",
                mistakes.table(("events", "operators"), listed, name),
                {"roles": _ROLES},
            )
            if "roles" not in one:
                mistakes.note(("events", "operators", name), 'roles is missing, such as roles = ["operator"]')
            operators[name] = frozenset(one.get("roles", ()))
        more = {key: entry[key] for key in ("every_s", "rows", "topology") if key in entry}
        return cls(entry.get("network", "tokaido"), tuple(entry.get("servers", ())), files, operators=operators, **more)

    @property
    def fixed(self) -> dict[str, object]:
        """What only a restart of a node can change."""
        return {"network": self.network, "servers": self.servers, "topology": self.topology, "rows": self.rows}

    @classmethod
    def from_file(cls, path: Path) -> EventsSettings:
        """Return what a person's file says: a table `events` with certificates.

        Raises:
            ConfigurationError: With every mistake in it.
        """
        text, tables = read(path, "the network file")
        mistakes = Mistakes(text)
        mistakes.only((), tables, ("events",))
        found = cls.read(mistakes, tables, path.resolve().parent)
        if found is None:
            mistakes.note(("events",), "there is no such table")
        if mistakes or found is None:
            raise ConfigurationError(
                f"the network file {path} has {len(mistakes)} mistake{'s' if len(mistakes) > 1 else ''}: "
                + "; ".join(mistakes),
                mistakes=tuple(mistakes),
            )
        return found


def check_node_name(mistakes: Mistakes, name: str) -> None:
    """Note that a node on the bus cannot have such a name."""
    if name in RESERVED:
        mistakes.note(("node", "name"), f"no node on a bus may be called {name!r}")
