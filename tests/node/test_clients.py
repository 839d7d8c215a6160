"""Our clients, one for threads and one for asyncio: the same answers, the same errors, and nothing asked twice."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import secrets
import socket
import ssl
import subprocess
import sys
import threading
import time
import uuid
from typing import TYPE_CHECKING, Any

import pytest

import tokaido.hal as hal
from tokaido.node.client import AsyncKeyClient, ClientKey, KeyClient, KeyManagerError, Reason
from tokaido.node.service import KeyRefusedError
from tokaido.node.tls import server_context
from tokaido_testing.key_managers import KeyManagers, etsi014, until
from tokaido_testing.patience import patient
from tokaido_testing.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tokaido.node.tls import TlsFiles

ABSENT = uuid.UUID(int=0)


class Waiting:
    """The client for asyncio, called as the other one is."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._client = AsyncKeyClient(*args, **options)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            async def work() -> Any:
                async with self._client:
                    return await getattr(self._client, name)(*args, **options)

            return asyncio.run(work())

        return call


@pytest.fixture(params=[KeyClient, Waiting], ids=["threads", "asyncio"])
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param


def at(port: int) -> str:
    return f"https://127.0.0.1:{port}"


def bank(kind: Any, managers: KeyManagers, **options: Any) -> Any:
    return kind(at(managers.port), managers.files("bank"), timeout_s=patient(5), **options)


def shop(kind: Any, managers: KeyManagers) -> Any:
    return kind(at(managers.other_port), managers.files("shop"), timeout_s=patient(5))


def test_both_ends_get_the_same_keys(kind: Any, managers: KeyManagers) -> None:
    made = bank(kind, managers).enc_keys("shop", number=3, size=512)
    got = shop(kind, managers).dec_keys("bank", [key.key_id for key in reversed(made)])
    nonce = secrets.token_bytes(16)
    assert [key.key_id for key in got] == [key.key_id for key in reversed(made)]
    assert [key.key.digest(nonce) for key in reversed(got)] == [key.key.digest(nonce) for key in made]
    assert [key.key.bits for key in made] == [512] * 3
    assert made[0].key.reveal() == managers.network.supplies[made[0].key_id.bytes].data


def test_a_key_wipes_itself_and_never_shows(kind: Any, managers: KeyManagers) -> None:
    (made,) = bank(kind, managers).enc_keys("shop")
    assert isinstance(made, ClientKey)
    with made as key:
        assert key.bits == 256
        assert key.reveal().hex()[:8] not in repr(made)
    assert key.wiped


@pytest.mark.parametrize("emulated", [True, False])
def test_a_key_of_emulated_units_says_so(kind: Any, managers: KeyManagers, emulated: bool) -> None:
    managers.network.emulated = emulated
    (made,) = bank(kind, managers).enc_keys("shop")
    assert made.emulated is emulated


def test_status_is_table_9(kind: Any, managers: KeyManagers) -> None:
    found = bank(kind, managers).status("shop")
    assert (found.source_KME_ID, found.target_KME_ID, found.stored_key_count) == ("otemachi", "koganei", 1000)
    assert found.status_extension["tokaido_hops"] == 1


def test_ids_of_applications_may_hold_anything(kind: Any, managers: KeyManagers) -> None:
    assert bank(kind, managers).status("a/b c%2F").slave_SAE_ID == "a/b c%2F"


def test_further_slaves_and_extensions_travel(kind: Any, managers: KeyManagers) -> None:
    (made,) = bank(kind, managers).enc_keys(
        "shop", further_slaves=["cafe"], mandatory={"tokaido_hops": 1}, optional={"acme_x": [None]}
    )
    assert managers.network.supplies[made.key_id.bytes].slaves == {"shop", "cafe"}
    with pytest.raises(KeyManagerError, match="could be met") as told:
        bank(kind, managers).enc_keys("shop", mandatory={"tokaido_max_age": 1})
    assert told.value.reason is Reason.REQUEST
    assert told.value.details == ({"extension_mandatory_unmet": ["tokaido_max_age"]},)


def test_keys_say_that_they_went_two_routes_and_refusals_what_is_in_the_way(kind: Any, managers: KeyManagers) -> None:
    insists = {"tokaido_route_type": "disjoint"}
    with pytest.raises(KeyManagerError, match="could be met") as told:
        bank(kind, managers).enc_keys("shop", mandatory=insists)
    assert told.value.cut_nodes == ("kyoto",)
    managers.network.routes = 2
    (made,) = bank(kind, managers).enc_keys("shop", mandatory=insists)
    (plain,) = bank(kind, managers).enc_keys("shop")
    assert (made.route_type, plain.route_type) == ("disjoint", "")


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        (Reason.NO_KEY, 503),
        (Reason.QUOTA, 503),
        (Reason.PEER_SILENT, 503),
        (Reason.STARTING, 503),
        (Reason.DRAINING, 503),
        (Reason.NOT_FOUND, 400),
        (Reason.UNKNOWN_APPLICATION, 400),
        (Reason.SIZE, 400),
    ],
)
def test_a_refusal_says_why(kind: Any, managers: KeyManagers, reason: Reason, status: int) -> None:
    managers.here.fails = KeyRefusedError("in words", reason, 7)
    with pytest.raises(KeyRefusedError) as told:
        bank(kind, managers).enc_keys("shop")
    assert isinstance(told.value, KeyManagerError)
    assert (told.value.reason, told.value.status) == (reason, status)
    assert told.value.retry_after_s == (7 if status == 503 else None)


def test_a_certificate_or_a_name_that_is_not_known_there_is_told(kind: Any, managers: KeyManagers) -> None:
    with pytest.raises(KeyManagerError, match="401") as told:
        kind(at(managers.port), managers.files("stranger")).enc_keys("shop")
    assert told.value.reason is Reason.UNKNOWN_APPLICATION
    (made,) = bank(kind, managers).enc_keys("shop")
    with pytest.raises(KeyManagerError, match="401") as told:
        kind(at(managers.other_port), managers.files("cafe")).dec_keys("bank", [made.key_id])
    assert told.value.reason is Reason.NOT_NAMED


@pytest.mark.parametrize(
    "url", ["http://kme", "kme:8443", "https://", "https://kme:x", "https://u@kme", "https://k?a", 1]
)
def test_an_address_that_is_none_is_refused(kind: Any, managers: KeyManagers, url: Any) -> None:
    with pytest.raises(hal.ConfigurationError, match="https://HOST:PORT"):
        kind(url, managers.files("bank"))


def test_what_no_key_manager_could_be_asked_is_refused_here(kind: Any, managers: KeyManagers) -> None:
    client = bank(kind, managers)
    for options in ({"number": 0}, {"number": 1.5}, {"size": 0}, {"optional": {"x": object()}}):
        with pytest.raises((hal.RangeError, hal.ValueTypeError)):
            client.enc_keys("shop", **options)
    for ids in ([], [ABSENT, ABSENT], ["x"]):
        with pytest.raises(hal.RangeError):
            client.dec_keys("shop", ids)
    for name in ("", "\ud800"):
        with pytest.raises(hal.RangeError):
            client.status(name)


# --- who answers ----------------------------------------------------------------------------------------------------


def test_a_key_manager_of_another_authority_is_asked_nothing(kind: Any, managers: KeyManagers, tmp_path: Any) -> None:
    from tokaido.node import pki

    pki.issue(tmp_path / "other", saes=["bank"])
    mine = managers.files("bank")
    foreign = dataclasses.replace(mine, authority=tmp_path / "other" / "ca.pem", revoked=None)
    with pytest.raises(hal.AuthenticationError, match="not believed"):
        kind(at(managers.port), foreign).enc_keys("shop")
    assert managers.network.stock == 1000


def test_a_host_that_the_certificate_does_not_name_is_asked_nothing(kind: Any, managers: KeyManagers) -> None:
    far = managers.served.listen(etsi014(managers.here), managers.files("node-far"))
    with pytest.raises(hal.AuthenticationError, match="not believed"):
        kind(at(far.port), managers.files("bank")).enc_keys("shop")
    assert managers.network.stock == 1000


def test_another_node_than_expected_is_asked_nothing(kind: Any, managers: KeyManagers) -> None:
    bank(kind, managers, node="otemachi").status("shop")
    with pytest.raises(hal.AuthenticationError, match="node koganei"):
        bank(kind, managers, node="koganei").enc_keys("shop")
    assert managers.network.stock == 1000


def test_nobody_there_is_told_at_once(kind: Any, managers: KeyManagers) -> None:
    with pytest.raises(hal.NotConnectedError, match="cannot be reached"):
        kind(at(free_port()), managers.files("bank")).enc_keys("shop")


# --- a key manager that misbehaves ------------------------------------------------------------------------------------


class Odd:
    """A key manager that answers as it is told, and counts what it is asked."""

    def __init__(self, files: TlsFiles) -> None:
        self._context = server_context(files)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.answers: Callable[[ssl.SSLSocket], None] = lambda sock: None
        self.asked: list[bytes] = []
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self._socket.accept()
            except OSError:
                return
            plain.settimeout(10)
            with contextlib.suppress(OSError), self._context.wrap_socket(plain, server_side=True) as sock:
                self.asked.append(sock.recv(65536))
                self.answers(sock)

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()


@pytest.fixture
def odd(managers: KeyManagers) -> Iterator[Odd]:
    found = Odd(managers.files("node-otemachi"))
    yield found
    found.close()


def http(body: bytes, status: str = "200 OK", headers: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


def of_odd(kind: Any, managers: KeyManagers, odd: Odd, timeout_s: float = 5.0) -> Any:
    return kind(at(odd.port), managers.files("bank"), timeout_s=timeout_s)


@pytest.mark.parametrize("part", [b"", b"HTTP/1.1 200 OK\r\nContent-Le", http(b"x" * 99)[:-9], b"junk\r\n\r\n"])
def test_keys_whose_answer_is_lost_are_not_asked_for_twice(
    kind: Any, managers: KeyManagers, odd: Odd, part: bytes
) -> None:
    odd.answers = lambda sock: sock.sendall(part)
    with pytest.raises(hal.OutcomeUnknownError, match="given to nobody"):
        of_odd(kind, managers, odd).enc_keys("shop")
    with pytest.raises(hal.OutcomeUnknownError):
        of_odd(kind, managers, odd).dec_keys("shop", [ABSENT])
    with pytest.raises(hal.TransportError) as told:
        of_odd(kind, managers, odd).status("shop")
    assert not isinstance(told.value, hal.OutcomeUnknownError)
    assert len(odd.asked) == 3


def trickled(text: bytes) -> Callable[[ssl.SSLSocket], None]:
    def answer(sock: ssl.SSLSocket) -> None:
        for byte in text * 1000:
            sock.sendall(bytes([byte]))
            time.sleep(0.02)

    return answer


@pytest.mark.parametrize("text", [b"", b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 50, b"HTTP/1.1 100 Continue\r\n\r\n"])
def test_an_answer_that_takes_too_long_ends_with_the_deadline(
    kind: Any, managers: KeyManagers, odd: Odd, text: bytes
) -> None:
    release = threading.Event()

    def mute(_: ssl.SSLSocket) -> None:
        release.wait(10)

    odd.answers = trickled(text) if text else mute
    begin_s = time.monotonic()
    with pytest.raises(hal.OutcomeUnknownError, match="in time"):
        of_odd(kind, managers, odd, 0.5).enc_keys("shop")
    assert time.monotonic() - begin_s < patient(3)
    with pytest.raises(hal.DeviceTimeoutError):
        of_odd(kind, managers, odd, 0.5).status("shop")
    release.set()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"keys":[]}',
        b'{"keys":[{"key_ID":"x","key":"AAAA"}]}',
        b'{"keys":[{"key_ID":"550e8400-e29b-41d4-a716-446655440000","key":"%%%"}]}',
        b'{"keys":[{"key_ID":"550e8400-e29b-41d4-a716-446655440000","key":""}]}',
        b'{"keys":[{"key_ID":"550e8400-e29b-41d4-a716-446655440000","key":"AAAA"}]}',
        b'{"keys":['
        + b",".join([b'{"key_ID":"550e8400-e29b-41d4-a716-446655440000","key":"' + b"A" * 43 + b'="}'] * 2)
        + b"]}",
    ],
)
def test_an_answer_that_is_not_what_was_asked_gives_no_key(
    kind: Any, managers: KeyManagers, odd: Odd, body: bytes
) -> None:
    odd.answers = lambda sock: sock.sendall(http(body))
    with pytest.raises(hal.ProtocolError):
        of_odd(kind, managers, odd).enc_keys("shop", size=256)
    with pytest.raises(hal.ProtocolError):
        of_odd(kind, managers, odd).dec_keys("shop", [ABSENT])


def test_an_answer_without_end_is_given_up(kind: Any, managers: KeyManagers, odd: Odd) -> None:
    def pour(sock: ssl.SSLSocket) -> None:
        sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(200):
            sock.sendall(b" " * 100_000)

    odd.answers = pour
    with pytest.raises(hal.ProtocolError, match="longer than"):
        of_odd(kind, managers, odd, patient(10)).enc_keys("shop")


def test_no_redirect_is_followed(kind: Any, managers: KeyManagers, odd: Odd) -> None:
    where = f"Location: {at(managers.port)}/api/v1/keys/shop/status\r\n"
    odd.answers = lambda sock: sock.sendall(http(b"", "307 Temporary Redirect", where))
    for method in ("status", "enc_keys"):
        with pytest.raises(KeyManagerError, match="307"):
            getattr(of_odd(kind, managers, odd), method)("shop")


def test_no_proxy_of_the_environment_is_used(kind: Any, managers: KeyManagers, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, at(free_port()))
    bank(kind, managers).status("shop")


def test_what_another_key_manager_says_is_shown_without_harm(kind: Any, managers: KeyManagers, odd: Odd) -> None:
    odd.answers = lambda sock: sock.sendall(
        http(json.dumps({"message": "a\x1b[31m\nb" + "x" * 9999}).encode(), "503 No")
    )
    with pytest.raises(KeyManagerError) as told:
        of_odd(kind, managers, odd).enc_keys("shop")
    assert "a?[31m?b" in str(told.value)
    assert len(str(told.value)) < 700
    assert told.value.reason is Reason.NO_KEY


def test_a_revoked_application_is_told_something_useful(kind: Any, tmp_path: Any) -> None:
    from tokaido.node import pki
    from tokaido_testing.key_managers import key_managers, make_pki

    folder = make_pki(tmp_path / "pki")
    pki.revoke(folder, ["bank"])
    with key_managers(folder) as managers, pytest.raises(hal.TransportError, match="certificate"):
        kind(at(managers.port), managers.files("bank")).enc_keys("shop")


# --- many, and without the extra --------------------------------------------------------------------------------------


def test_threads_may_share_a_client(managers: KeyManagers) -> None:
    client = bank(KeyClient, managers)
    got: list[uuid.UUID] = []

    def work() -> None:
        for _ in range(5):
            got.extend(key.key_id for key in client.enc_keys("shop", number=2))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(got)) == len(got) == 40


def test_calls_of_one_loop_go_on_at_once(managers: KeyManagers) -> None:
    async def hold() -> asyncio.Event:
        return asyncio.Event()

    held = managers.here.held = managers.served.call(hold())

    async def work() -> list[tuple[ClientKey, ...]]:
        async with AsyncKeyClient(at(managers.port), managers.files("bank"), timeout_s=patient(10)) as client:
            calls = [asyncio.create_task(client.enc_keys("shop")) for _ in range(5)]
            while managers.here.waiting < 5:
                await asyncio.sleep(0.01)
            managers.served.loop.call_soon_threadsafe(held.set)
            return await asyncio.gather(*calls)

    assert len({keys[0].key_id for keys in asyncio.run(work())}) == 5


def test_a_cancelled_call_leaves_an_orphan_and_no_key(managers: KeyManagers) -> None:
    async def hold() -> asyncio.Event:
        return asyncio.Event()

    held = managers.here.held = managers.served.call(hold())

    async def work() -> None:
        async with AsyncKeyClient(at(managers.port), managers.files("bank"), timeout_s=patient(10)) as client:
            call = asyncio.create_task(client.enc_keys("shop"))
            while managers.here.waiting < 1:
                await asyncio.sleep(0.01)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call

    asyncio.run(work())
    until(lambda: managers.listener.connections == 0)
    managers.served.loop.call_soon_threadsafe(held.set)
    until(lambda: len(managers.here.orphans) == 1)


WITHOUT = """
import sys
sys.modules["aiohttp"] = None
from tokaido.node.client import KeyClient
assert KeyClient is not None and "asyncio" not in sys.modules
from tokaido.node.client import AsyncKeyClient
for name in ("tokaido.node.listening", "tokaido.node.applications._etsi014", "tokaido.node.applications._skip"):
    try:
        __import__(name)
    except ImportError as error:
        assert "pip install 'tokaido[node]'" in str(error), error
    else:
        raise SystemExit(name)
"""


def test_clients_need_no_extra_and_servers_say_which() -> None:
    subprocess.run([sys.executable, "-c", WITHOUT], check=True, timeout=60)
