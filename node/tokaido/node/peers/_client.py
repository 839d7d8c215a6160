"""The way to neighbours: asks one envelope at a time on each of a few kept-alive connections, and never twice."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from typing import TYPE_CHECKING, Final

from tokaido.hal import ProtocolError
from tokaido.node._extra import aiohttp
from tokaido.node.messages import MAX_BODY, decode, encode
from tokaido.node.peers._server import MOVE_PATH, PATH, TYPE
from tokaido.node.tls import end_of, names_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokaido.node.messages import Envelope

CONNECTIONS: Final = 32
"""Most connections to a neighbour."""
UNHEARD: Final = frozenset({400, 403, 404})
"""Statuses that say that the body was not even looked at, or is not a message."""


class UnansweredError(Exception):
    """No answer came. Whether the neighbour acted is unknown."""


class UnheardError(UnansweredError):
    """The neighbour says that it did not take the message."""


class Neighbour:
    """The way to one neighbour.

    Args:
        name: The node that its certificate must speak for.
        url: Scheme, host and port, such as `https://198.51.100.7:8471`.
        context: TLS of this node as a client. It is changed to demand that name: give each neighbour one of its own.
    """

    def __init__(self, name: str, url: str, context: ssl.SSLContext) -> None:
        self.name = name
        self.certificate_end_s: float | None = None
        """When the certificate ends that it showed last, in s since 1970-01-01 UTC; None: none was seen yet."""
        self._url = url.rstrip("/")
        self._session: aiohttp.ClientSession | None = None
        self._asking: Counter[aiohttp.ClientSession] = Counter()
        self._closing: set[asyncio.Task[None]] = set()
        self._take(context)

    def reload(self, context: ssl.SSLContext) -> None:
        """Take new TLS settings for the connections to come; the present ones end with the answers that they wait for.

        Args:
            context: As for `Neighbour`.
        """
        self._take(context)
        session, self._session = self._session, None
        if session is not None and not self._asking[session]:
            self._closing.add(task := asyncio.get_running_loop().create_task(session.close()))
            task.add_done_callback(self._closing.discard)

    def _take(self, context: ssl.SSLContext) -> None:
        context.sslobject_class = _speaks_for(self.name, self._see)
        self._context = context

    def _see(self, certificate: bytes) -> None:
        self.certificate_end_s = end_of(certificate)

    async def ask(self, envelope: Envelope, within_s: float) -> Envelope:
        """Return the neighbour's answer.

        Raises:
            UnansweredError: None came within `within_s`, or what came is none.
        """
        body = await self._post(PATH, encode(envelope), within_s)
        try:
            return decode(body)
        except ProtocolError as error:
            raise UnansweredError(f"{self.name} at {self._url}: {error}") from None

    async def ask_move(self, order: bytes, within_s: float) -> bytes:
        """Return the neighbour's answer to an order of a move.

        Raises:
            UnheardError: It does not take orders of moves.
            UnansweredError: None came within `within_s`.
        """
        return await self._post(MOVE_PATH, order, within_s)

    async def _post(self, path: str, data: bytes, within_s: float) -> bytes:
        session = self._session
        if session is None:
            connector = aiohttp.TCPConnector(ssl=self._context, limit=CONNECTIONS, keepalive_timeout=30.0)
            session = self._session = aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
            )
        self._asking[session] += 1
        try:
            async with (
                asyncio.timeout(within_s),
                session.post(
                    self._url + path,
                    data=data,
                    headers={"Content-Type": TYPE},
                    allow_redirects=False,
                ) as response,
            ):
                body = await _whole(response)
                if response.status != 200:
                    said = body[:200].decode("utf-8", "replace").strip()
                    kind = UnheardError if response.status in UNHEARD else UnansweredError
                    raise kind(f"{self.name} answered {response.status}: {said}")
                return body
        except TimeoutError:
            raise UnansweredError(f"{self.name} did not answer within {within_s:g} s") from None
        except (aiohttp.ClientError, OSError, ProtocolError, ValueError) as error:
            raise UnansweredError(f"{self.name} at {self._url}: {error}") from None
        finally:
            self._asking[session] -= 1
            if session is not self._session and not self._asking[session]:
                del self._asking[session]
                await session.close()

    async def close(self) -> None:
        """Close every connection."""
        sessions, self._session = (*self._asking, self._session), None
        for session in sessions:
            if session is not None:
                await session.close()


class Neighbours:
    """The ways to all neighbours, by name."""

    def __init__(self, ways: Mapping[str, Neighbour]) -> None:
        self._ways = dict(ways)

    async def ask(self, neighbour: str, envelope: Envelope, within_s: float) -> Envelope:
        """Return a neighbour's answer, as `Neighbour.ask` does."""
        way = self._ways.get(neighbour)
        if way is None:
            raise UnansweredError(f"no way leads to {neighbour}")
        return await way.ask(envelope, within_s)

    async def ask_move(self, neighbour: str, order: bytes, within_s: float) -> bytes:
        """Return a neighbour's answer to an order of a move, as `Neighbour.ask_move` does."""
        way = self._ways.get(neighbour)
        if way is None:
            raise UnheardError(f"no way leads to {neighbour}")
        return await way.ask_move(order, within_s)

    def reload(self, contexts: Mapping[str, ssl.SSLContext]) -> None:
        """Take new TLS settings, by neighbour, as `Neighbour.reload` does."""
        for name, context in contexts.items():
            self._ways[name].reload(context)

    @property
    def certificate_ends_s(self) -> Mapping[str, float]:
        """When the certificates end that neighbours showed last, in s since 1970-01-01 UTC, by neighbour."""
        ends = {name: way.certificate_end_s for name, way in self._ways.items()}
        return {name: end_s for name, end_s in ends.items() if end_s is not None}

    async def close(self) -> None:
        """Close all of them."""
        for way in self._ways.values():
            await way.close()


async def _whole(response: aiohttp.ClientResponse) -> bytes:
    if (response.content_length or 0) > MAX_BODY:
        raise ProtocolError(f"an answer of {response.content_length} bytes is longer than {MAX_BODY}")
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > MAX_BODY:
            raise ProtocolError(f"an answer is longer than {MAX_BODY} bytes")
    return bytes(body)


def _speaks_for(name: str, see: Callable[[bytes], None]) -> type[ssl.SSLObject]:
    """Return TLS objects that end the handshake, before a byte is sent, unless the peer's certificate speaks for it."""

    class SpeaksFor(ssl.SSLObject):
        def do_handshake(self) -> None:
            super().do_handshake()
            found = names_of(self).node
            if found != name:
                raise ssl.SSLCertVerificationError(f"the certificate speaks for {found or 'no node'}, not for {name}")
            see(self.getpeercert(binary_form=True) or b"")

    return SpeaksFor
