"""The codec of the HiSLIP server, and the server itself, whatever comes in whatever pieces (IVI-6.1, 2.3)."""

from __future__ import annotations

import random
import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokaido.emulators.ends.hislip import Decoder, Message, encode
from tokaido.emulators.ends.hislip._messages import PoorlyFormedError, TooLarge
from tokaido_testing.hislip import FIRST, Client, Rig

MESSAGES = st.builds(
    Message, st.integers(0, 255), st.integers(0, 255), st.integers(0, 2**32 - 1), st.binary(max_size=40)
)


@given(st.lists(MESSAGES, max_size=5), st.integers(1, 60))
def test_messages_are_decoded_as_they_were_encoded(messages: list[Message], step: int) -> None:
    data = b"".join(map(encode, messages))
    decoder = Decoder(40)
    found = [m for i in range(0, len(data), step) for m in decoder.feed(data[i : i + step])]
    assert found == messages


@given(st.binary(max_size=200))
def test_no_bytes_make_the_decoder_raise_anything_but_its_own(data: bytes) -> None:
    try:
        for message in Decoder(100).feed(data):
            assert isinstance(message, Message | TooLarge)
    except PoorlyFormedError:
        pass


@pytest.mark.parametrize("seed", range(4))
def test_nothing_that_clients_send_stops_the_server(seed: int) -> None:
    chance = random.Random(seed)
    payloads = (b"", b"name?\n", b"order", b"one?\ntwo?", bytes(300), struct.pack("!Q", 100))
    with Rig(profile=("strict", "lenient")[seed % 2], overlapped=seed > 1) as rig:
        clients: list[Client] = []
        for _ in range(1000):
            if len(clients) < 3:
                clients.append(rig.client(version=chance.choice((0x0100, 0x0200))))
            client = chance.choice(clients)
            channel = chance.choice((client.sync, client.asynchronous))
            usual = (6, 7, 7, 8, 12) if channel is client.sync else (4, 10, 15, 19, 21, 24)
            kind = chance.randrange(256) if chance.random() < 0.05 else chance.choice(usual)
            parameter = chance.choice((FIRST - 2, FIRST, 0, chance.getrandbits(32)))
            try:
                channel.send(kind, chance.choice((0, 1, 1, chance.randrange(256))), parameter, chance.choice(payloads))
                if chance.random() < 0.01:
                    channel.socket.sendall(chance.randbytes(20))
                channel.socket.setblocking(False)
                with suppress(BlockingIOError):
                    channel.socket.recv(1 << 16)
                channel.socket.settimeout(2)
            except OSError:
                clients.remove(client)
                client.close()
        for client in clients:
            client.close()
        with rig.client() as last:
            last.asynchronous.send(19)
            assert last.asynchronous.receive().type == 23
            last.sync.send(8)
            assert last.sync.receive().type == 9
            assert last.query(b"name?") == b"NAME?\n"
