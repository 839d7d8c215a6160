"""An endpoint that ends: what it answered last still comes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tokaido.hal.transports import CurveClient, CurveKeyPair
from tokaido.node.endpoint import ControlEndpoint

zmq = pytest.importorskip("zmq")
ANSWER = b"x" * 4_000_000
"""So much that it cannot have left by the time that the endpoint ends."""


class Talker:
    """A desk that answers all at length."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    def hear(self, *_: object) -> bytes:
        self.asked.set()
        return ANSWER


def test_what_was_answered_last_still_comes() -> None:
    own, keys = (CurveKeyPair(*map(bytes, zmq.curve_keypair())) for _ in range(2))

    async def live() -> None:
        desk: Any = Talker()
        endpoint = ControlEndpoint("tcp://127.0.0.1:0", own, [CurveClient(keys.public, "ann")], desk, desk)
        await endpoint.open()
        with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
            socket.linger = 0
            socket.curve_serverkey, socket.curve_publickey, socket.curve_secretkey = (
                own.public,
                keys.public,
                keys.secret,
            )
            socket.connect(endpoint.endpoint)
            socket.send(b"a question")
            await asyncio.wait_for(desk.asked.wait(), 10)
            closing = asyncio.create_task(endpoint.close())
            assert await asyncio.to_thread(socket.poll, 10_000), "the answer was thrown away"
            assert socket.recv() == ANSWER
            await closing

    asyncio.run(live())
