"""The client for programs with asyncio."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Self

import aiohttp

from tokaido.hal import DeviceTimeoutError, NotConnectedError, OutcomeUnknownError, ProtocolError, RangeError
from tokaido.node.client._messages import (
    JSON,
    LONGEST,
    KeyManagerStatus,
    address_of,
    decoded,
    ids_request,
    key_request,
    keys_in,
    path_of,
    refusal,
)
from tokaido.node.client._sync import TIMEOUT_S
from tokaido.node.tls import client_context

if TYPE_CHECKING:
    import uuid
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from tokaido.node.client._messages import ClientKey
    from tokaido.node.tls import TlsFiles


class AsyncKeyClient:
    """Asks one key manager for keys, as `KeyClient` does; calls go on at once, on a connection each.

    Args:
        url: Of the key manager: `https://HOST:PORT`.
        files: Certificate and key of the application, and the authority of the key manager.
        timeout_s: For every call, connecting included.
    """

    def __init__(self, url: str, files: TlsFiles, *, timeout_s: float = TIMEOUT_S) -> None:
        address_of(url)
        self._url = url.rstrip("/")
        self._context = client_context(files)
        self._timeout_s = timeout_s
        self._session: aiohttp.ClientSession | None = None

    async def status(self, other: str) -> KeyManagerStatus:
        """Return how many keys there are to share with another application, as `KeyClient.status`."""
        return decoded(await self._call("GET", path_of(other, "status"), None), KeyManagerStatus)

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
        if number < 1:
            raise RangeError(f"{number} keys cannot be asked for")
        body = key_request(number, size, further_slaves, mandatory or {}, optional or {})
        data = await self._call("POST", path_of(slave, "enc_keys"), body)
        return keys_in(data, number=number, size=size)

    async def dec_keys(self, master: str, key_ids: Sequence[uuid.UUID]) -> tuple[ClientKey, ...]:
        """Return the keys that `master` got under these ids, as `KeyClient.dec_keys`."""
        if not key_ids:
            raise RangeError("no key is asked for")
        data = await self._call("POST", path_of(master, "dec_keys"), ids_request(key_ids))
        return keys_in(data, number=len(key_ids), size=None, ids=key_ids)

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _call(self, method: str, path: str, body: bytes | None) -> bytes:
        if self._session is None:
            connector = aiohttp.TCPConnector(ssl=self._context, limit=64)
            self._session = aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False, trust_env=False
            )
        headers = {"Accept": JSON} | ({"Content-Type": JSON} if body is not None else {})
        data = bytearray()
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                self._session.request(
                    method, self._url + path, data=body, headers=headers, allow_redirects=False
                ) as response,
            ):
                async for piece in response.content.iter_any():
                    data += piece
                    if len(data) > LONGEST:
                        raise ProtocolError(f"an answer is longer than {LONGEST} bytes")
                if response.status != 200:
                    raise refusal(response.status, data, response.headers.get("Retry-After"))
        except (aiohttp.ClientConnectorError, aiohttp.InvalidURL) as error:
            raise NotConnectedError(
                f"the key manager at {self._url} cannot be reached: {error}",
                remedy="Check address, certificate and authority",
            ) from None
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            data[:] = bytes(len(data))
            late = isinstance(error, TimeoutError)
            what = "did not answer in time" if late else f"closed or broke the connection ({error})"
            if method == "POST":
                raise OutcomeUnknownError(
                    f"the key manager {what}; keys may have been given to nobody",
                    remedy="Ask for new keys; those are not given again",
                ) from None
            if late:
                raise DeviceTimeoutError(f"the key manager {what}", elapsed_s=self._timeout_s) from None
            raise NotConnectedError(f"the key manager {what}") from None
        return bytes(data)
