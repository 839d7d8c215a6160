"""Keys on their way to an application: who leaves in the middle, who does not read, and what is left of a key."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import socket
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from tokaido.node.client import Reason
from tokaido.node.service import KeyRefusedError
from tokaido_testing.key_managers import KEYS, KeyManagers, until

if TYPE_CHECKING:
    import ssl

ASK = f"GET {KEYS}?number=2 HTTP/1.1\r\nHost: kme\r\n\r\n".encode()


async def made() -> asyncio.Event:
    return asyncio.Event()


def connected(managers: KeyManagers, who: str = "bank", port: int | None = None) -> ssl.SSLSocket:
    from tokaido.node.tls import client_context

    plain = socket.create_connection(("127.0.0.1", port or managers.port), timeout=10)
    return client_context(managers.files(who)).wrap_socket(plain, server_hostname="localhost")


def test_keys_whose_application_left_are_orphans_and_wiped(managers: KeyManagers) -> None:
    held = managers.here.held = managers.served.call(made())
    with connected(managers) as sock:
        sock.sendall(ASK)
        until(lambda: managers.here.waiting == 1)
    until(lambda: managers.listener.connections == 0)
    managers.served.loop.call_soon_threadsafe(held.set)
    until(lambda: len(managers.here.orphans) == 2)
    assert set(managers.here.orphans) == set(managers.network.supplies)
    until(lambda: all(key.wiped for key in managers.here.out))


def test_a_slave_that_left_leaves_orphans_too(managers: KeyManagers) -> None:
    (key,) = json.loads(managers.ask("bank", "GET", KEYS).body)["keys"]
    held = managers.there.held = managers.served.call(made())
    with connected(managers, "shop", managers.other_port) as sock:
        sock.sendall(f"GET /api/v1/keys/bank/dec_keys?key_ID={key['key_ID']} HTTP/1.1\r\nHost: kme\r\n\r\n".encode())
        until(lambda: managers.there.waiting == 1)
    until(lambda: managers.other_listener.connections == 0)
    managers.served.loop.call_soon_threadsafe(held.set)
    until(lambda: managers.there.orphans == [uuid.UUID(key["key_ID"]).bytes])


def test_keys_that_came_too_late_are_orphans(managers: KeyManagers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tokaido.node.applications._answers.ANSWER_S", 0.1)
    held = managers.here.held = managers.served.call(made())
    reply = managers.ask("bank", "GET", KEYS)
    assert reply.status == 503
    assert json.loads(reply.body)["details"] == [{"tokaido_reason": "peer_silent"}]
    managers.served.loop.call_soon_threadsafe(held.set)
    until(lambda: len(managers.here.orphans) == 1)
    until(lambda: managers.here.out[0].wiped)


def test_a_service_that_fails_late_is_nobodys_news(managers: KeyManagers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tokaido.node.applications._answers.ANSWER_S", 0.1)
    held = managers.served.call(made())

    async def late(*args: Any) -> Any:
        await held.wait()
        raise KeyRefusedError("late", Reason.NO_KEY)

    with monkeypatch.context() as patch:
        patch.setattr(managers.here, "enc_keys", late)
        assert managers.ask("bank", "GET", KEYS).status == 503
    managers.served.loop.call_soon_threadsafe(held.set)
    assert managers.ask("bank", "GET", KEYS).status == 200
    assert managers.here.orphans == []


def test_an_application_that_does_not_read_gets_no_more_time(
    managers: KeyManagers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tokaido.node.applications._answers.ANSWER_S", 0.5)
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    plain.settimeout(10)
    plain.connect(("127.0.0.1", managers.port))
    from tokaido.node.tls import client_context

    context = client_context(managers.files("bank"))
    managers.network.stock = 10**6
    with context.wrap_socket(plain, server_hostname="localhost") as sock:
        ask = f"GET {KEYS}?number=128&size=8192 HTTP/1.1\r\nHost: kme\r\n\r\n".encode()
        sock.sendall(ask * 60)  # 11 MB of keys
        until(lambda: managers.here.orphans, 20)
        until(lambda: managers.listener.connections == 0)
    until(lambda: all(key.wiped for key in managers.here.out))


def test_keys_are_wiped_once_they_are_out(managers: KeyManagers) -> None:
    body = json.dumps({"number": 5, "size": 512}).encode()
    got = [base64.b64decode(key["key"]) for key in json.loads(managers.ask("bank", "POST", KEYS, body).body)["keys"]]
    assert got == [supply.data for supply in managers.network.supplies.values()]
    until(lambda: all(key.wiped for key in managers.here.out))
    assert len(managers.here.out) == 5
    assert managers.here.orphans == []


def test_long_answers_arrive_whole_though_they_are_wiped(managers: KeyManagers) -> None:
    for _ in range(5):
        managers.network.supplies.clear()
        managers.network.stock = 1000
        reply = managers.ask("bank", "GET", f"{KEYS}?number=128&size=8192")
        got = [base64.b64decode(key["key"]) for key in json.loads(reply.body)["keys"]]
        assert got == [supply.data for supply in managers.network.supplies.values()]


@pytest.mark.parametrize("level", [logging.DEBUG])
def test_no_part_of_a_key_is_in_logs_or_errors(
    managers: KeyManagers, caplog: pytest.LogCaptureFixture, level: int, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(level)
    managers.served.loop.set_debug(True)
    logging.getLogger("asyncio").setLevel(level)
    replies = [managers.ask("bank", "GET", f"{KEYS}?number=3")]
    ids = [key["key_ID"] for key in json.loads(replies[0].body)["keys"]]
    asked = json.dumps({"key_IDs": [{"key_ID": key_id} for key_id in ids]}).encode()
    path = "/api/v1/keys/bank/dec_keys"
    managers.ask("shop", "POST", path, asked, port=managers.other_port)
    errors = [
        managers.ask("shop", "POST", path, asked, port=managers.other_port),
        managers.ask("cafe", "POST", path, asked, port=managers.other_port),
    ]
    managers.here.fails = RuntimeError("inside")
    errors.append(managers.ask("bank", "GET", KEYS))
    shown = caplog.text + "".join(capfd.readouterr()) + "".join(str(reply.body) for reply in errors)
    shown += "".join(map(repr, managers.here.out))
    for supply in managers.network.supplies.values():
        forms = (supply.data.hex(), base64.b64encode(supply.data).decode(), repr(supply.data)[2:-1])
        assert not any(form[i : i + 8] in shown for form in forms for i in range(0, len(form) - 8, 4))
