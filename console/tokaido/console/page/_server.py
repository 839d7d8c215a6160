"""The server of the page, on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final, Self

import msgspec

from tokaido.console.page._changes import change_between
from tokaido.console.page._guard import HEADERS, Guard
from tokaido.console.page._history import History
from tokaido.console.page._listeners import MOST, Listeners, event
from tokaido.hal import NS_PER_S, SYSTEM_CLOCK, ConfigurationError, NotConnectedError, RangeError, TokaidoError

try:
    from aiohttp import web
except ImportError as error:
    raise ImportError("the page of a network needs aiohttp: pip install 'tokaido[node]'") from error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType

    from tokaido.console.page._source import Drills, Exchange, PageSource
    from tokaido.console.page._state import PageState
    from tokaido.hal import Clock

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

LOG: Final = logging.getLogger("tokaido.console.page")
STATIC: Final = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
ANSWER_S: Final = 5.0
"""How long a source may take for a state."""
RELAYS_A_S: Final = 8
ENDING_S: Final = 1.0
MOST_PORT: Final = 65_535


class PageServer:
    """Serves the page of one network at 127.0.0.1. Use it with `async with`, or `open` and `close` it, in one loop.

    Args:
        source: Where states come from.
        drills: Begins drills; None: this page has none.
        exchange: The applications at either end; None: this page has none.
        port: 0: one that is free.
        period_s: How often the source is asked, in s.
        clock: Where time comes from.

    Raises:
        RangeError: There is no such port.
    """

    def __init__(
        self,
        source: PageSource,
        *,
        drills: Drills | None = None,
        exchange: Exchange | None = None,
        port: int = 0,
        period_s: float = 1.0,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        if not 0 <= port <= MOST_PORT:
            raise RangeError(f"port {port} is not one of 0 to {MOST_PORT}", remedy="0 takes one that is free")
        self._source, self._drills, self._exchange = source, drills, exchange
        self._wanted_port, self._period_s, self._clock = port, period_s, clock
        self._guard: Guard | None = None
        self._runner: web.AppRunner | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._listeners = Listeners()
        self._history = History()
        self._state: PageState | None = None
        self._why = "the first state is not there yet"
        self._look = asyncio.Event()
        self._files: dict[str, tuple[str, bytes]] = {}

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def url(self) -> str:
        """The address to open in a browser, with the token.

        Raises:
            NotConnectedError: The server is not open.
        """
        if self._guard is None:
            raise NotConnectedError("the server of the page is not open", remedy="Call open() first")
        return self._guard.url

    @property
    def listeners(self) -> int:
        """How many pages listen now."""
        return len(self._listeners)

    @property
    def dropped(self) -> int:
        """How many pages were disconnected since they read too slowly."""
        return self._listeners.dropped

    async def open(self) -> None:
        """Listen, and begin to ask the source.

        Raises:
            NotConnectedError: The port is taken.
        """
        self._files = await asyncio.to_thread(_static)
        application = web.Application(middlewares=[self._guarded], client_max_size=1024)
        application.router.add_get("/", self._index)
        application.router.add_get("/state", self._get_state)
        application.router.add_get("/history", self._get_history)
        application.router.add_get("/events", self._get_events)
        application.router.add_post("/drills/{name}", self._post_drill)
        application.router.add_post("/applications/{verb}", self._post_application)
        application.router.add_get("/applications/{which}", self._get_pixels)
        application.router.add_get("/{file}", self._get_file)
        self._runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=ENDING_S)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, "127.0.0.1", self._wanted_port).start()
        except OSError as error:
            await self._runner.cleanup()
            raise NotConnectedError(
                f"cannot listen at 127.0.0.1:{self._wanted_port}: {error.strerror or error}",
                remedy="Is another program there? Port 0 takes one that is free",
            ) from error
        self._guard = Guard(self._runner.addresses[0][1])
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._watch()), loop.create_task(self._pass_relays())]

    async def close(self) -> None:
        """End all connections, and listen no more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._runner is not None:
            await self._runner.cleanup()
        self._guard = self._runner = None

    # --- asking the source -------------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            next_s = loop.time() + self._period_s
            await self._ask()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(next_s):
                    await self._look.wait()
            self._look.clear()

    async def _ask(self) -> None:
        try:
            async with asyncio.timeout(ANSWER_S):
                state = await self._source.state()
        except TokaidoError as error:
            self._lose(str(error))
        except TimeoutError:
            self._lose(f"nothing answered within {ANSWER_S:g} s")
        except Exception as error:
            LOG.warning("the source of the page failed", exc_info=error)
            self._lose(f"the source failed: {type(error).__name__}")
        else:
            if self._exchange is not None:
                state = msgspec.structs.replace(state, exchange=self._exchange.now)
            self._take(state)
        self._history.take(self._state, self._clock.monotonic_ns() / NS_PER_S)

    def _lose(self, why: str) -> None:
        self._state, self._why = None, why
        self._listeners.tell("lost", {"why": why})

    def _take(self, state: PageState) -> None:
        before, self._state = self._state, state
        change = None if before is None else change_between(before, state)
        if change is None:
            self._listeners.tell("state", state)
        else:
            self._listeners.tell("change" if change else "beat", {"utc_s": state.utc_s, **change})

    async def _pass_relays(self) -> None:
        loop = asyncio.get_running_loop()
        second, told = loop.time(), 0
        while True:
            try:
                relay = await self._source.relay()
            except Exception as error:
                LOG.warning("the source of the page tells no more relays", exc_info=error)
                return
            if loop.time() - second >= 1.0:
                second, told = loop.time(), 0
            told += 1
            if told <= RELAYS_A_S:
                self._listeners.tell("relay", relay)

    # --- answers -----------------------------------------------------------------------------------------------------

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        guard = self._guard
        why = "the page is not open yet" if guard is None else guard.obstacle(request.method, request.headers)
        if guard is None or why:
            return _told(403, why)
        token = request.query.get("token") if request.path == "/" else None
        if not (guard.is_known(request.cookies) if token is None else guard.is_token(token)):
            return _told(403, "open the address that was printed when the page began")
        try:
            answer = await handler(request)
        except web.HTTPException as error:
            answer = _told(error.status, error.reason)
        if not answer.prepared:
            answer.headers.update(HEADERS)
            if token is not None:
                answer.headers["Set-Cookie"] = guard.set_cookie
        return answer

    async def _index(self, _: web.Request) -> web.StreamResponse:
        return self._file("index.html")

    async def _get_file(self, request: web.Request) -> web.StreamResponse:
        return self._file(request.match_info["file"])

    def _file(self, name: str) -> web.Response:
        if name not in self._files:
            return _told(404, "there is no such file")
        kind, data = self._files[name]
        return web.Response(body=data, content_type=kind, charset="utf-8")

    async def _get_state(self, _: web.Request) -> web.StreamResponse:
        return _told(503, self._why) if self._state is None else _json(self._state)

    async def _get_history(self, _: web.Request) -> web.StreamResponse:
        return _json(self._history.told())

    async def _get_events(self, request: web.Request) -> web.StreamResponse:
        if len(self._listeners) >= MOST:
            return _told(503, f"{MOST} pages listen already: close one")
        answer = web.StreamResponse(headers={**HEADERS, "Content-Type": "text/event-stream; charset=utf-8"})
        await answer.prepare(request)
        first = event("lost", {"why": self._why}) if self._state is None else event("state", self._state)
        with self._listeners.one_more(request.transport) as queue, contextlib.suppress(ConnectionError):
            await answer.write(b"retry: 1000\n\n" + first)
            while True:
                await answer.write(await queue.get())
        return answer

    async def _post_drill(self, request: web.Request) -> web.StreamResponse:
        if self._drills is None:
            return _told(404, "this page has no drills")
        try:
            await self._drills.start(request.match_info["name"])
        except ConfigurationError as error:
            return _told(404, error.what, error.remedy)
        except TokaidoError as error:
            return _told(409, str(error.what), error.remedy)
        self._look.set()
        return _json({}, status=202)

    async def _post_application(self, request: web.Request) -> web.StreamResponse:
        verb = request.match_info["verb"]
        if self._exchange is None or verb not in {"encrypt", "decrypt"}:
            return _told(404, "this page has no applications" if self._exchange is None else "encrypt or decrypt")
        try:
            await (self._exchange.encrypt() if verb == "encrypt" else self._exchange.decrypt())
        except TokaidoError as error:
            return _told(409, error.what, error.remedy)
        finally:
            self._look.set()
        return _json(self._exchange.now)

    async def _get_pixels(self, request: web.Request) -> web.StreamResponse:
        which = request.match_info["which"]
        known = self._exchange is not None and which in {"picture", "ciphertext", "opened"}
        pixels = self._exchange.pixels(which) if self._exchange is not None and known else None
        if pixels is None:
            return _told(404, "there are no such pixels now")
        return web.Response(body=pixels, content_type="application/octet-stream")


def _static() -> dict[str, tuple[str, bytes]]:
    """Return the files of the page: their kind and what they hold, by name."""
    folder = files("tokaido.console.page") / "static"
    found = {}
    for file in folder.iterdir():
        _, dot, suffix = file.name.rpartition(".")
        if dot + suffix in STATIC:
            found[file.name] = (STATIC[dot + suffix], file.read_bytes())
    return found


def _json(data: Any, *, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(data), status=status, content_type="application/json")


def _told(status: int, error: str, remedy: str = "") -> web.Response:
    answer = _json({"error": error, "remedy": remedy}, status=status)
    answer.headers.update(HEADERS)
    return answer
