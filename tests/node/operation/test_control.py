"""The control socket of a node: who may ask, what is answered, and clients that misbehave."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import struct
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tokaido.hal import (
    ConfigurationError,
    DeviceTimeoutError,
    NotConnectedError,
    ProtocolError,
    RangeError,
    RefusedError,
)
from tokaido.node.operation import (
    Acknowledge,
    ControlClient,
    ControlRequest,
    ControlServer,
    DrainNode,
    MaintainLink,
    Peer,
    ReloadFile,
    ResumeLink,
    Status,
)
from tokaido_testing.node_lines import FINE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Node:
    def __init__(self) -> None:
        self.asked: list[tuple[ControlRequest, Peer]] = []
        self.value: Any = None
        self.error: Exception | None = None
        self.waits = False

    async def operate(self, request: ControlRequest, peer: Peer) -> Any:
        self.asked.append((request, peer))
        if self.waits:
            await asyncio.Event().wait()
        if self.error is not None:
            raise self.error
        return FINE if isinstance(request, Status) else self.value


def serve(path: Path, node: Node, work: Callable[[], object]) -> None:
    """Run a server while `work` runs in another thread."""

    async def run() -> None:
        server = ControlServer(path, node)
        await server.open()
        try:
            await asyncio.wait_for(asyncio.to_thread(work), 30)
        finally:
            await server.close()

    asyncio.run(run())
    assert not path.exists()


def test_a_node_tells_its_status_to_its_own_user(tmp_path: Path) -> None:
    path, node = tmp_path / "control.sock", Node()

    def work() -> None:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert ControlClient(path).status() == FINE

    serve(path, node, work)
    [(request, peer)] = node.asked
    assert request == Status()
    assert (peer.uid, peer.pid) == (os.geteuid(), os.getpid())


def test_every_request_arrives_as_it_was_made(tmp_path: Path) -> None:
    path, node = tmp_path / "control.sock", Node()
    node.value = ["store"]

    def work() -> None:
        client = ControlClient(path)
        client.acknowledge("TAMPER", "alice", note="cleaning")
        client.resume("field", use_reserve=True)
        client.maintenance("field", on=True, note="new laser")
        client.drain()
        assert client.reload() == ("store",)

    serve(path, node, work)
    assert [request for request, _ in node.asked] == [
        Acknowledge(code="TAMPER", of="alice", note="cleaning"),
        ResumeLink(link="field", use_reserve=True),
        MaintainLink(link="field", on=True, note="new laser"),
        DrainNode(),
        ReloadFile(),
    ]


def test_a_refusal_says_why(tmp_path: Path) -> None:
    path, node = tmp_path / "control.sock", Node()
    node.error = RangeError("there is no link 'x'", remedy="Name another one")

    def work() -> None:
        with pytest.raises(RefusedError, match=r"there is no link 'x'. Name another one"):
            ControlClient(path).resume("x")

    serve(path, node, work)


def test_a_client_that_says_nonsense_is_told_or_left_and_others_are_served(tmp_path: Path) -> None:
    path, node = tmp_path / "control.sock", Node()
    bad = msgspec.msgpack.encode({"do": "status", "version": 2})

    def work() -> None:
        with socket.socket(socket.AF_UNIX) as silent, socket.socket(socket.AF_UNIX) as halfway:
            silent.connect(str(path))
            halfway.connect(str(path))
            halfway.sendall(b"\0\0")
            for sent, said in ((b"\0\0\0\x02hi", "not a request"), (struct.pack(">I", len(bad)) + bad, "version 2")):
                with socket.socket(socket.AF_UNIX) as door:
                    door.settimeout(20)
                    door.connect(str(path))
                    door.sendall(sent)
                    assert said in door.recv(4096).decode(errors="replace")
            with socket.socket(socket.AF_UNIX) as door:
                door.settimeout(20)
                door.connect(str(path))
                door.sendall(b"\xff\xff\xff\xff")
                assert b"longer than" in door.recv(4096)
                assert door.recv(4096) == b""
            assert ControlClient(path).status() == FINE

    serve(path, node, work)


def test_too_many_clients_are_turned_away_and_room_is_made_again(tmp_path: Path) -> None:
    path, node = tmp_path / "control.sock", Node()

    def work() -> None:
        doors = [socket.socket(socket.AF_UNIX) for _ in range(16)]
        for door in doors:
            door.connect(str(path))
        with pytest.raises(NotConnectedError):
            ControlClient(path).status()
        for door in doors:
            door.close()
        for _ in range(100):
            try:
                assert ControlClient(path).status() == FINE
            except NotConnectedError:
                continue
            return
        raise AssertionError("no room was made")

    serve(path, node, work)


def test_a_node_that_is_stuck_is_told_after_the_time_out(tmp_path: Path) -> None:
    path, node = tmp_path / "control.sock", Node()
    node.waits = True

    def work() -> None:
        with pytest.raises(DeviceTimeoutError, match="did not answer"):
            ControlClient(path, timeout=0.2).status()

    serve(path, node, work)


def test_a_status_of_another_release_is_told(tmp_path: Path) -> None:
    path, node = tmp_path / "control.sock", Node()

    async def operate(request: ControlRequest, peer: Peer) -> Any:
        return {"version": 7}

    node.operate = operate  # type: ignore[method-assign]

    def work() -> None:
        with pytest.raises(ProtocolError, match="another one than this release knows"):
            ControlClient(path).status()

    serve(path, node, work)


def test_no_node_is_an_error_and_a_dead_node_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with pytest.raises(NotConnectedError, match="no node answers"):
        ControlClient(path).status()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with pytest.raises(NotConnectedError, match="no node answers"):
        ControlClient(path).status()
    serve(path, Node(), lambda: ControlClient(path).status())


def test_a_second_node_does_not_take_the_socket_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"

    def work() -> None:
        with pytest.raises(ConfigurationError, match="another node listens"):
            asyncio.run(ControlServer(path, Node()).open())
        assert ControlClient(path).status() == FINE

    serve(path, Node(), work)


def test_a_file_that_is_no_socket_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    path.write_text("mine")
    with pytest.raises(ConfigurationError, match="no control socket can be made"):
        asyncio.run(ControlServer(path, Node()).open())
    assert path.read_text() == "mine"
    with pytest.raises(ConfigurationError, match="no control socket can be made"):
        asyncio.run(ControlServer(tmp_path / "nowhere" / "control.sock", Node()).open())


def test_a_path_may_be_longer_than_an_address(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    serve(folder / "control.sock", Node(), lambda: ControlClient(folder / "control.sock").status())
