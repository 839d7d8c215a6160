"""The table `server` of a station file, and every mistake in it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tokaido.hal import ConfigurationError
from tokaido.hal.tables import Mistakes, number
from tokaido.lab.sharing._holds import Role
from tokaido.lab.sharing._server import FRESH_S, DeviceServer, Listed

if TYPE_CHECKING:
    from tokaido.hal import Station

KEYS: Final = ("endpoint", "key_file", "lease_file", "fresh_s", "clients")
CLIENT_KEYS: Final = ("key_file", "role")
EXAMPLE: Final = """[server]
endpoint = "tcp://127.0.0.1:5570"
key_file = "keys/server.key_secret"
lease_file = "keys/holds.sqlite"
[server.clients.ann]
key_file = "keys/ann.key"
role = "operator\""""


def server_of(station: Station, *, endpoint: str = "") -> DeviceServer:
    """Return the device server that a station's file declares, not started yet.

    Args:
        station: Read from a file with a table `server`.
        endpoint: Where to listen, in place of what the file says.

    Raises:
        ConfigurationError: With every mistake in the table, or a key file is wrong.
        NotConnectedError: The endpoint cannot be bound.
    """
    if not station.server:
        raise ConfigurationError(f"station {station.name} has no table [server]", remedy=f"For example:\n{EXAMPLE}")
    mistakes = Mistakes("")
    mistakes.only(("server",), station.server, KEYS)
    base = station.folder or Path()

    def file(where: tuple[str, ...], table: dict[str, Any], key: str) -> Path:
        name = mistakes.text(where, table, key, "")
        if not name:
            mistakes.note(where, f"{key} is missing; it names a file")
        return base / name

    fresh_s = station.server.get("fresh_s", FRESH_S)
    if not number(0, 3600)(fresh_s):
        mistakes.note(("server", "fresh_s"), f"must be a number of seconds, 0 to 3600, not {fresh_s!r}")
    clients: dict[str, Listed] = {}
    table = mistakes.table(("server",), station.server, "clients")
    for name in table:
        where = ("server", "clients", name)
        client = mistakes.table(("server", "clients"), table, name)
        mistakes.only(where, client, CLIENT_KEYS)
        role = client.get("role", "")
        if role not in [one.value for one in Role]:
            mistakes.note((*where, "role"), f"must be {', '.join(one.value for one in Role)}, not {role!r}")
            role = Role.VIEWER.value
        clients[name] = Listed(file(where, client, "key_file"), Role(role))
    place = endpoint or mistakes.text(("server",), station.server, "endpoint", "")
    if not place.startswith("tcp://"):
        mistakes.note(("server", "endpoint"), f'must be such as "tcp://127.0.0.1:5570", not {place!r}')
    secret = file(("server",), station.server, "key_file")
    leases = file(("server",), station.server, "lease_file")
    if mistakes:
        raise ConfigurationError(f"station {station.name} cannot be served", mistakes=tuple(mistakes))
    return DeviceServer(
        station,
        endpoint=place,
        server_key_file=secret,
        clients=clients,
        lease_file=leases,
        fresh_s=float(fresh_s),
    )
