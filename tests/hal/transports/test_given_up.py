"""A command that was given up is never delivered later: not by the operating system either, which holds it back."""

from __future__ import annotations

import os
import socket
import termios
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from tokaido.hal import OutcomeUnknownError, Resource
from tokaido.hal.transports import LineCodec, StreamTransport, open_transport
from tokaido_testing.patience import patient

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMAND = "JOIN " + "9" * 60_000 + " 3"
"""Longer than the peer's window, so that a part of it waits in our own system while the peer reads nothing."""


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        server.bind(("127.0.0.1", 0))
        server.listen(1)
        server.settimeout(patient(10))
        yield server


def all_that_comes(peer: socket.socket) -> bytes:
    """Read until the stream ends, as a device does whose network is back."""
    peer.settimeout(patient(10))
    got = b""
    with suppress(ConnectionResetError):
        while data := peer.recv(1 << 16):
            got += data
    return got


@pytest.mark.parametrize("resource", ["serial:socket://127.0.0.1:{port}", "visa:TCPIP::127.0.0.1::{port}::SOCKET"])
@pytest.mark.parametrize("repeatable", [False, True])
def test_a_socket_delivers_no_command_that_was_given_up(
    listener: socket.socket, resource: str, repeatable: bool
) -> None:
    transport = open_transport(
        Resource.parse(resource.format(port=listener.getsockname()[1])), LineCodec(max_frame=1 << 20)
    )
    with transport:
        transport.open(patient(5))
        peer, _ = listener.accept()
        with peer:
            request = transport.codec.request(COMMAND, repeatable=repeatable)
            if repeatable:
                with suppress(TimeoutError):
                    transport.exchange(request, 0.2)
                transport.close()
                assert all_that_comes(peer).decode().endswith("3\n")  # a question may come late: it harms nobody
                return
            with pytest.raises(OutcomeUnknownError):
                transport.exchange(request, 0.2)
            assert not all_that_comes(peer).decode().endswith("3\n")


def test_an_interrupt_gives_a_command_up_too(listener: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    transport = open_transport(
        Resource.parse(f"serial:socket://127.0.0.1:{listener.getsockname()[1]}"), LineCodec(max_frame=1 << 20)
    )
    with transport:
        transport.open(patient(5))
        peer, _ = listener.accept()

        def interrupted(*_: object) -> bytes:
            raise KeyboardInterrupt

        monkeypatch.setattr(StreamTransport, "_next_frame", interrupted)
        with peer:
            with pytest.raises(KeyboardInterrupt):
                transport.exchange(transport.codec.request(COMMAND, repeatable=False), patient(5))
            assert not all_that_comes(peer).decode().endswith("3\n")


def test_a_serial_line_drops_the_rest_of_a_command_that_was_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[int] = []
    flush = termios.tcflush

    def noted(fd: int, queue: int) -> None:
        flushed.append(queue)
        flush(fd, queue)

    main, line = os.openpty()
    try:
        transport = open_transport(Resource.parse(f"serial:{os.ttyname(line)}"), LineCodec())
        with transport:
            transport.open(patient(5))
            monkeypatch.setattr(termios, "tcflush", noted)
            with pytest.raises(OutcomeUnknownError):
                transport.exchange(transport.codec.request("JOIN 9 3", repeatable=False), 0.1)
            assert flushed == [termios.TCOFLUSH]
    finally:
        os.close(main)
        os.close(line)
