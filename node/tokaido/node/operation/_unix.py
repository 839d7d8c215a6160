"""Unix sockets, of mode 0600 unless more may connect, at paths of any length."""

from __future__ import annotations

import contextlib
import os
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from tokaido.hal import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LONGEST: Final = 107
"""Bytes of a path that fit into an address (unix(7))."""
WAITING: Final = 16


def listening(path: Path, what: str, mode: int = 0o600) -> socket.socket:
    """Return a socket that listens, of its mode from its first moment on; one that a dead node left is replaced.

    Args:
        path: Where.
        what: What errors call it: "control socket".
        mode: Who may connect.

    Raises:
        ConfigurationError: Another node listens there, or none can be made.
    """
    door = socket.socket(socket.AF_UNIX)
    try:
        with _address(path) as address:
            if _answers(address):
                raise ConfigurationError(
                    f"another node listens at {path}", remedy=f"End it, or name another {what} for this one"
                )
            if path.is_socket():
                path.unlink()
            mask = os.umask(0o777 & ~mode)
            try:
                door.bind(address)
            finally:
                os.umask(mask)
        door.listen(WAITING)
        door.setblocking(False)
    except OSError as error:
        door.close()
        raise ConfigurationError(
            f"no {what} can be made at {path}: {error.strerror or error}",
            remedy="Name one in a folder that the node may write",
        ) from error
    except BaseException:
        door.close()
        raise
    return door


def connect(door: socket.socket, path: Path) -> None:
    """Connect a socket to a path.

    Raises:
        OSError: Nobody listens there.
    """
    with _address(path) as address:
        door.connect(address)


@contextmanager
def _address(path: Path) -> Iterator[str]:
    """Give an address that fits, by way of a descriptor of the folder if it must be."""
    if len(os.fsencode(path)) <= LONGEST:
        yield os.fspath(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def _answers(address: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
            probe.connect(address)
            return True
    return False
