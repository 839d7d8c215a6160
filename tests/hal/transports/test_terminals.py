"""A window that somebody opened is never taken for a device, also where a stale link leads to it."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from tokaido.hal import NotConnectedError, Resource
from tokaido.hal.transports import LineCodec, SerialTransport, VisaTransport
from tokaido_testing.patience import patient

SESSION = (
    "import fcntl, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); print('here', flush=True); sys.stdin.read()"
)


@pytest.fixture
def window(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """The master of a terminal that a session has, and a link to the terminal."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    link = tmp_path / "alice"
    link.symlink_to(os.ttyname(slave))
    with subprocess.Popen(
        [sys.executable, "-c", SESSION], stdin=slave, stdout=slave, start_new_session=True
    ) as session:
        os.close(slave)
        try:
            said = b""
            while not said.endswith(b"\n"):
                said += os.read(master, 10)
            assert said == b"here\n"
            yield master, link
        finally:
            os.close(master)  # which ends the session
            session.wait(timeout=20)


@pytest.mark.parametrize("kind", ["serial:{}", "visa:ASRL{}::INSTR"])
def test_the_terminal_of_a_session_is_not_a_port(window: tuple[int, Path], kind: str) -> None:
    master, link = window
    transport = SerialTransport if kind.startswith("serial") else VisaTransport
    says = r"/dev/pts/\d+ is the terminal of a person's session \(pid \d+\)"
    port = transport(Resource.parse(kind.format(link)), LineCodec())
    with port, pytest.raises(NotConnectedError, match=says):
        port.query("V1?", patient(1.0))
    assert select.select([master], [], [], 0.05)[0] == []  # nothing was typed into the window
