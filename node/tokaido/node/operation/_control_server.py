"""The control socket of a node: a Unix socket of mode 0600, at which the kernel says who asks."""

from __future__ import annotations

import asyncio
import logging
import os
import pwd
import socket
import struct
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Protocol

from tokaido.hal import ProtocolError, TokaidoError
from tokaido.node.operation._control_messages import LENGTH, MAX_REQUEST, ControlRequest, Reply, frame, request_of
from tokaido.node.operation._unix import listening

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

LOG: Final = logging.getLogger("tokaido.node.control")
MOST_CLIENTS: Final = 16
REQUEST_S: Final = 5.0
"""How long a client may take for its request, and for taking the reply."""
WORK_S: Final = 10.0
"""How long the node may take to answer."""
ENDING_S: Final = 1.0
_CREDENTIALS: Final = struct.Struct("3i")


@dataclass(frozen=True, slots=True)
class Peer:
    """Who asks, as the kernel or the control endpoint says."""

    pid: int
    uid: int
    user: str
    """Name of the user, or the number; of a client at the control endpoint its name there."""
    place: str = ""
    """Where they ask, for the audit log."""


class Operations(Protocol):
    """What can be asked of a node."""

    async def operate(self, request: ControlRequest, peer: Peer) -> Any:
        """Carry a request out, and return what to answer, ready for MessagePack.

        Raises:
            TokaidoError: It was not carried out.
        """
        ...


class ControlServer:
    """Answers at the control socket. The user whom the node runs as, and root, may ask.

    Args:
        path: Of the socket. A folder that only the node's user may write is a good place.
        operations: Carries requests out.
        others: Who else may ask, by name, at this moment; default: nobody. If it is given, anybody may connect.
    """

    def __init__(
        self, path: Path, operations: Operations, *, others: Callable[[], Collection[str]] | None = None
    ) -> None:
        self.path = path
        self._operations = operations
        self._others = others
        self._server: asyncio.Server | None = None
        self._busy: set[asyncio.Task[None]] = set()
        self._clients: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def open(self) -> None:
        """Listen.

        Raises:
            ConfigurationError: Another node listens there, or no socket can be made.
        """
        door = listening(self.path, "control socket", 0o600 if self._others is None else 0o666)
        self._server = await asyncio.start_unix_server(self._connected, sock=door, limit=MAX_REQUEST)

    async def close(self) -> None:
        """Listen no more, and let requests that run be answered within 1 s."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        self.path.unlink(missing_ok=True)
        if self._busy:
            await asyncio.wait(tuple(self._busy), timeout=ENDING_S)
        for writer in self._clients.values():
            writer.transport.abort()  # its task sees that the connection ended
        if self._clients:
            await asyncio.wait(tuple(self._clients), timeout=ENDING_S)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients[task] = writer
        try:
            peer = _peer_of(writer.get_extra_info("socket"))
            others = () if self._others is None else self._others()
            if self._others is not None:
                peer = replace(peer, place=f"custodians' socket, process {peer.pid}")
            if peer.uid not in {0, os.geteuid()} and peer.user not in others:
                LOG.warning("user %s was refused", peer.user)
                writer.write(frame(Reply(error=f"user {peer.user} may not ask here")))
                async with asyncio.timeout(REQUEST_S):
                    await writer.drain()
            elif len(self._clients) > MOST_CLIENTS:
                LOG.warning("more than %d clients", MOST_CLIENTS)
            else:
                await self._serve(reader, writer, peer)
        except (OSError, EOFError, TimeoutError) as error:
            LOG.info("a client was left: %s", error)
        finally:
            self._clients.pop(task, None)
            self._busy.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: Peer) -> None:
        while True:
            async with asyncio.timeout(REQUEST_S):
                try:
                    (length,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
                except asyncio.IncompleteReadError as error:
                    if not error.partial:
                        return
                    raise
                if length > MAX_REQUEST:
                    writer.write(frame(Reply(error=f"a request of {length} bytes is longer than {MAX_REQUEST}")))
                    await writer.drain()
                    return
                body = await reader.readexactly(length)
            task = asyncio.current_task()
            assert task is not None
            self._busy.add(task)
            reply = await self._reply(body, peer)
            async with asyncio.timeout(REQUEST_S):
                writer.write(frame(reply))
                await writer.drain()
            self._busy.discard(task)
            if self._server is None:
                return

    async def _reply(self, body: bytes, peer: Peer) -> Reply:
        try:
            request = request_of(body)
            async with asyncio.timeout(WORK_S):
                return Reply(value=await self._operations.operate(request, peer))
        except ProtocolError as error:
            return Reply(error=error.what, remedy=error.remedy)
        except TokaidoError as error:
            return Reply(error=str(error))
        except TimeoutError:
            return Reply(error=f"the node did not answer within {WORK_S:g} s", remedy="Look into its log")


def _peer_of(connection: socket.socket) -> Peer:
    pid, uid, _ = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    try:
        user = pwd.getpwuid(uid).pw_name
    except KeyError:
        user = str(uid)
    return Peer(pid, uid, user, f"control socket, process {pid}")
