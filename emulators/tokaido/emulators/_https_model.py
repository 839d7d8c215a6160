"""Models of boxes that are HTTPS servers: what they hear and say is HTTP, below which a wire end has TLS."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from tokaido.emulators._model import DeviceModel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Said = tuple[bytes, bytes, bool]
"""The number of a connection, bytes for it, and whether nothing more follows on it."""


class HttpsModel(DeviceModel, ABC):
    """One or two servers, each of which a wire end carries; the first is the port `control`."""

    STREAM_PORTS = ("control",)
    wire_ends = ("https",)
    SERVERS: ClassVar[Sequence[str]] = ("control",)
    """Names of the servers: that of the port `control`, and that of its counterpart if there is one."""

    @property
    @abstractmethod
    def clients(self) -> Mapping[str, str]:
        """Who has a certificate for each server, by the server's name."""

    @abstractmethod
    def query(self, server: str) -> str:
        """Return what stands behind the address in the resource of a server, such as `end=master`."""

    @abstractmethod
    def hear(self, server: str, connection: bytes, client: str, data: bytes) -> None:
        """Take bytes that arrive at a server now, from a client that proved to be `client`."""

    @abstractmethod
    def say(self, server: str) -> list[Said]:
        """Return, once, what a server has to send now."""

    @abstractmethod
    def has_said(self, server: str) -> bool:
        """Return whether a server has something to send now."""

    @abstractmethod
    def hung_up(self, server: str, connection: bytes) -> None:
        """Take note that a connection ended."""

    @property
    def distrusts(self) -> bool:
        """Whether its servers take no client's certificate now."""
        return False

    def receive(self, port: str, data: bytes) -> None:
        """Refuse: bytes come by `hear`."""
        raise KeyError(f"the port {port} takes no {len(data)} bytes without TLS")

    def take(self, port: str) -> bytes:
        """Refuse: bytes go by `say`."""
        raise KeyError(port)

    def has_output(self, port: str) -> bool:
        """Return whether the server at the port `control` has something to send."""
        return port in self.STREAM_PORTS and self.has_said(self.SERVERS[0])
