"""Listeners of a node: HTTPS with mutual TLS, limits for everybody who connects, and new certificates without a gap."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import ssl
import traceback
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tokaido.hal import ConfigurationError, NotConnectedError
from tokaido.node._extra import web
from tokaido.node.tls import Names, TlsFiles, names_of, server_context

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

LOG: Final = logging.getLogger("tokaido.node.listening")
PAUSE_S: Final = 0.1
"""How long a listener waits that could take no connection."""
_LONGEST_LINE: Final = 4096
_MOST_HEADERS: Final = 64


@dataclass(frozen=True, slots=True)
class Limits:
    """What one listener bears."""

    connections: int = 1024
    """At once."""
    per_certificate: int = 64
    """At once, by one node or application."""
    handshakes: int = 256
    """Connections that have not shown a certificate yet, at once."""
    handshake_s: float = 5.0
    """How long TLS may take."""
    head_s: float = 30.0
    """How long a connection may be open, or idle after an answer, until the head of a request is there."""
    body_s: float = 10.0
    """How long the body of a request may take."""
    body: int = 1 << 16
    """Longest body in bytes."""
    ending_s: float = 5.0
    """How long requests may still run when the listener closes."""


class Listener:
    """One HTTPS listener.

    Args:
        application: What answers. It is not used by another listener.
        context: TLS, of `tls.server_context`.
        limits: What it bears.
    """

    def __init__(self, application: web.Application, context: ssl.SSLContext, limits: Limits | None = None) -> None:
        self._context = context
        self._limits = limits or Limits()
        self._runner = web.AppRunner(
            application, access_log=None, handle_signals=False, shutdown_timeout=self._limits.ending_s
        )
        self._sockets: list[socket.socket] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._handshakes: set[asyncio.Task[None]] = set()
        self._counts: Counter[Names] = Counter()
        self._tell = _Teller()
        application.middlewares.append(self._within_limits)

    async def open(self, host: str, port: int) -> None:
        """Listen; port 0 is one that is free.

        Raises:
            NotConnectedError: The place is taken, or is not one of this machine.
        """
        loop = asyncio.get_running_loop()
        try:
            for family, _, _, _, address in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
                where = (address[0], self.port if self._sockets else port, *address[2:])
                self._sockets.append(socket.create_server(where, family=family, backlog=128))
        except OSError as error:
            self._close_sockets()
            raise NotConnectedError(
                f"cannot listen at {host}:{port}: {error.strerror or error}",
                remedy="Is another program there, and is the address one of this machine?",
            ) from error
        await self._runner.setup()
        for sock in self._sockets:
            sock.setblocking(False)
            self._watch(sock)

    @property
    def port(self) -> int:
        """The port that it listens at."""
        return int(self._sockets[0].getsockname()[1])

    @property
    def connections(self) -> int:
        """How many are open."""
        return self._counts.total()

    def reload(self, context: ssl.SSLContext) -> None:
        """Take new TLS settings for the connections to come, and go on listening.

        Connections that were made under the old ones end: idle ones now, others after the answer that they wait for.
        So nobody whose certificate was revoked asks again.
        """
        self._context = context
        for connection in self._runner.server.connections if self._runner.server else ():
            if isinstance(connection, _Connection):
                connection.end_soon()

    def reload_on_hangup(self, files: TlsFiles) -> None:
        """Read the files again, and take them, each time that the process gets SIGHUP. Bad ones change nothing.

        It is called in the main thread, while the event loop runs.
        """
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._hung_up, files)

    async def close(self) -> None:
        """Take no more connections, let running requests end for a few seconds, and close all."""
        loop = asyncio.get_running_loop()
        for sock in self._sockets:
            loop.remove_reader(sock)
        self._close_sockets()
        if self._handshakes:  # each begins: one that never did would leave its connection open
            await asyncio.wait(self._handshakes, timeout=0)
        for task in (*self._tasks, *self._handshakes):
            task.cancel()
        await asyncio.gather(*self._tasks, *self._handshakes, return_exceptions=True)
        await self._runner.cleanup()

    def _watch(self, sock: socket.socket) -> None:
        if sock.fileno() >= 0:
            asyncio.get_running_loop().add_reader(sock, self._accept, sock)

    def _accept(self, sock: socket.socket) -> None:
        """Take a connection at once: one that a task had taken would be lost with the task."""
        loop = asyncio.get_running_loop()
        try:
            connection, _ = sock.accept()
        except BlockingIOError:
            return
        except OSError as error:  # too many files are open, or the client has left already
            self._tell.warn("no connection can be taken: %s", error)
            loop.remove_reader(sock)
            loop.call_later(PAUSE_S, self._watch, sock)
            return
        if len(self._handshakes) >= self._limits.handshakes:
            connection.close()
            self._tell.warn("refused: %d connections have not shown a certificate yet", len(self._handshakes))
            return
        connection.setblocking(False)
        _keep(loop.create_task(self._shake(connection)), self._handshakes)

    async def _shake(self, connection: socket.socket) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                self._connected,
                connection,
                ssl=self._context,
                ssl_handshake_timeout=self._limits.handshake_s,
                ssl_shutdown_timeout=1.0,
            )
        except OSError as error:  # an SSLError is one
            self._tell.warn("refused: %s", error)

    def _close_sockets(self) -> None:
        while self._sockets:
            self._sockets.pop().close()

    def _hung_up(self, files: TlsFiles) -> None:
        _keep(asyncio.get_running_loop().create_task(self._read_again(files)), self._tasks)

    async def _read_again(self, files: TlsFiles) -> None:
        try:
            self.reload(await asyncio.to_thread(server_context, files))
        except ConfigurationError as error:
            LOG.error("the files of TLS are not taken, and those before stay: %s", error)  # noqa: TRY400 - the error says all
        else:
            LOG.info("TLS has new files")

    def _connected(self) -> web.RequestHandler:
        assert self._runner.server is not None
        return _Connection(self._runner.server, self)

    @web.middleware
    async def _within_limits(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        connection = request.protocol
        assert isinstance(connection, _Connection)
        request = request.clone(client_max_size=self._limits.body)
        connection.begin()
        try:
            if request.body_exists:
                if (request.content_length or 0) > self._limits.body:
                    raise web.HTTPRequestEntityTooLarge(self._limits.body, request.content_length or 0)
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

    __slots__ = ("_busy", "_counted", "_listener", "_timer", "_who")

    def __init__(self, server: web.Server, listener: Listener) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
            keepalive_timeout=listener._limits.head_s,
            lingering_time=1.0,
            auto_decompress=False,
            max_line_size=_LONGEST_LINE,
            max_field_size=_LONGEST_LINE,
            max_headers=_MOST_HEADERS,
        )
        self._listener = listener
        self._who = Names(None, None)
        self._counted = False
        self._busy = False
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        listener, limits = self._listener, self._listener._limits
        self._who = names_of(transport.get_extra_info("ssl_object"))
        listener._counts[self._who] += 1
        self._counted = True
        mine = listener._counts[self._who]
        if mine > limits.per_certificate or listener.connections > limits.connections:
            listener._tell.warn("refused: %s has %d of %d connections", self._who, mine, listener.connections)
            self._abort()
        elif transport.get_extra_info("sslcontext") is not listener._context:  # a handshake that a reload overtook
            self._abort()
        else:
            self.end()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._stop_timer()
        if self._counted:
            self._counted = False
            counts = self._listener._counts
            counts[self._who] -= 1
            if not counts[self._who]:
                del counts[self._who]
        super().connection_lost(exc)

    def begin(self) -> None:
        """A request is there: it takes the time it takes."""
        self._busy = True
        self._stop_timer()

    def end(self) -> None:
        """No request is there: the next one must come in time."""
        self._busy = False
        self._stop_timer()
        if self.transport is not None:
            self._timer = asyncio.get_running_loop().call_later(self._listener._limits.head_s, self._abort)

    def end_soon(self) -> None:
        """Close the connection, but let the request that is there be answered."""
        if self._busy:
            self.close()
        else:
            self.force_close()

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Answer what is not HTTP, or what failed here; say where, and nothing of what the request or the keys hold."""
        del message
        if request.writer.output_size > 0:
            raise ConnectionResetError("a part of the answer is out already")
        if status < 500:
            self._listener._tell.warn("refused: what %s sends is not HTTP", self._who)
            answer = _error(status, b"malformed request")
        else:
            places = "".join(traceback.format_tb(exc.__traceback__)) if exc is not None else ""
            LOG.error("a request of %s failed with %s:\n%s", self._who, type(exc).__name__, places)
            answer = _error(503, b"internal error")
        answer.force_close()
        return answer

    def log_exception(self, *args: Any, **kw: Any) -> None:  # noqa: ARG002 - they may hold what the request holds
        """Say that something failed, and not with what it failed: that may hold a part of a key."""
        error = kw.get("exc_info")
        LOG.error("a connection of %s failed with %s", self._who, type(error).__name__)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _abort(self) -> None:
        transport: Any = self.transport
        if transport is not None:
            transport.abort()


class _Teller:
    """Warns at most once a second: a flood of bad requests is not one of lines."""

    def __init__(self) -> None:
        self._next_s = 0.0
        self._untold = 0

    def warn(self, text: str, *args: object) -> None:
        now_s = asyncio.get_running_loop().time()
        if now_s < self._next_s:
            self._untold += 1
            return
        if self._untold:
            text, args = f"{text} (and %d more warnings were left out)", (*args, self._untold)
        LOG.warning(text, *args)
        self._next_s, self._untold = now_s + 1.0, 0


def _error(status: int, message: bytes) -> web.Response:
    headers = {"Cache-Control": "no-store", "Server": "tokaido"}
    body = b'{"message":"%b"}' % message
    return web.Response(status=status, body=body, content_type="application/json", headers=headers)


def _keep(task: asyncio.Task[None], tasks: set[asyncio.Task[None]]) -> None:
    tasks.add(task)
    task.add_done_callback(tasks.discard)
