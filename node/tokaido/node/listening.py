"""Listeners of a node: HTTPS with mutual TLS, and limits for whoever connects."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from tokaido.hal import NotConnectedError
from tokaido.node.tls import names_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

LOG: Final = logging.getLogger("tokaido.node.listening")


@dataclass(frozen=True, slots=True)
class Limits:
    """What one listener bears."""

    connections: int = 1024
    """At once."""
    per_certificate: int = 64
    """At once, by one certificate."""
    handshake_s: float = 5.0
    """How long TLS may take."""
    head_s: float = 30.0
    """How long a connection may be open, or idle after an answer, until the head of a request is there."""
    body_s: float = 10.0
    """How long the body of a request may take."""
    body: int = 1 << 16
    """Longest body in bytes."""


class Listener:
    """One HTTPS listener.

    Args:
        application: What answers.
        context: TLS, of `tls.server_context`.
        limits: What it bears.
    """

    def __init__(self, application: web.Application, context: ssl.SSLContext, limits: Limits | None = None) -> None:
        self._context = context
        self._limits = limits or Limits()
        self._runner = web.AppRunner(application, access_log=None, handle_signals=False)
        self._server: asyncio.Server | None = None
        self._count: Counter[str] = Counter()
        application.middlewares.append(self._within_limits)

    async def open(self, host: str, port: int) -> None:
        """Listen; port 0 is one that is free.

        Raises:
            NotConnectedError: It cannot be listened there.
        """
        await self._runner.setup()
        try:
            self._server = await asyncio.get_running_loop().create_server(
                self._connected,
                host,
                port,
                ssl=self._context,
                ssl_handshake_timeout=self._limits.handshake_s,
                ssl_shutdown_timeout=1.0,
                reuse_address=True,
            )
        except OSError as error:
            await self._runner.cleanup()
            raise NotConnectedError(
                f"cannot listen at {host}:{port}: {error.strerror or error}",
                remedy="Is another program there, and is the address one of this machine?",
            ) from error

    @property
    def port(self) -> int:
        """The port that it listens at."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def connections(self) -> int:
        """How many are open."""
        return self._count.total()

    async def close(self) -> None:
        """Take no more connections, let running requests end within 5 s, and close all."""
        if self._server is not None:
            self._server.close()
        await self._runner.cleanup()

    def _connected(self) -> web.RequestHandler:
        assert self._runner.server is not None
        return _Connection(self._runner.server, self._count, self._limits)

    @web.middleware
    async def _within_limits(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        connection = request.protocol
        assert isinstance(connection, _Connection)
        connection.begin()
        try:
            if request.body_exists:
                try:
                    async with asyncio.timeout(self._limits.body_s):
                        await request.read()
                except TimeoutError:
                    raise web.HTTPRequestTimeout from None
            return await handler(request)
        finally:
            connection.end()


class _Connection(web.RequestHandler):
    """One connection, which ends if it is one too many, or says nothing for too long."""

    __slots__ = ("_counts", "_limits", "_timer", "_who")

    def __init__(self, server: web.Server, counts: Counter[str], limits: Limits) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]
            keepalive_timeout=limits.head_s,
            lingering_time=1.0,
            auto_decompress=False,
        )
        self._counts = counts
        self._limits = limits
        self._who = ""
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        names = names_of(transport.get_extra_info("peercert"))
        self._who = f"node {names.node}" if names.node else f"sae {names.sae}"
        self._counts[self._who] += 1
        if self._counts[self._who] > self._limits.per_certificate or self._counts.total() > self._limits.connections:
            LOG.warning("refused: %s has %d connections", self._who, self._counts[self._who])
            self._abort()
            return
        self.end()

    def connection_lost(self, exc: BaseException | None) -> None:
        self.begin()
        if self._who:
            self._counts[self._who] -= 1
            if not self._counts[self._who]:
                del self._counts[self._who]
            self._who = ""
        super().connection_lost(exc)

    def begin(self) -> None:
        """A request is there: it takes the time it takes."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def end(self) -> None:
        """No request is there: the next one must come in time."""
        self.begin()
        if self.transport is not None:
            self._timer = asyncio.get_running_loop().call_later(self._limits.head_s, self._abort)

    def _abort(self) -> None:
        transport: Any = self.transport
        if transport is not None:
            transport.abort()
