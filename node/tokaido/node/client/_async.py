"""The client for programs with asyncio."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Self

from tokaido.hal import SYSTEM_CLOCK, AuthenticationError, Deadline, ProtocolError
from tokaido.hal.wire.http import ResponseReader
from tokaido.node.client._messages import (
    LONGEST,
    PIECE,
    KeyManagerStatus,
    address_of,
    decoded,
    failed,
    ids_request,
    key_request,
    keys_in,
    taken,
)
from tokaido.node.client._sync import TIMEOUT_S
from tokaido.node.tls import client_context, names_of

if TYPE_CHECKING:
    import uuid
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from tokaido.node.client._messages import ClientKey
    from tokaido.node.tls import TlsFiles


class AsyncKeyClient:
    """Asks one key manager for keys, as `KeyClient` does; calls may go on at once, on a connection each.

    A call that is cancelled leaves the connection: what it asked for may have been given to nobody.

    Args:
        url: Of the key manager: `https://HOST:PORT`.
        files: Certificate and key of the application, and the authority of the key manager.
        node: The node that the key manager's certificate must name (clause 5.1); None: the host alone must fit.
        timeout_s: For every call, connecting included.

    Raises:
        ConfigurationError: The address or a file cannot be used.
    """

    def __init__(self, url: str, files: TlsFiles, *, node: str | None = None, timeout_s: float = TIMEOUT_S) -> None:
        self._address = address_of(url)
        self._context = client_context(files)
        self._node = node
        self._timeout_s = Deadline(SYSTEM_CLOCK, timeout_s).timeout_s

    async def status(self, other: str) -> KeyManagerStatus:
        """Return how many keys there are to share with another application, as `KeyClient.status`."""
        return decoded(await self._call("GET", other, "status", None), KeyManagerStatus)

    async def enc_keys(
        self,
        slave: str,
        *,
        number: int = 1,
        size: int | None = None,
        further_slaves: Sequence[str] = (),
        mandatory: Mapping[str, Any] | None = None,
        optional: Mapping[str, Any] | None = None,
    ) -> tuple[ClientKey, ...]:
        """Return new keys to share with `slave`, as `KeyClient.enc_keys`."""
        body = key_request(number, size, further_slaves, mandatory or {}, optional or {})
        return keys_in(await self._call("POST", slave, "enc_keys", body), number=number, size=size)

    async def dec_keys(self, master: str, key_ids: Sequence[uuid.UUID]) -> tuple[ClientKey, ...]:
        """Return the keys that `master` got under these ids, as `KeyClient.dec_keys`."""
        data = await self._call("POST", master, "dec_keys", ids_request(key_ids))
        return keys_in(data, number=len(key_ids), size=None, ids=key_ids)

    async def close(self) -> None:
        """Do nothing: no connection outlives its call."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _call(self, verb: str, other: str, method: str, body: bytes | None) -> bytearray:
        """Return the body of one answer of status 200."""
        request = self._address.request(verb, other, method, body)
        where = f"the key manager at {self._address}"
        deadline = Deadline(SYSTEM_CLOCK, self._timeout_s)
        answer, sent = ResponseReader(LONGEST), False
        try:
            async with asyncio.timeout(self._timeout_s):
                reader, writer = await self._connected(where)
                try:
                    sent = True
                    writer.write(request)
                    await writer.drain()
                    while not answer.whole:
                        if piece := await reader.read(PIECE):
                            answer.feed(memoryview(piece))
                        else:
                            answer.end()
                finally:
                    writer.transport.abort()
        except asyncio.CancelledError:
            answer.wipe()
            raise
        except (OSError, ValueError, ProtocolError) as error:  # a ValueError is of a host that cannot be one
            answer.wipe()
            raise failed(verb, sent, error, deadline, where) from None
        return taken(method, answer)

    async def _connected(self, where: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Return a connection to whom the certificate says that it is."""
        host, port, _ = self._address
        reader, writer = await asyncio.open_connection(host, port, ssl=self._context, ssl_handshake_timeout=3600)
        found = names_of(writer.get_extra_info("ssl_object"))
        if self._node is not None and found.node != self._node:
            writer.transport.abort()
            raise AuthenticationError(f"{where} is {found}, and not node {self._node}", remedy="Nothing was asked")
        return reader, writer
