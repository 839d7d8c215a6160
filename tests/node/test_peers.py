"""Envelopes between nodes: over real TLS, and only between those whose certificates say so."""

from __future__ import annotations

import asyncio
import io
import logging
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from tokaido.node.listening import Limits, Listener
from tokaido.node.messages import MAX_BODY, Envelope, Hello, Ok, decode, encode
from tokaido.node.peers import PATH, TYPE, BusyError, Neighbour, UnansweredError, peer_application
from tokaido.node.pki import files_of, issue, revoke
from tokaido.node.tls import client_context, server_context


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates") / "pki"
    issue(folder, nodes={"otemachi": (), "koganei": (), "hakone": ()}, saes=["bank"])
    return folder


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("foreign") / "pki"
    issue(folder, nodes={"otemachi": (), "koganei": ()})
    return folder


def envelope(n: int = 1) -> Envelope:
    return Envelope(run=os.urandom(16), to=b"", n=n, body=Hello(node="otemachi", mark=0, links=("span",), told=0))


async def polite(neighbour: str, heard: Envelope) -> Envelope:
    return Envelope(run=bytes(16), to=heard.run, n=heard.n, body=Ok())


@asynccontextmanager
async def koganei(
    pki: Path, hears: Callable[[str, Envelope], Awaitable[Envelope]] = polite, certificate: str = "node-koganei"
) -> AsyncIterator[int]:
    """A listener whose one neighbour is otemachi; its port."""
    found = peer_application(hears, lambda name: name == "otemachi")  # type: ignore[arg-type]
    listener = Listener(found, server_context(files_of(pki, certificate)), Limits(body=MAX_BODY))
    await listener.open("127.0.0.1", 0)
    try:
        yield listener.port
    finally:
        await listener.close()


@asynccontextmanager
async def way(
    pki: Path, port: int, certificate: str = "node-otemachi", to: str = "koganei"
) -> AsyncIterator[Neighbour]:
    found = Neighbour(to, f"https://127.0.0.1:{port}", client_context(files_of(pki, certificate)))
    try:
        yield found
    finally:
        await found.close()


def test_an_envelope_is_answered_with_the_neighbours_name(pki: Path) -> None:
    heard: list[str] = []

    async def hears(neighbour: str, asked: Envelope) -> Envelope:
        heard.append(neighbour)
        return await polite(neighbour, asked)

    async def work() -> None:
        async with koganei(pki, hears) as port, way(pki, port) as to:
            asked = envelope(7)
            answer = await to.ask(asked, 5.0)
            assert answer == Envelope(run=bytes(16), to=asked.run, n=7, body=Ok())

    asyncio.run(work())
    assert heard == ["otemachi"]


@pytest.mark.parametrize("certificate", ["node-hakone", "sae-bank"])
def test_a_certificate_of_no_neighbour_is_heard_by_nobody(
    pki: Path, certificate: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def work() -> None:
        async with koganei(pki, never) as port, way(pki, port, certificate) as to:
            with pytest.raises(UnansweredError, match=r"403.*speaks for no neighbour"):
                await to.ask(envelope(), 5.0)

    with caplog.at_level(logging.WARNING):
        asyncio.run(work())
    assert "not for a neighbour" in caplog.text


async def never(neighbour: str, heard: Envelope) -> Envelope:
    raise AssertionError(f"{neighbour} was heard")


def test_a_server_that_speaks_for_another_node_gets_no_byte(pki: Path) -> None:
    async def work() -> None:
        async with koganei(pki, never, "node-hakone") as port, way(pki, port) as to:
            with pytest.raises(UnansweredError, match="speaks for hakone, not for koganei"):
                await to.ask(envelope(), 5.0)

    asyncio.run(work())


def test_nobody_of_another_authority_is_believed(pki: Path, foreign: Path) -> None:
    async def work() -> None:
        async with koganei(foreign, never) as port, way(pki, port) as to:
            with pytest.raises(UnansweredError, match="certificate verify failed"):
                await to.ask(envelope(), 5.0)
        async with koganei(pki, never) as port, way(foreign, port) as to:
            with pytest.raises(UnansweredError):
                await to.ask(envelope(), 5.0)

    asyncio.run(work())


def test_a_neighbour_that_says_nothing_is_given_up_in_time(pki: Path) -> None:
    async def hangs(neighbour: str, heard: Envelope) -> Envelope:
        await asyncio.Event().wait()
        raise AssertionError

    async def work() -> float:
        async with koganei(pki, hangs) as port, way(pki, port) as to:
            begun = asyncio.get_running_loop().time()
            with pytest.raises(UnansweredError, match=r"did not answer within 0\.2 s"):
                await to.ask(envelope(), 0.2)
            return asyncio.get_running_loop().time() - begun

    assert asyncio.run(work()) < 5.0


def test_a_busy_neighbour_and_one_that_is_not_there_are_told(pki: Path) -> None:
    async def busy(neighbour: str, heard: Envelope) -> Envelope:
        raise BusyError("the node is starting")

    async def work() -> None:
        async with koganei(pki, busy) as port, way(pki, port) as to:
            with pytest.raises(UnansweredError, match="503: the node is starting"):
                await to.ask(envelope(), 5.0)
        async with way(pki, port) as to:
            with pytest.raises(UnansweredError, match="koganei at https://127"):
                await to.ask(envelope(), 5.0)

    asyncio.run(work())


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"", TYPE, 400),
        (b"\xc1", TYPE, 400),
        (encode(envelope()) + b"\x00", TYPE, 400),
        (encode(envelope()), "application/json", 400),
        (bytes(MAX_BODY + 1), TYPE, 413),
    ],
)
def test_a_body_that_is_not_an_envelope_is_refused_and_the_next_one_is_heard(
    pki: Path, body: bytes, kind: str, status: int
) -> None:
    async def work() -> None:
        async with koganei(pki) as port, way(pki, port) as to:
            async with aiohttp.ClientSession() as session:
                tls = client_context(files_of(pki, "node-otemachi"))
                async with session.post(
                    f"https://127.0.0.1:{port}{PATH}",
                    data=io.BytesIO(body),
                    headers={"Content-Type": kind},
                    ssl=tls,
                ) as answer:
                    assert answer.status == status
            assert (await to.ask(envelope(), 5.0)).body == Ok()

    asyncio.run(work())


@pytest.mark.parametrize("answer", [b"", b"\xc1", bytes(MAX_BODY + 1), encode(envelope())[:-1]])
def test_an_answer_that_is_not_an_envelope_counts_as_none(pki: Path, answer: bytes) -> None:
    async def work() -> None:
        async def reply(_: web.Request) -> web.Response:
            return web.Response(body=answer, content_type=TYPE)

        served = web.Application()
        served.router.add_post(PATH, reply)
        listener = Listener(served, server_context(files_of(pki, "node-koganei")))
        await listener.open("127.0.0.1", 0)
        async with way(pki, listener.port) as to:
            with pytest.raises(UnansweredError):
                await to.ask(envelope(), 5.0)
        await listener.close()

    asyncio.run(work())


def test_a_context_of_one_neighbour_takes_no_other(pki: Path) -> None:
    context = client_context(files_of(pki, "node-otemachi"))
    Neighbour("koganei", "https://127.0.0.1:1", context)
    assert context.sslobject_class is not ssl.SSLObject


def test_an_envelope_is_what_it_was_after_the_wire() -> None:
    asked = envelope()
    assert decode(encode(asked)) == asked


def test_new_settings_are_for_connections_to_come_and_let_a_question_be_answered(tmp_path: Path) -> None:
    issue(tmp_path / "pki", nodes={"otemachi": (), "koganei": ()})
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def slow(neighbour: str, heard: Envelope) -> Envelope:
        asked.set()
        await go_on.wait()
        return await polite(neighbour, heard)

    async def work() -> None:
        async with koganei(tmp_path / "pki", slow) as port:
            files = files_of(tmp_path / "pki", "node-otemachi")
            way = Neighbour("koganei", f"https://127.0.0.1:{port}", client_context(files))
            question = asyncio.create_task(way.ask(envelope(), 20.0))
            await asked.wait()
            revoke(tmp_path / "pki", ["koganei"])
            way.reload(client_context(files))
            go_on.set()
            assert isinstance((await question).body, Ok)
            for _ in range(2):
                with pytest.raises(UnansweredError, match="revoked"):
                    await way.ask(envelope(2), 20.0)
            await way.close()

    asyncio.run(work())
