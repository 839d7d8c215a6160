"""The web page of a network of 60 spans whose values all change once a second, in Debian's chromium, without a screen.

First paint is the browser's own first-contentful-paint, from the navigation on, each time in a new context: no cache.
Frames are counted by requestAnimationFrame for 10 s, in turn on the page and on an empty one in the same browser. A
frame counts as dropped if the next one came more than one and a half of the usual interval later; what other work on
the machine drops shows on the empty page, too. Time of the main thread is the browser's own TaskDuration.
"""

from __future__ import annotations

import asyncio
import statistics
import threading
from importlib.resources import files
from itertools import pairwise
from math import sin
from typing import TYPE_CHECKING, Any

from measuring import Figure, spread
from tokaido.console.page import PageRelay, PageServer, PageSite, PageSpan, PageState

if TYPE_CHECKING:
    from playwright.sync_api import CDPSession, Page

SPANS = 60
LOADS = 15
SECONDS = 10
TURNS = 3
FRAMES = """seconds => new Promise((done) => {
  const gaps = [];
  const begun = performance.now();
  let last = 0;
  const frame = (now) => {
    if (last) gaps.push(now - last);
    last = now;
    if (now - begun < 1000 * seconds) requestAnimationFrame(frame); else done(gaps);
  };
  requestAnimationFrame(frame);
})"""
PAINT = """() => new Promise((done) => {
  const observer = new PerformanceObserver((list) => {
    const paint = list.getEntriesByName("first-contentful-paint")[0];
    if (paint) done(paint.startTime);
  });
  observer.observe({ type: "paint", buffered: true });
})"""


class _Busy:
    """A network whose every value changes with each look."""

    def __init__(self) -> None:
        self._step = 0

    async def state(self) -> PageState:
        self._step += 1
        names = [f"n{number}" for number in range(SPANS + 1)]
        sites = tuple(
            PageSite(
                name=name,
                title=name,
                latitude=35 + (i // 10) % 2 * 0.6 + i % 3 * 0.1,
                longitude=135 + i * 0.07,
                level="fine",
            )
            for i, name in enumerate(names)
        )
        spans = tuple(
            PageSpan(
                name=f"{one}-{other}",
                ends=(one, other),
                length_km=50.0,
                running=True,
                qber=0.02 + 0.05 * sin(self._step + i) ** 2,
                secret_key_rate=1e4 * (1.5 + sin(self._step / 3 + i)),
                stock_bits=int(1e6 * (1.5 + sin(self._step / 2 + i))),
                reserve_s=300 * (1.5 + sin(self._step / 2 + i)),
            )
            for i, (one, other) in enumerate(pairwise(names))
        )
        return PageState(network="busy", title="Busy", utc_s=float(self._step), sites=sites, spans=spans)

    async def relay(self) -> PageRelay:
        await asyncio.Event().wait()
        raise AssertionError


def measure() -> list[Figure]:
    from playwright.sync_api import sync_playwright

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server = PageServer(_Busy())
    asyncio.run_coroutine_threadsafe(server.open(), loop).result(10)
    try:
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path="/usr/bin/chromium")
            paints = []
            for _ in range(LOADS):
                context = browser.new_context(viewport={"width": 1440, "height": 900})
                page = context.new_page()
                page.goto(server.url)
                paints.append(page.evaluate(PAINT))
                context.close()
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            answers: list[Any] = []
            page.on("response", lambda one: answers.append(one))  # noqa: PLW0108 - it takes no built-in
            page.goto(server.url)
            page.wait_for_selector("#spans tr")
            sent = sum(len(one.body()) for one in answers if "events" not in one.url)
            empty = browser.new_page()
            session = page.context.new_cdp_session(page)
            session.send("Performance.enable")
            ours, theirs, busy = [], [], []
            for _ in range(TURNS):
                theirs.append(_dropped(empty))
                before = _task_s(session)
                ours.append(_dropped(page))
                busy.append(1000 * (_task_s(session) - before) / SECONDS)
            browser.close()
    finally:
        asyncio.run_coroutine_threadsafe(server.close(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
    folder = files("tokaido.console.page") / "static"
    size = sum(len(file.read_bytes()) for file in folder.iterdir())
    return [
        Figure("page: its files", size / 1000, "kB", "<= 200"),
        Figure("page: all that a browser loads of 60 spans, but events", sent / 1000, "kB", "<= 200"),
        spread(paints).figure("page: first contentful paint", "ms", "<= 1000"),
        spread(ours).figure(f"page: frames dropped in {SECONDS} s, 60 spans at 1 Hz", "frames", "as empty"),
        spread(theirs).figure("page: the same on an empty page, in turn", "frames"),
        spread(busy).figure("page: main thread a second, frames counted", "ms"),
    ]


def _dropped(page: Page) -> float:
    page.bring_to_front()
    gaps = page.evaluate(FRAMES, SECONDS)
    usual = statistics.median(gaps)
    return float(sum(round(gap / usual) - 1 for gap in gaps if gap > 1.5 * usual))


def _task_s(session: CDPSession) -> float:
    found = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
    return float(found["TaskDuration"])
