"""Orders to an emulation that runs in another process, by its back door."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final

import tokaido.hal as hal

if TYPE_CHECKING:
    from pathlib import Path

ANSWER_S: Final = 20.0
_PIECE: Final = 4096


class BackDoor:
    """The Unix socket at which `tokaido emulate --back-door` takes orders; a connection an order.

    Args:
        place: Of the socket.
    """

    def __init__(self, place: Path) -> None:
        self._place = place

    def order(self, *words: str) -> str:
        """Have an order carried out, and return what the emulation says after `ok`.

        Raises:
            ConfigurationError: It is not an order there.
            TransportError: The emulation does not answer; nobody knows whether it was carried out.
        """
        line = " ".join(words)
        try:
            with socket.socket(socket.AF_UNIX) as door:
                door.settimeout(ANSWER_S)
                door.connect(str(self._place))
                door.sendall(f"{line}\n".encode())
                said = b""
                while not said.endswith(b"\n"):
                    piece = door.recv(_PIECE)
                    if not piece:
                        break
                    said += piece
        except OSError as error:
            raise hal.TransportError(f"the emulation at {self._place} took no order {line!r}: {error}") from error
        verdict, _, rest = said.decode(errors="replace").strip().partition(" ")
        if verdict == "ok":
            return rest
        if verdict == "error":
            raise hal.ConfigurationError(f"{line!r}: {rest}")
        raise hal.TransportError(f"the emulation at {self._place} did not answer to {line!r}")

    def emulated_s(self) -> float:
        """Return how much emulated time has passed, in s."""
        return float(self.order("time").split()[0])

    def speed(self) -> float:
        """Return how fast it passes, in emulated seconds a second."""
        return float(self.order("speed").split()[0])

    def run_at(self, speed: float) -> None:
        """Have it pass at another speed."""
        self.order("speed", f"{speed:.6g}")
