"""The device server: one program has the ports, others use the devices. docs/protocols/device-server.md."""

from __future__ import annotations

from tokaido.lab.sharing._holds import Role
from tokaido.lab.sharing._server import DeviceServer, Listed
from tokaido.lab.sharing._server_file import server_of

__all__ = ["DeviceServer", "Listed", "Role", "server_of"]
