"""Responses over HTTPS in any pieces: the same is read, or a `ProtocolError` comes, and nothing else ever does."""

from __future__ import annotations

import itertools

import hypothesis.strategies as st
from hypothesis import given

import tokaido.hal as hal
from tokaido.hal.wire.http import ResponseReader

BODIES = st.binary(max_size=200)
LIKE_HTTP = st.lists(
    st.sampled_from(
        [
            b"HTTP/1.1 200 OK\r\n",
            b"HTTP/1.1 100 Continue\r\n\r\n",
            b"HTTP/1.0 204\r\n",
            b"Content-Length: 3\r\n",
            b"Transfer-Encoding: chunked\r\n",
            b"Content-Type: application/json\r\n",
            b"\r\n",
            b"3\r\nabc\r\n",
            b"0\r\n\r\n",
            b"abc",
        ]
    )
    | st.binary(max_size=8),
    max_size=8,
)


def read(pieces: list[bytes]) -> tuple[str, bytes, str]:
    reader = ResponseReader()
    for piece in pieces:
        reader.feed(memoryview(piece))
    if not reader.whole:
        reader.end()
    message = reader.message
    found = message.start, bytes(message.body), message.content_type
    reader.wipe()
    assert not any(message.body)
    return found


def cut(data: bytes, places: list[int]) -> list[bytes]:
    bounds = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[begin:end] for begin, end in itertools.pairwise(bounds)]


@given(BODIES, st.lists(st.integers(0, 400), max_size=6), st.booleans())
def test_a_response_is_the_same_in_any_pieces(body: bytes, places: list[int], chunked: bool) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    if chunked:
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in cut(body, places) if part)
        data = head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
    else:
        data = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    assert read(cut(data, places)) == ("200", body, "application/json")


@given(LIKE_HTTP, st.lists(st.integers(0, 400), max_size=6))
def test_any_bytes_are_a_response_or_a_protocol_error_whatever_their_pieces(
    parts: list[bytes], places: list[int]
) -> None:
    data = b"".join(parts)
    outcomes: list[object] = []
    for pieces in ([data], cut(data, places), [data[i : i + 1] for i in range(len(data))]):
        try:
            outcomes.append(read(pieces))
        except hal.ProtocolError:
            outcomes.append(None)
    assert outcomes[0] == outcomes[1] == outcomes[2]
