"""Responses of HTTP/1.1 as a client reads them: in any pieces, and whatever comes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokaido.hal import ProtocolError
from tokaido.hal.wire.http import MAX_BODY_BYTES, OversizedError, ResponseReader

HEAD = b"HTTP/1.1 200 OK\r\nRetry-After: 3\r\n"


def chunked(body: bytes, sizes: list[int]) -> bytes:
    found, rest = b"", body
    for size in sizes:
        piece, rest = rest[:size], rest[size:]
        found += b"%x;a=b\r\n%b\r\n" % (len(piece), piece) if piece else b""
    return found + (b"%X\r\n%b\r\n" % (len(rest), rest) if rest else b"") + b"0\r\nTrailer: x\r\n\r\n"


FORMS = st.one_of(
    st.builds(lambda body: (body, HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body, False), st.binary()),
    st.builds(lambda body: (body, HEAD + b"\r\n" + body, True), st.binary()),
    st.builds(
        lambda body, sizes: (body, HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(body, sizes), False),
        st.binary(),
        st.lists(st.integers(1, 20), max_size=5),
    ),
)


@given(FORMS, st.integers(0, 2), st.lists(st.integers(1, 30), min_size=1))
def test_an_answer_is_the_same_in_any_pieces(form: tuple[bytes, bytes, bool], interim: int, sizes: list[int]) -> None:
    body, text, until_closed = form
    text = b"HTTP/1.1 103 Early Hints\r\n\r\n" * interim + text
    answer = ResponseReader()
    while text:
        size = sizes[len(text) % len(sizes)]
        assert not answer.whole
        answer.feed(memoryview(text[:size]))
        text = text[size:]
    assert answer.whole == (not until_closed)
    if not answer.whole:
        answer.end()
    assert (answer.status, bytes(answer.body), answer.fields["retry-after"]) == (200, body, "3")


@given(st.one_of(st.binary(), st.binary().map(HEAD.__add__), st.binary().map((HEAD + b"\r\n").__add__)))
def test_whatever_comes_there_is_one_kind_of_error(data: bytes) -> None:
    answer = ResponseReader()
    try:
        answer.feed(memoryview(data))
        if not answer.whole:
            answer.end()
    except ProtocolError:
        return
    assert answer.whole


@pytest.mark.parametrize(
    "text",
    [
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        HEAD + b"bad\r\n\r\n",
        HEAD + b" folded: x\r\n\r\n",
        HEAD + b"Content-Length: -1\r\n\r\n",
        HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
        HEAD + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nx\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 20,
        b"H" * 70_000,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1" * 70_000,
    ],
)
def test_what_two_readers_could_understand_differently_is_refused(text: bytes) -> None:
    with pytest.raises(ProtocolError):
        ResponseReader().feed(memoryview(text))


@pytest.mark.parametrize("length", [b"Content-Length: %d" % (MAX_BODY_BYTES + 1), b"Transfer-Encoding: chunked"])
def test_an_answer_that_says_that_it_is_too_long_is_refused_at_once(length: bytes) -> None:
    with pytest.raises(OversizedError, match="longer"):
        ResponseReader().feed(memoryview(HEAD + length + b"\r\n\r\nfffffff\r\n\r\n"))
