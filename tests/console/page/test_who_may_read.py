"""Who may read the page: docs/reference/page.md, "Who may read it"."""

from __future__ import annotations

import asyncio
import re
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tokaido.console.page import PageServer
from tokaido.hal import NotConnectedError, RangeError
from tokaido_testing.page_line import LineSource

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

aiohttp = pytest.importorskip("aiohttp", reason="needs the extra `node`")
PATHS = ("/", "/state", "/history", "/events", "/page.js", "/applications/picture", "/nothing")


class Browser:
    """Asks a page with a cookie jar of its own."""

    def __init__(self, server: PageServer, session: Any) -> None:
        self.server = server
        self.session = session
        self.base = server.url.partition("/?")[0]

    async def ask(self, path: str, method: str = "GET", **headers: str) -> tuple[int, Any]:
        async with self.session.request(method, self.base + path, headers=headers, allow_redirects=False) as answer:
            return answer.status, answer.headers

    async def enter(self) -> Any:
        async with self.session.get(self.server.url) as answer:
            assert answer.status == 200
            return answer.headers


@asynccontextmanager
async def visited(**settings: Any) -> AsyncIterator[Browser]:
    source = LineSource()
    async with PageServer(source, drills=source, **settings) as server:
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(cookie_jar=jar, timeout=aiohttp.ClientTimeout(10)) as session:
            yield Browser(server, session)


def test_nobody_reads_anything_without_the_token() -> None:
    async def work() -> None:
        async with visited() as browser:
            assert [(await browser.ask(path))[0] for path in PATHS] == [403] * len(PATHS)
            for wrong in ("", "x", browser.server.url[-43:-1], "é" * 43):
                assert (await browser.ask(f"/?token={wrong}"))[0] == 403
            await browser.enter()
            assert (await browser.ask("/page.js"))[0] == 200
            assert (await browser.ask("/"))[0] == 200
            assert (await browser.ask("/?token=x"))[0] == 403

    asyncio.run(work())


def test_the_token_opens_the_page_alone() -> None:
    async def work() -> None:
        async with visited() as browser:
            token = urlsplit(browser.server.url).query
            assert (await browser.ask(f"/state?{token}"))[0] == 403

    asyncio.run(work())


def test_a_wrong_cookie_is_refused_and_the_right_one_is_not_the_token() -> None:
    async def work() -> None:
        async with visited() as browser:
            told = (await browser.enter())["Set-Cookie"]
            name, value = re.fullmatch(r"([\w-]+)=([\w-]+); Path=/; HttpOnly; SameSite=Strict", told).groups()  # type: ignore[union-attr]
            assert value not in browser.server.url
            browser.session.cookie_jar.clear()
            assert (await browser.ask("/state", Cookie=f"{name}={value[:-1]}"))[0] == 403
            assert (await browser.ask("/page.css", Cookie=f"{name}={value}"))[0] == 200

    asyncio.run(work())


def test_token_and_cookie_are_drawn_at_each_start() -> None:
    async def work() -> None:
        async with visited() as first:
            told = (await first.enter())["Set-Cookie"].partition(";")[0]
            port = urlsplit(first.server.url).port
            url = first.server.url
        async with visited(port=port) as second:
            assert second.server.url != url
            assert (await second.ask("/page.css", Cookie=told))[0] == 403
            assert (await second.ask(f"/?{urlsplit(url).query}"))[0] == 403

    asyncio.run(work())


@pytest.mark.parametrize(
    "host", ["example.com", "example.com:PORT", "127.0.0.1", "127.0.0.1:1", "[::1]:PORT", "LOCALHOST:PORT.evil"]
)
def test_another_name_for_this_machine_reads_nothing(host: str) -> None:
    async def work() -> None:
        async with visited() as browser:
            await browser.enter()
            port = str(urlsplit(browser.base).port)
            assert (await browser.ask("/page.css", Host=host.replace("PORT", port)))[0] == 403
            assert (await browser.ask("/page.css", Host=f"127.0.0.1:{port}"))[0] == 200

    asyncio.run(work())


def test_a_post_must_come_from_the_page_itself() -> None:
    async def work() -> None:
        async with visited() as browser:
            await browser.enter()
            drill = "/drills/power"
            for origin in (
                "http://example.com",
                "null",
                browser.base.replace("http", "https"),
                browser.base + "0",
                browser.base.replace("127.0.0.1", "localhost"),
            ):
                assert (await browser.ask(drill, "POST", Origin=origin))[0] == 403
                assert (await browser.ask("/state", Origin=origin))[0] == 403
            assert (await browser.ask(drill, "POST"))[0] == 403
            assert (await browser.ask(drill, "POST", Origin=browser.base))[0] == 202
            browser.session.cookie_jar.clear()
            assert (await browser.ask(drill, "POST", Origin=browser.base))[0] == 403

    asyncio.run(work())


def test_every_answer_forbids_what_comes_from_elsewhere() -> None:
    async def work() -> None:
        async with visited() as browser:
            before = [(await browser.ask(path))[1] for path in PATHS]
            await browser.enter()
            for headers in [*before, *[(await browser.ask(path))[1] for path in PATHS]]:
                rules = headers["Content-Security-Policy"]
                assert rules.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
                assert "unsafe" not in rules
                assert "frame-ancestors 'none'" in rules
                assert headers["Cache-Control"] == "no-store"
                assert headers["Referrer-Policy"] == "no-referrer"
                assert headers["X-Content-Type-Options"] == "nosniff"

    asyncio.run(work())


def test_it_listens_at_loopback_alone() -> None:
    async def work() -> None:
        async with visited() as browser:
            port = urlsplit(browser.base).port
            assert port is not None
            with socket.create_server(("127.0.0.2", port)):  # it would be taken if all addresses were
                pass
            with pytest.raises(ConnectionError), socket.create_connection(("::1", port), timeout=5):
                pass

    asyncio.run(work())


def test_a_port_that_is_taken_or_none_is_said() -> None:
    async def work() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            server = PageServer(LineSource(), port=taken.getsockname()[1])
            with pytest.raises(NotConnectedError, match="cannot listen at 127"):
                await server.open()
            with pytest.raises(NotConnectedError, match="not open"):
                _ = server.url

    asyncio.run(work())
    with pytest.raises(RangeError, match="port 65536"):
        PageServer(LineSource(), port=65_536)


def test_no_repr_shows_the_token() -> None:
    async def work() -> None:
        async with visited() as browser:
            token = urlsplit(browser.server.url).query.partition("=")[2]
            assert token not in f"{browser.server!r}{vars(browser.server)}"

    asyncio.run(work())
