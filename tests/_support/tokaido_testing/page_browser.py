"""A real browser, and pages that are served to it from a thread of their own."""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

from tokaido.console.page import PageServer
from tokaido_testing.patience import patient

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

    from playwright.sync_api import Browser, Page

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


def obstacle() -> str:
    """Return why no browser can be driven here; empty if one can."""
    if CHROMIUM is None:
        return "Debian package is missing: chromium"
    missing = [name for name in ("playwright", "aiohttp") if find_spec(name) is None]
    return f"Python packages are missing: {', '.join(missing)}" if missing else ""


@contextmanager
def a_browser() -> Iterator[Browser]:
    """Give one that runs; skip where there is none, which in CI is an error, since nobody would notice."""
    if why := obstacle():
        if os.environ.get("CI") == "true":
            pytest.fail(f"the page cannot be tested: {why}")
        pytest.skip(why)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM)
        yield browser
        browser.close()


class Pages:
    """Servers of pages in a thread with an event loop."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.loop.set_default_executor(ThreadPoolExecutor(1, "pages"))
        self._thread = threading.Thread(target=self.loop.run_forever, name="pages")
        self._thread.start()
        self._servers: list[PageServer] = []
        self.call(asyncio.to_thread(lambda: None))  # its thread is there before a test that might seem to leave it

    def call(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Return what a coroutine returns there."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(patient(10))

    def serve(self, source: Any, **settings: Any) -> PageServer:
        """Return a server of a source that listens."""
        server = PageServer(source, **{"period_s": 0.1, **settings})
        self.call(server.open())
        self._servers.append(server)
        return server

    def end_servers(self) -> None:
        """Have none of them serve any more."""
        for server in self._servers:
            self.call(server.close())
        self._servers.clear()

    def close(self) -> None:
        """End all."""
        self.end_servers()
        self.call(self.loop.shutdown_default_executor())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(patient(10))
        self.loop.close()


class Visit:
    """A page in a tab of its own, and what went wrong in it."""

    def __init__(self, browser: Browser, url: str, **settings: Any) -> None:
        self.context = browser.new_context(
            **{"locale": "en-GB", "viewport": {"width": 1440, "height": 900}, **settings}
        )
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(patient(8_000))
        self.errors: list[str] = []
        self.page.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto(url)
        self.page.wait_for_selector("body.ready")
        self.page.wait_for_selector("#spans tr")

    def __enter__(self) -> Page:
        return self.page

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.context.close()
        if kind is None:
            assert self.errors == []
