"""What one listener bears: slow and idle connections, floods, and new certificates while it works."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import signal
import socket
import ssl
import time
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from tokaido.hal import NotConnectedError
from tokaido.node import pki
from tokaido.node.listening import Limits, Listener
from tokaido.node.tls import client_context, server_context
from tokaido_testing.key_managers import KEYS, STATUS, KeyManagers, etsi014, key_managers, make_pki, until
from tokaido_testing.patience import patient

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SHORT = Limits(handshake_s=0.3, head_s=0.3, body_s=0.3, per_certificate=8, connections=12)
REQUEST = f"GET {STATUS} HTTP/1.1\r\nHost: kme\r\n\r\n".encode()


@pytest.fixture
def short(certificates: Path) -> Iterator[KeyManagers]:
    with key_managers(certificates, limits=SHORT) as found:
        yield found


def connected(managers: KeyManagers, who: str = "bank") -> ssl.SSLSocket:
    plain = socket.create_connection(("127.0.0.1", managers.port), timeout=patient(5))
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client_context(managers.files(who)).wrap_socket(plain, server_hostname="localhost")


def reload(managers: KeyManagers, context: ssl.SSLContext) -> None:
    async def there() -> None:
        managers.listener.reload(context)

    managers.served.call(there())


def rest(sock: socket.socket) -> bytes:
    """Return all that comes until the other end closes."""
    found = bytearray()
    with contextlib.suppress(ConnectionResetError, ssl.SSLError):
        while piece := sock.recv(65536):
            found += piece
    return bytes(found)


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def head(sock: socket.socket) -> bytes:
    found = bytearray()
    while b"\r\n\r\n" not in found:
        piece = sock.recv(65536)
        assert piece, "the connection ended"
        found += piece
    return bytes(found)


# --- slow ------------------------------------------------------------------------------------------


def test_a_connection_that_says_nothing_ends(short: KeyManagers) -> None:
    begin_s = time.monotonic()
    with socket.create_connection(("127.0.0.1", short.port), timeout=patient(5)) as mute:  # not even TLS
        assert rest(mute) == b""
    with connected(short) as idle:
        assert rest(idle) == b""
    assert time.monotonic() - begin_s >= 0.5


def test_a_connection_that_does_not_read_its_answers_ends(short: KeyManagers) -> None:
    with connected(short) as sock:
        sock.settimeout(0.2)
        with contextlib.suppress(OSError):
            while True:
                sock.sendall(REQUEST * 200)
        until(lambda: short.listener.connections == 0)


@pytest.mark.parametrize("after", [b"", REQUEST])
def test_a_head_that_comes_byte_by_byte_ends(short: KeyManagers, after: bytes) -> None:
    with connected(short) as slow:
        if after:
            slow.sendall(after)
            assert status_of(head(slow)) == 200
        begin_s = time.monotonic()
        with contextlib.suppress(OSError):
            for byte in REQUEST * 10:
                slow.sendall(bytes([byte]))
                time.sleep(0.01)
        assert time.monotonic() - begin_s < patient(3)
        assert rest(slow) == b""


def test_a_body_that_comes_byte_by_byte_is_a_bad_request(short: KeyManagers) -> None:
    with connected(short) as slow:
        slow.sendall(f"POST {KEYS} HTTP/1.1\r\nHost: kme\r\nContent-Length: 99\r\n".encode())
        slow.sendall(b"Content-Type: application/json\r\n\r\n{")
        assert b"did not come in time" in (answer := rest(slow))
        assert status_of(answer) == 400
    assert short.network.stock == 1000


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_long_is_a_bad_request(short: KeyManagers, chunked: bool) -> None:
    with connected(short) as long:
        told = "Transfer-Encoding: chunked" if chunked else "Content-Length: 70000"
        long.sendall(f"POST {KEYS} HTTP/1.1\r\nHost: kme\r\n{told}\r\n".encode())
        long.sendall(b"Content-Type: application/json\r\n\r\n")
        with contextlib.suppress(OSError):
            for _ in range(70):
                long.sendall((b"3E8\r\n" if chunked else b"") + b" " * 1000 + (b"\r\n" if chunked else b""))
        answer = rest(long)
        assert status_of(answer) == 400
        assert b"too long" in answer
    assert short.network.stock == 1000


# --- many ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [80, pytest.param(500, marks=pytest.mark.thorough)])
def test_idle_connections_of_one_application_leave_room_for_the_others(certificates: Path, count: int) -> None:
    with key_managers(certificates, limits=Limits(per_certificate=32)) as managers, contextlib.ExitStack() as stack:
        context = client_context(managers.files("bank"))
        for _ in range(count):
            plain = socket.create_connection(("127.0.0.1", managers.port), timeout=patient(5))
            stack.enter_context(context.wrap_socket(plain, server_hostname="localhost"))
        assert managers.ask("clinic", "GET", STATUS).status == 200
        assert managers.listener.connections <= 33
        with pytest.raises(OSError, match=r".*"):
            managers.ask("bank", "GET", STATUS)
        stack.close()
        until(lambda: managers.listener.connections == 0)
        assert managers.ask("bank", "GET", STATUS).status == 200


def test_connections_that_show_no_certificate_are_few(certificates: Path) -> None:
    limits = Limits(handshakes=10, handshake_s=30)
    with key_managers(certificates, limits=limits) as managers, contextlib.ExitStack() as stack:
        mute = [
            stack.enter_context(socket.create_connection(("127.0.0.1", managers.port), timeout=patient(5)))
            for _ in range(30)
        ]
        assert [rest(sock) for sock in mute[10:]] == [b""] * 20  # those before would be closed much later
        mute[0].close()
        until(lambda: answers(managers))


def answers(managers: KeyManagers) -> bool:
    try:
        return managers.ask("bank", "GET", STATUS).status == 200
    except OSError:
        return False


def test_all_applications_together_have_a_limit(short: KeyManagers) -> None:
    with contextlib.ExitStack() as stack:
        for who in ("bank", "clinic") * 6:
            stack.enter_context(connected(short, who))
        until(lambda: short.listener.connections == 12)
        with pytest.raises(OSError, match=r".*"):
            short.ask("stranger", "GET", STATUS)


@pytest.mark.parametrize(
    "junk",
    [
        b"\x16\x03\x01junk\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nbad header\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n",
        b"GET / HTTP/1.1\r\na: " + b"b" * 9000 + b"\r\n\r\n",
    ],
)
def test_what_is_not_http_is_refused_and_the_connection_ends(
    short: KeyManagers, junk: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with connected(short) as sock:
        sock.sendall(junk)
        answer = rest(sock)
    assert status_of(answer) == 400
    assert json.loads(answer.partition(b"\r\n\r\n")[2]) == {"message": "malformed request"}
    assert "Traceback" not in caplog.text


def test_a_flood_of_malformed_requests_is_no_flood_of_lines(
    short: KeyManagers, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(40):
        with connected(short) as sock:
            sock.sendall(b"SECRET\r\n\r\n")
            assert status_of(rest(sock)) == 400
    assert short.ask("bank", "GET", STATUS).status == 200
    told = [record for record in caplog.records if record.levelname != "DEBUG"]
    assert 1 <= len(told) < 15
    assert "SECRET" not in caplog.text


def test_pipelined_requests_are_answered_in_order(short: KeyManagers) -> None:
    with connected(short) as sock:
        last = REQUEST.replace(b"Host", b"Connection: close\r\nHost")
        sock.sendall(REQUEST * 3 + last)
        assert rest(sock).count(b"HTTP/1.1 200") == 4


# --- new certificates ------------------------------------------------------------------------------------------


def test_a_revoked_application_is_out_after_a_reload_and_others_are_not(tmp_path: Path) -> None:
    folder = make_pki(tmp_path / "pki")
    with key_managers(folder) as managers:
        node = pki.files_of(folder, "node-otemachi")
        with connected(managers, "bank") as bank, connected(managers, "clinic") as clinic:
            for sock in (bank, clinic):
                sock.sendall(REQUEST)
                assert status_of(head(sock)) == 200
            pki.revoke(folder, ["bank"])
            reload(managers, server_context(node))
            assert rest(bank) == rest(clinic) == b""  # they connect again, and show their certificates
        with pytest.raises(OSError, match=r"revoked|closed|EOF|reset"):
            managers.ask("bank", "GET", STATUS)
        assert managers.ask("clinic", "GET", STATUS).status == 200


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_revoked_application_cannot_resume_its_session(tmp_path: Path, version: ssl.TLSVersion) -> None:
    folder = make_pki(tmp_path / "pki")
    with key_managers(folder) as managers:
        context = client_context(managers.files("bank"))
        context.maximum_version = version

        def again(session: ssl.SSLSession | None) -> ssl.SSLSession | None:
            plain = socket.create_connection(("127.0.0.1", managers.port), timeout=patient(5))
            with context.wrap_socket(plain, server_hostname="localhost", session=session) as sock:
                sock.sendall(REQUEST)
                assert status_of(head(sock)) == 200
                return sock.session

        session = again(None)
        pki.revoke(folder, ["bank"])
        reload(managers, server_context(pki.files_of(folder, "node-otemachi")))
        with pytest.raises((OSError, AssertionError), match=r"revoked|ended|EOF|reset"):
            again(session)


def test_a_reload_lets_the_running_request_be_answered(managers: KeyManagers) -> None:
    async def hold() -> asyncio.Event:
        return asyncio.Event()

    held = managers.here.held = managers.served.call(hold())
    with connected(managers) as sock:
        sock.sendall(REQUEST.replace(STATUS.encode(), KEYS.encode()))
        until(lambda: managers.here.waiting == 1)
        reload(managers, server_context(managers.files("node-otemachi")))
        managers.served.loop.call_soon_threadsafe(held.set)
        answer = rest(sock)  # and then it ends
    assert status_of(answer) == 200
    assert b'"keys"' in answer
    assert managers.here.orphans == []


def test_the_port_is_open_during_reloads(managers: KeyManagers) -> None:
    async def reloads() -> None:
        for _ in range(20):
            managers.listener.reload(server_context(managers.files("node-otemachi")))
            await asyncio.sleep(0.005)

    running = asyncio.run_coroutine_threadsafe(reloads(), managers.served.loop)
    asked = 0
    while not running.done():
        with socket.create_connection(("127.0.0.1", managers.port), timeout=patient(5)):
            asked += 1
    running.result()
    assert asked > 20
    assert managers.ask("bank", "GET", STATUS).status == 200


def test_sighup_reads_the_files_again_and_bad_ones_change_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = make_pki(tmp_path / "pki")
    files = pki.files_of(folder, "node-otemachi")
    client = client_context(pki.files_of(folder, "sae-bank"))

    async def heard(port: int) -> bool:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client, server_hostname="localhost")
            writer.write(REQUEST)
            try:
                return (await reader.readline()) != b""
            finally:
                writer.close()
        except (ConnectionError, ssl.SSLError):
            return False

    async def work() -> None:
        from aiohttp import web

        listener = Listener(web.Application(), server_context(files))
        await listener.open("127.0.0.1", 0)
        listener.reload_on_hangup(files)
        try:
            assert await heard(listener.port)
            good = (folder / "crl.pem").read_bytes()
            (folder / "crl.pem").write_bytes(b"broken")
            os.kill(os.getpid(), signal.SIGHUP)
            while "not taken" not in caplog.text:
                await asyncio.sleep(0.01)
            assert await heard(listener.port)
            (folder / "crl.pem").write_bytes(good)
            pki.revoke(folder, ["bank"])
            os.kill(os.getpid(), signal.SIGHUP)
            while await heard(listener.port):
                await asyncio.sleep(0.01)
        finally:
            asyncio.get_running_loop().remove_signal_handler(signal.SIGHUP)
            await listener.close()

    async def bounded() -> None:
        async with asyncio.timeout(patient(10)):
            await work()

    asyncio.run(bounded())


@pytest.mark.parametrize("turns", range(5))
def test_an_end_leaves_no_connection_open_however_far_its_handshake_is(certificates: Path, turns: int) -> None:
    """A connection that is left to the garbage collector fails the test, as every warning does."""

    async def work() -> None:
        context = server_context(pki.files_of(certificates, "node-otemachi"))
        listener = Listener(web.Application(), context)
        await listener.open("127.0.0.1", 0)
        with socket.create_connection(("127.0.0.1", listener.port)):
            for _ in range(turns):
                await asyncio.sleep(0)
            await listener.close()

    asyncio.run(work())
    gc.collect()


def test_a_port_that_is_taken_is_told(managers: KeyManagers) -> None:
    other = etsi014(managers.here)

    async def second() -> None:
        await Listener(other, server_context(managers.files("node-otemachi"))).open("127.0.0.1", managers.port)

    with pytest.raises(NotConnectedError, match=r"cannot listen at 127\.0\.0\.1"):
        managers.served.call(second())
