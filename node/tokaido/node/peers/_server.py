"""The listener for neighbours: takes envelopes, and answers each with one (docs/protocols/node.md, section 1)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, Protocol

from tokaido.hal import ProtocolError
from tokaido.node._extra import web
from tokaido.node.messages import MAX_BODY, decode, encode
from tokaido.node.tls import names_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tokaido.node.messages import Envelope

PATH: Final = "/tokaido/node/1"
MOVE_PATH: Final = f"{PATH}/move"
"""For orders of moves: docs/protocols/node.md, section 10."""
TYPE: Final = "application/msgpack"


class BusyError(Exception):
    """The node is starting or draining: its neighbour may try again."""


class Hears(Protocol):
    """What answers envelopes."""

    async def __call__(self, neighbour: str, envelope: Envelope) -> Envelope:
        """Return the answer to what a neighbour asks.

        Raises:
            BusyError: The node is starting or draining.
        """
        ...


class HearsMoves(Protocol):
    """What answers orders of moves."""

    async def __call__(self, neighbour: str, order: bytes) -> bytes:
        """Return the answer to an order of a neighbour.

        Raises:
            ProtocolError: It is none.
            BusyError: The node is starting or draining.
        """
        ...


def peer_application(
    hears: Hears, is_neighbour: Callable[[str], bool], *, moves: HearsMoves | None = None
) -> web.Application:
    """Return the web application that neighbours talk to.

    Args:
        hears: Answers envelopes.
        is_neighbour: Whether a node of that name is a neighbour.
        moves: Answers orders of moves; None: such orders are not found here.
    """

    async def told(neighbour: str, body: bytes) -> bytes:
        return encode(await hears(neighbour, decode(body)))

    async def take(request: web.Request) -> web.Response:
        return await answered(request, told)

    async def move(request: web.Request) -> web.Response:
        assert moves is not None
        return await answered(request, moves)

    async def answered(request: web.Request, answer: Callable[[str, bytes], Awaitable[bytes]]) -> web.Response:
        transport = request.transport
        name = names_of(transport.get_extra_info("ssl_object")).node if transport is not None else None
        if name is None or not is_neighbour(name):
            logging.getLogger("tokaido.node.peers").warning(
                "refused: the certificate of %s speaks for %s, not for a neighbour", request.remote, name or "no node"
            )
            return web.Response(status=403, text="your certificate speaks for no neighbour of this node\n")
        if request.content_type != TYPE:
            return web.Response(status=400, text=f"the body must be {TYPE}\n")
        try:
            return web.Response(body=await answer(name, await request.read()), content_type=TYPE)
        except ProtocolError as error:
            return web.Response(status=400, text=f"{error}\n")
        except BusyError as error:
            return web.Response(status=503, text=f"{error}\n", headers={"Retry-After": "1"})

    found = web.Application(client_max_size=MAX_BODY)
    found.router.add_post(PATH, take)
    if moves is not None:
        found.router.add_post(MOVE_PATH, move)
    return found
