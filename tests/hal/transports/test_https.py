"""HTTPS under mutual TLS: who is believed, what a lost reply means, and that no other reply is ever taken for one."""

from __future__ import annotations

import datetime
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tokaido.hal as hal
from tokaido.emulators.certificates import CertificateAuthority
from tokaido.hal.transports import HttpMessage, HttpsTransport, Request, Transport
from tokaido_testing.https_peer import HttpsPeer, https_peer, ok, raw, reset

Reply = tuple[int, bytes, str]
TIMEOUT_S = 2.0
SHORT_S = 0.15


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[HttpsPeer]:
    with https_peer(tmp_path) as peer:
        yield peer


def asked(path: str = "/status", *, confidential: bool = False) -> Request[HttpMessage, Reply]:
    return Request(f"GET {path}", HttpMessage(f"GET {path}"), taken, confidential=confidential)


def ordered(path: str = "/take", body: bytes = b'{"number":1}') -> Request[HttpMessage, Reply]:
    message = HttpMessage(f"POST {path}", body, "application/json")
    return Request(f"POST {path}", message, taken, repeatable=False)


def taken(reply: HttpMessage) -> Reply:
    return reply.status, bytes(reply.body), reply.content_type


def opened(peer: HttpsPeer, *, timeout: float = TIMEOUT_S, **options: Any) -> HttpsTransport:
    return HttpsTransport(peer.resource(**options), timeout_s=timeout)


# --- what goes over the wire ------------------------------------------------------------------------------------------


def test_a_question_and_an_order_are_written_as_http_has_them_and_answered(peer: HttpsPeer) -> None:
    peer.says = [ok(b'{"a":1}'), raw(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")]
    with opened(peer) as transport:
        assert transport.exchange(asked("/api/x?size=8")) == (200, b'{"a":1}', "application/json")
        assert transport.exchange(ordered(body=b"{}")) == (401, b"", "")
    host = f"127.0.0.1:{peer.port}"
    assert peer.heard == [
        f"GET /api/x?size=8 HTTP/1.1\r\nHost: {host}\r\nAccept: application/json\r\nUser-Agent: tokaido\r\n"
        "Connection: close\r\n\r\n".encode(),
        f"POST /take HTTP/1.1\r\nHost: {host}\r\nAccept: application/json\r\nUser-Agent: tokaido\r\n"
        "Content-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}".encode(),
    ]


def test_a_path_of_the_resource_goes_before_every_path(peer: HttpsPeer) -> None:
    resource = peer.resource()
    place = hal.Resource("https", f"{resource.address}/kme-a/?end=master", resource.options)
    with HttpsTransport(place, timeout_s=TIMEOUT_S) as transport:
        transport.exchange(asked("/status"))
        assert transport.name == f"https://127.0.0.1:{peer.port}/kme-a/"
    assert peer.heard[0].startswith(b"GET /kme-a/status HTTP/1.1\r\n")


@pytest.mark.parametrize(
    "start", ["PUT /x", "GET x", "GET /a b", "GET /a\r\nX: y", "GET /\N{LATIN SMALL LETTER E WITH ACUTE}"]
)
def test_what_is_no_request_is_never_sent(peer: HttpsPeer, start: str) -> None:
    with opened(peer) as transport, pytest.raises(hal.ConfigurationError):
        transport.exchange(Request("odd", HttpMessage(start), taken, repeatable=False))
    assert peer.heard == []


def test_the_environment_s_proxies_are_not_used(peer: HttpsPeer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with opened(peer) as transport:
        assert transport.exchange(asked())[0] == 200


# --- who is believed --------------------------------------------------------------------------------------------------


def test_a_server_of_another_authority_is_not_believed(peer: HttpsPeer, tmp_path: Path) -> None:
    other = CertificateAuthority(tmp_path / "other", "other")
    with opened(peer, ca_file=str(other.certificate)) as transport, pytest.raises(hal.AuthenticationError, match="not"):
        transport.exchange(ordered())
    assert peer.heard == []


def test_a_server_of_another_name_is_not_believed_unless_that_name_is_given(tmp_path: Path) -> None:
    with https_peer(tmp_path) as peer:
        peer.context = peer.authority.issue("kme", ["kme.example"]).server_context()
        with opened(peer) as transport, pytest.raises(hal.AuthenticationError, match="not believed"):
            transport.open()
        with opened(peer, server_name="kme.example") as transport:
            assert transport.exchange(asked())[0] == 200


def test_an_expired_certificate_is_not_believed(peer: HttpsPeer) -> None:
    peer.context = peer.authority.issue("old", lifetime=datetime.timedelta(hours=-1)).server_context()
    with opened(peer) as transport, pytest.raises(hal.AuthenticationError, match="expired"):
        transport.open()


def test_an_older_tls_is_not_spoken(peer: HttpsPeer) -> None:
    peer.context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        peer.context.maximum_version = ssl.TLSVersion.TLSv1_1
    peer.context.set_ciphers("ALL:@SECLEVEL=0")
    with opened(peer) as transport, pytest.raises(hal.NotConnectedError, match="TLS failed"):
        transport.open()


def test_http_without_tls_is_not_spoken(peer: HttpsPeer) -> None:
    peer.plain = lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
    with opened(peer) as transport, pytest.raises(hal.NotConnectedError, match="TLS failed"):
        transport.exchange(asked())


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_server_that_refuses_our_certificate_has_read_no_order(
    peer: HttpsPeer, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    stranger = CertificateAuthority(tmp_path / "other", "other").issue("stranger")
    peer.context.minimum_version = peer.context.maximum_version = version
    files: dict[str, Any] = {"cert_file": str(stranger.certificate), "key_file": str(stranger.key)}
    with opened(peer, **files) as transport:
        for _ in range(2):
            with pytest.raises(hal.TransportError) as caught:
                transport.exchange(ordered())
            assert not isinstance(caught.value, hal.OutcomeUnknownError), caught.value
            assert isinstance(caught.value, hal.AuthenticationError), caught.value
    assert peer.heard == []


def test_a_server_that_shows_another_certificate_is_asked_again_who_it_is(peer: HttpsPeer) -> None:
    greeted: list[int] = []
    with opened(peer) as transport:
        transport.on_open(lambda: greeted.append(transport.exchange(asked("/who"))[0]))
        for _ in range(2):
            transport.exchange(asked())
        assert greeted == [200]
        peer.context = peer.authority.issue("renewed").server_context()
        assert transport.exchange(asked())[0] == 200
    assert greeted == [200, 200]


@pytest.mark.parametrize("file", ["cert_file", "key_file", "ca_file"])
def test_files_that_are_missing_or_hold_something_else_are_told(peer: HttpsPeer, tmp_path: Path, file: str) -> None:
    odd = tmp_path / "odd.pem"
    named: dict[str, Any] = {file: str(odd)}
    with opened(peer, **named) as transport, pytest.raises(hal.ConfigurationError, match="cannot be read"):
        transport.open()
    odd.write_text("nothing of PEM")
    odd.chmod(0o600)
    with opened(peer, **named) as transport, pytest.raises(hal.ConfigurationError, match=r"odd\.pem"):
        transport.open()
    odd.chmod(0o666)
    with opened(peer, **named) as transport, pytest.raises(hal.ConfigurationError, match="chmod"):
        transport.open()
    assert peer.accepted == 0


def test_a_private_key_that_others_may_read_is_not_used(peer: HttpsPeer) -> None:
    peer.client.key.chmod(0o640)
    with opened(peer) as transport, pytest.raises(hal.ConfigurationError, match="open to others"):
        transport.open()


# --- deadlines --------------------------------------------------------------------------------------------------------


def hang(peer: HttpsPeer) -> Any:
    return lambda *_: peer.wait(5)


def drip(peer: HttpsPeer, first: bytes) -> Any:
    def say(connection: ssl.SSLSocket, _: bytes) -> None:
        connection.sendall(first)
        while not peer.wait(0.02):
            connection.sendall(b"a")

    return say


@pytest.mark.parametrize(
    "begin",
    [None, b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 90000\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"],
    ids=["silence", "slow head", "slow body", "slow body without a length"],
)
def test_a_slow_answer_costs_no_more_than_the_deadline(peer: HttpsPeer, begin: bytes | None) -> None:
    with opened(peer, timeout=SHORT_S) as transport:
        transport.open(TIMEOUT_S)
        peer.says = [hang(peer) if begin is None else drip(peer, begin)]
        deadline = hal.Deadline(hal.SYSTEM_CLOCK, TIMEOUT_S)
        with pytest.raises(hal.DeviceTimeoutError) as caught:
            transport.exchange(ordered())
        assert isinstance(caught.value, hal.OutcomeUnknownError)
        assert not deadline.passed


def test_a_handshake_that_hangs_costs_no_more_than_the_deadline_and_sends_nothing(peer: HttpsPeer) -> None:
    peer.plain = hang(peer)
    with opened(peer, timeout=SHORT_S) as transport, pytest.raises(hal.NotConnectedError, match="handshake"):
        transport.exchange(ordered())


def test_a_server_that_reads_nothing_costs_no_more_than_the_deadline(peer: HttpsPeer) -> None:
    def deaf(connection: Any) -> None:
        with peer.context.wrap_socket(connection, server_side=True):
            peer.wait(5)

    peer.plain = deaf
    with opened(peer, timeout=SHORT_S) as transport:
        transport.open(TIMEOUT_S)
        with pytest.raises(hal.OutcomeUnknownError):
            transport.exchange(ordered(body=bytes(64 << 20)))


def test_nobody_there_and_no_such_host_are_told(tmp_path: Path) -> None:
    with https_peer(tmp_path) as peer:
        resource = peer.resource()
    with (
        HttpsTransport(resource, timeout_s=TIMEOUT_S) as transport,
        pytest.raises(hal.NotConnectedError, match="nobody"),
    ):
        transport.open()
    unknown = hal.Resource("https", "//no-such-host.invalid:8443", resource.options)
    with (
        HttpsTransport(unknown, timeout_s=TIMEOUT_S) as transport,
        pytest.raises(hal.NotConnectedError, match="not found"),
    ):
        transport.open()


def test_closing_it_ends_a_call_that_waits_and_leaves_no_thread(peer: HttpsPeer) -> None:
    before = threading.active_count()
    transport = opened(peer, timeout=30)
    transport.open()
    said = threading.Event()

    def say(*_: object) -> None:
        said.set()
        peer.wait(5)

    peer.says = [say]
    results: list[BaseException] = []

    def call() -> None:
        try:
            transport.exchange(ordered())
        except hal.TokaidoError as error:
            results.append(error)

    caller = threading.Thread(target=call)
    caller.start()
    assert said.wait(TIMEOUT_S)
    transport.close()
    caller.join(TIMEOUT_S)
    assert isinstance(results[0], hal.ClosedError)
    assert threading.active_count() == before


# --- odd answers ------------------------------------------------------------------------------------------------------

ODD_ANSWERS = {
    "nothing": b"",
    "noise": b"\x00\x01\x02 nothing of http\r\n\r\n",
    "another version": b"HTTP/2 200\r\n\r\n",
    "no field": b"HTTP/1.1 200 OK\r\nno field\r\n\r\n",
    "a folded field": b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
    "cut head": b"HTTP/1.1 200 OK\r\nContent-Le",
    "cut body": b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}",
    "cut chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{}",
    "no last chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
    "odd chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "long chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n",
    "odd length": b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\n{}",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "length and chunks": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "unknown coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n{}",
    "compressed": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
    "another protocol": b"HTTP/1.1 101 Switching\r\n\r\n",
    "endless interim": b"HTTP/1.1 100 Continue\r\n\r\n" * 20,
    "redirect": b"HTTP/1.1 307 Elsewhere\r\nLocation: https://example.com/\r\nContent-Length: 0\r\n\r\n",
    "declared too long": b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n",
    "chunk too long": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7fffffff\r\n",
    "too many fields": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
    "endless head": b"HTTP/1.1 200 OK\r\nX: " + b"y" * 50_000,
    "endless body": b"HTTP/1.1 200 OK\r\n\r\n" + b"y" * (5 << 20),
    "endless chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    + (b"100000\r\n" + b"y" * (1 << 20) + b"\r\n") * 5,
}


@pytest.mark.parametrize("data", ODD_ANSWERS.values(), ids=ODD_ANSWERS)
def test_an_odd_answer_is_told_and_the_next_call_goes_well(peer: HttpsPeer, data: bytes) -> None:
    peer.says = [raw(data), raw(data), ok(b"{}")]
    with opened(peer) as transport:
        with pytest.raises(hal.ProtocolError):
            transport.exchange(asked())
        with pytest.raises(hal.OutcomeUnknownError):
            transport.exchange(ordered())
        assert transport.exchange(ordered()) == (200, b"{}", "application/json")
    assert [line.split()[0] for line in peer.heard] == [b"GET", b"POST", b"POST"], "an order was sent twice"


def test_a_connection_that_is_torn_off_loses_the_reply_and_no_order_is_sent_again(peer: HttpsPeer) -> None:
    peer.says = [reset, reset, ok(b"{}")]
    with opened(peer) as transport:
        with pytest.raises(hal.NotConnectedError):
            transport.exchange(asked())
        with pytest.raises(hal.OutcomeUnknownError):
            transport.exchange(ordered())
        assert len(peer.heard) == 2
        assert transport.exchange(asked())[0] == 200


def test_chunks_interim_responses_and_a_body_without_length_are_understood(peer: HttpsPeer) -> None:
    chunked = (
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\n{"a\r\n4\r\n":1}\r\n0\r\nX: trailer\r\n\r\n'
    )
    unsized = b"HTTP/1.0 200 OK\r\nContent-Type: application/json; charset=utf-8\r\n\r\n{}"
    peer.says = [raw(b"HTTP/1.1 100 Continue\r\n\r\n" + chunked), raw(unsized)]
    with opened(peer) as transport:
        assert transport.exchange(asked()) == (200, b'{"a":1}', "")
        assert transport.exchange(asked()) == (200, b"{}", "application/json")


def test_what_comes_twice_late_or_unasked_answers_nothing(peer: HttpsPeer) -> None:
    stale, fresh = ok(b'"stale"'), ok(b'"fresh"')

    def twice(connection: ssl.SSLSocket, request: bytes) -> None:
        stale(connection, request)
        stale(connection, request)

    peer.says = [twice, fresh]
    with opened(peer) as transport:
        assert transport.exchange(asked())[1] == b'"stale"'
        for _ in range(3):
            assert transport.exchange(asked())[1] == b'"fresh"'
        peer.says = [lambda connection, request: None if peer.wait(0.3) else stale(connection, request), fresh]
        with pytest.raises(hal.DeviceTimeoutError):
            transport.exchange(asked(), SHORT_S)
        assert transport.exchange(asked())[1] == b'"fresh"'


# --- secrets ----------------------------------------------------------------------------------------------------------


def test_a_trace_shows_what_is_said_and_of_secrets_their_sizes_alone(peer: HttpsPeer) -> None:
    shown: list[hal.TraceRecord] = []
    peer.says = [ok(b'{"a":"b"}'), ok(b'{"key":"c2VjcmV0"}')]
    with opened(peer) as transport:
        transport.add_sink(shown.append)
        transport.exchange(asked("/status"))
        transport.exchange(asked("/keys", confidential=True))
    assert [(one.direction, one.text) for one in shown] == [
        (">", "GET /status"),
        ("<", '200 application/json {"a":"b"}'),
        (">", "GET /keys"),
        ("<", "200 application/json <18 bytes>"),
    ]
    assert [one.content for one in shown] == [None] * 4


@pytest.mark.parametrize("raises", [False, True])
def test_a_body_is_overwritten_when_its_taker_returned_or_failed(peer: HttpsPeer, raises: bool) -> None:
    kept: list[bytes] = []

    def keep(reply: HttpMessage) -> None:
        kept.append(reply.body)
        if raises:
            raise ValueError

    peer.says = [ok(b"secret")]
    with opened(peer) as transport:
        if raises:
            with pytest.raises(hal.ProtocolError):
                transport.exchange(Request("GET /x", HttpMessage("GET /x"), keep))
        else:
            transport.exchange(Request("GET /x", HttpMessage("GET /x"), keep))
    assert kept == [bytes(6)]
    assert "secret" not in repr(HttpMessage("200", b"secret"))


# --- resources --------------------------------------------------------------------------------------------------------

FILES = "cert_file=a.crt&key_file=a.key&ca_file=ca.crt"


def test_a_resource_is_read_and_written_alike() -> None:
    text = f"https://kme.example:8443?end=master&peer=sae-b&{FILES}&server_name=other.example"
    resource = hal.Resource.parse(text, Path("/etc/tokaido"))
    assert resource.kind == "https"
    assert resource.address == "//kme.example:8443?end=master&peer=sae-b"
    assert resource.options["key_file"] == "/etc/tokaido/a.key"
    assert hal.Resource.parse(str(resource)) == resource


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("https://kme.example:8443", "cert_file: is missing"),
        (f"https:kme.example?{FILES}", "address: should be"),
        (f"https://?{FILES}", "address: should be"),
        (f"https://kme:port?{FILES}", "address: should be"),
        (f"https://me:secret@kme?{FILES}", "address: should be"),
        (f"https://[::1?{FILES}", "address: should be"),
        (f"https://kme?{FILES}&server_name=a/b", "server_name: should be"),
        ("http://kme.example", "not a resource"),
    ],
)
def test_mistakes_in_a_resource_are_told(text: str, word: str) -> None:
    with pytest.raises(hal.ConfigurationError, match=word):
        hal.Resource.parse(text)


def test_it_is_a_transport_that_a_resource_opens(peer: HttpsPeer) -> None:
    from tokaido.hal.transports import open_transport

    transport: Transport[Any] = open_transport(peer.resource(), timeout_s=TIMEOUT_S)
    with transport:
        assert transport.exchange(asked())[0] == 200
    bare = hal.Resource("https", "//127.0.0.1:1")
    with pytest.raises(hal.ConfigurationError, match="without proof"):
        open_transport(bare)
