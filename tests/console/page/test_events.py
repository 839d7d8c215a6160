"""What the server tells pages: the state, changes, relays, histories, and what drills and applications answer."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec
import pytest

from tokaido.console.page import PageRelay, PageServer, PageState
from tokaido.hal import SYSTEM_CLOCK, TokaidoError
from tokaido_testing.page_keys import PageKeys
from tokaido_testing.page_line import LINE, GridSource, LineSource
from tokaido_testing.patience import patient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

aiohttp = pytest.importorskip("aiohttp", reason="needs the extra `node`")
PERIOD_S = 0.03


class Page:
    """One page that listens."""

    def __init__(self, server: PageServer, session: Any) -> None:
        self.server, self.session = server, session
        self.base = server.url.partition("/?")[0]

    async def get(self, path: str) -> tuple[int, bytes]:
        async with self.session.get(self.base + path) as answer:
            return answer.status, await answer.read()

    async def post(self, path: str) -> tuple[int, Any]:
        async with self.session.post(self.base + path, headers={"Origin": self.base}) as answer:
            return answer.status, await answer.json()

    async def events(self) -> AsyncIterator[tuple[str, Any]]:
        async with self.session.get(f"{self.base}/events") as answer:
            name = ""
            async for line in answer.content:
                word, _, rest = line.decode().rstrip("\n").partition(": ")
                if word == "event":
                    name = rest
                elif word == "data":
                    yield name, json.loads(rest)


@asynccontextmanager
async def page(source: Any, period_s: float = PERIOD_S, **settings: Any) -> AsyncIterator[Page]:
    async with (
        PageServer(source, period_s=period_s, **settings) as server,
        aiohttp.ClientSession(
            cookie_jar=aiohttp.CookieJar(unsafe=True), timeout=aiohttp.ClientTimeout(patient(10)), read_bufsize=1 << 20
        ) as session,
    ):
        async with session.get(server.url) as answer:
            assert answer.status == 200
        yield Page(server, session)


async def until(events: AsyncIterator[tuple[str, Any]], wanted: str) -> Any:
    async with asyncio.timeout(patient(10)):
        async for name, data in events:
            if name == wanted:
                return data
    raise AssertionError(f"no {wanted}")


def test_first_the_state_then_what_changed() -> None:
    async def work() -> None:
        source = LineSource()
        async with page(source) as one:
            events = one.events()
            first = msgspec.convert(await until(events, "state"), PageState)
            assert len(first.sites) == 12
            assert len(first.spans) == 14
            change = await until(events, "change")
            assert set(change) == {"utc_s", "spans", "pairs"}
            assert change["utc_s"] > first.utc_s
            source.silent.add("nara")
            while "sites" not in change:
                change = await until(events, "change")
            assert [(site["name"], site["level"]) for site in change["sites"]] == [("nara", "silent")]
            now = msgspec.json.decode((await one.get("/state"))[1], type=PageState)
            assert [site.name for site in now.sites if site.level == "silent"] == ["nara"]

    asyncio.run(work())


def test_changes_put_together_are_the_state() -> None:
    async def work() -> None:
        source = LineSource()
        async with page(source) as one:
            held: dict[str, Any] = {}
            count = 0
            async for name, data in one.events():
                if name == "state":
                    held = data
                elif name == "change":
                    for member, value in data.items():
                        key = "ends" if member == "pairs" else "name"
                        fresh = {str(item[key]): item for item in value} if isinstance(value, list) else {}
                        held[member] = [fresh.get(str(item[key]), item) for item in held[member]] if fresh else value
                    count += 1
                    source.still.add("nara-osaka")
                    if count == 5:
                        break
            source.step = int(held["utc_s"] - 1_794_000_000) - 1
            assert msgspec.convert(held, PageState) == await source.state()

    asyncio.run(work())


def test_a_state_that_stays_the_same_is_a_beat() -> None:
    class Calm(LineSource):
        async def state(self) -> PageState:
            self.step = 7
            return await super().state()

    async def work() -> None:
        async with page(Calm()) as one:
            assert set(await until(one.events(), "beat")) == {"utc_s"}

    asyncio.run(work())


def test_spans_that_come_bring_the_whole_state() -> None:
    async def work() -> None:
        source = GridSource(3)
        async with page(source) as one:
            events = one.events()
            assert len((await until(events, "state"))["spans"]) == 3
            source.spans = 5
            assert len((await until(events, "state"))["spans"]) == 5

    asyncio.run(work())


def test_a_source_that_fails_is_said_and_no_old_state_is_given() -> None:
    async def work() -> None:
        source = LineSource()
        async with page(source) as one:
            events = one.events()
            await until(events, "state")
            source.failure = TokaidoError("the hub is away", remedy="Wait")
            assert await until(events, "lost") == {"why": "the hub is away. Wait"}
            status, body = await one.get("/state")
            assert status == 503
            assert b"the hub is away" in body
            assert await until(one.events(), "lost") == {"why": "the hub is away. Wait"}
            source.failure = ValueError("secret")
            while (why := (await until(events, "lost"))["why"]) != "the source failed: ValueError":
                assert "hub" in why
            source.failure = None
            assert (await until(events, "state"))["network"] == "tokaido-line"

    asyncio.run(work())


def test_a_source_that_does_not_answer_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tokaido.console.page._server.ANSWER_S", 0.1)

    async def work() -> None:
        source = LineSource()
        async with page(source) as one:
            events = one.events()
            await until(events, "state")
            source.waits = True
            assert await until(events, "lost") == {"why": "nothing answered within 0.1 s"}

    asyncio.run(work())


def test_relays_are_told_with_their_route_and_not_too_many() -> None:
    async def work() -> None:
        source = LineSource()
        async with page(source) as one:
            events = one.events()
            await until(events, "state")
            for keys in range(1, 31):
                source.relays.put_nowait(PageRelay(route=LINE, keys=keys, utc_s=1.0))
            assert await until(events, "relay") == {"route": list(LINE), "keys": 1, "state": "ready", "utc_s": 1.0}
            told = 1
            async for name, _ in events:
                told += name == "relay"
                if name == "change" and source.relays.empty():
                    break
            assert 2 <= told <= 16  # 8 a second, and a second may end in between

    asyncio.run(work())


def test_a_page_that_reads_too_slowly_is_disconnected_and_others_are_not() -> None:
    async def work() -> None:
        source = GridSource(200)
        async with page(source, 0.002) as one:
            where = urlsplit(one.base)
            cookie = "; ".join(f"{kept.key}={kept.value}" for kept in one.session.cookie_jar)
            slow = socket.create_connection((where.hostname, where.port))
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            with slow:
                slow.sendall(f"GET /events HTTP/1.1\r\nHost: {where.netloc}\r\nCookie: {cookie}\r\n\r\n".encode())
                async with asyncio.timeout(patient(20)):
                    async for _ in one.events():
                        if one.server.dropped:
                            break
                assert one.server.dropped == 1
                with pytest.raises(ConnectionError):  # noqa: PT012 - some of them are written before it is noticed
                    for _ in range(100):
                        slow.sendall(b"\r\n")
                        await asyncio.to_thread(SYSTEM_CLOCK.wait, 0.01)
            await until(one.events(), "change")

    asyncio.run(work())


def test_no_more_than_sixteen_pages_listen() -> None:
    async def work() -> None:
        async with page(LineSource()) as one:
            listening = [one.events() for _ in range(16)]
            for events in listening:
                await until(events, "state")
            assert (await one.get("/events"))[0] == 503
            await listening[0].aclose()  # type: ignore[attr-defined]
            async with asyncio.timeout(patient(5)):
                while one.server.listeners == 16:  # it is noticed when something is written
                    await until(listening[1], "change")
            assert await until(one.events(), "state")

    asyncio.run(work())


def test_a_page_that_is_loaded_again_has_the_history(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tokaido.console.page._history.PERIOD_S", 0.0)

    async def work() -> None:
        source = LineSource()
        async with page(source, 0.002) as one:
            events = one.events()
            await until(events, "state")
            source.still.add("nara-osaka")
            while source.step < 80:
                await until(events, "change")
            told = json.loads((await one.get("/history"))[1])
            assert told["samples"] == 60
            assert len(told["spans"]) == 14
            assert [len(values) for values in told["spans"]["tokyo-odawara"].values()] == [60, 60, 60]
            assert told["spans"]["nara-osaka"]["qber"][-3:] == [None, None, None]
            assert told["spans"]["tokyo-odawara"]["qber"][-1] == pytest.approx(0.033, abs=0.01)
            source.failure = TokaidoError("away")
            await until(events, "lost")
            await until(events, "lost")
            assert json.loads((await one.get("/history"))[1])["spans"]["tokyo-odawara"]["stock_bits"][-1] is None

    asyncio.run(work())


def test_drills_begin_or_are_refused() -> None:
    async def work() -> None:
        source = LineSource()
        async with page(source, drills=source) as one:
            assert await one.post("/drills/power") == (202, {})
            assert source.started == ["power"]
            status, told = await one.post("/drills/power")
            assert (status, told["error"], told["remedy"]) == (409, "power is running", "Wait until it ends")
            assert (await one.post("/drills/tsunami"))[0] == 404
            drills = json.loads((await one.get("/state"))[1])["drills"]
            assert [drill["name"] for drill in drills] == ["fibre-cut", "eavesdropper", "power"]
        async with page(source) as one:
            assert (await one.post("/drills/power"))[0] == 404
            assert (await one.post("/applications/encrypt"))[0] == 404
            assert (await one.get("/applications/picture"))[0] == 404

    asyncio.run(work())


def test_the_picture_goes_from_one_end_to_the_other_and_no_key_leaves_the_server() -> None:
    async def work() -> None:
        keys = PageKeys()
        heard: list[bytes] = []
        async with page(LineSource(), exchange=keys.exchange(LINE)) as one:
            events = one.events()
            await until(events, "state")
            status, picture = await one.get("/applications/picture")
            assert status == 200
            assert (await one.get("/applications/ciphertext"))[0] == 404
            assert (await one.get("/applications/opened"))[0] == 404
            assert (await one.post("/applications/decrypt"))[0] == 409
            for number in (1, 2):
                status, told = await one.post("/applications/encrypt")
                assert (status, told["number"], told["state"], told["route"]) == (200, number, "encrypted", list(LINE))
                ciphertext = (await one.get("/applications/ciphertext"))[1]
                assert len(ciphertext) == len(picture) == 3 * told["width"] * told["height"]
                assert sum(a == b for a, b in zip(ciphertext, picture, strict=True)) < len(picture) / 100
                assert (await one.get("/applications/opened"))[0] == 404
                status, told = await one.post("/applications/decrypt")
                assert (status, told["state"]) == (200, "opened")
                assert (await one.get("/applications/opened"))[1] == picture
                assert (await one.post("/applications/decrypt"))[0] == 409
                heard += [ciphertext, (await one.get("/state"))[1], json.dumps(told).encode()]
            seen = await until(events, "change")
            while seen.get("exchange", {}).get("state") != "opened":
                heard.append(json.dumps(seen).encode())
                seen = await until(events, "change")
        assert len(set(keys.given)) == 2
        assert all(handle.wiped for handle in keys.handles)
        for key in keys.given:
            for form in (key, key.hex().encode(), base64.b64encode(key)):
                assert not any(form in text for text in heard)

    asyncio.run(work())


def test_an_exchange_that_fails_says_so() -> None:
    async def work() -> None:
        keys = PageKeys()
        async with page(LineSource(), exchange=keys.exchange()) as one:
            keys.wrong = True
            assert (await one.post("/applications/encrypt"))[0] == 200
            status, told = await one.post("/applications/decrypt")
            assert (status, told["error"]) == (409, "the key does not open what came")
            assert (await one.get("/applications/opened"))[0] == 404
            keys.empty = True
            status, told = await one.post("/applications/encrypt")
            assert (status, told["error"]) == (409, "no key is ready")
            state = json.loads((await one.get("/state"))[1])["exchange"]
            assert state["state"] == "failed" or state["seen"] == ""  # the next look brings it

    asyncio.run(work())
