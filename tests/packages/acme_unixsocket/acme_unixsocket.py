"""Devices behind a Unix domain socket: `unixsocket:/run/acme/switch`."""

from __future__ import annotations

import socket
from collections.abc import Mapping

from tokaido.hal import Deadline
from tokaido.hal.transports import DescriptorPort, Port, StreamTransport, TransportKind


class UnixSocketTransport(StreamTransport):
    """A stream over a Unix domain socket."""

    def _dial(self, deadline: Deadline) -> Port:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.settimeout(max(deadline.remaining_s, 1e-3))
            connection.connect(self.resource.address)
            connection.setblocking(False)
            return DescriptorPort(connection.fileno(), connection.close)
        except BaseException:
            connection.close()
            raise


def check(address: str, options: Mapping[str, str]) -> list[str]:
    """Return what is wrong with an address."""
    if address.startswith("/") and len(address.encode()) < 108:  # sun_path of unix(7)
        return []
    return ["path: should be absolute and shorter than 108 bytes; for example unixsocket:/run/acme/switch"]


KIND = TransportKind(name="unixsocket", stream=UnixSocketTransport, check=check, stands_for=frozenset({"serial"}))
