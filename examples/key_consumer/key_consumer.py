"""A program that uses QKD keys: it keeps some in stock, and moves its link to another fibre when the light is gone."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import tokaido.hal as hal

if TYPE_CHECKING:
    from collections.abc import Callable


class OutOfKeysError(RuntimeError):
    """There is not as much key in stock as was asked for."""


class KeyConsumer:
    """Keeps keys of one receiver in stock and gives them out, each byte once.

    Args:
        receiver: Where key blocks come from.
        low_water_bytes: Below this, `refill` draws another block.
    """

    def __init__(self, receiver: hal.Receiver, low_water_bytes: int = 1024) -> None:
        self._receiver = receiver
        self._low_water_bytes = low_water_bytes
        self._stock: deque[hal.KeyMaterial] = deque()
        self._seen: set[tuple[str, str, int]] = set()

    @property
    def stock_bytes(self) -> int:
        """How much key is in stock."""
        return sum(map(len, self._stock))

    def refill(self, timeout: float = 60.0) -> int:
        """Draw a block if the stock is low, and return how many bytes came."""
        if self.stock_bytes >= self._low_water_bytes:
            return 0
        for block in self._receiver.key_blocks(timeout, limit=1):
            with block:
                if block.info.name in self._seen:  # offered again: an earlier commit was lost
                    return 0
                self._seen.add(block.info.name)
                self._stock.append(block.key)
                return len(block.key)
        return 0

    def take(self, size: int) -> hal.KeyMaterial:
        """Return `size` bytes of key that nobody else gets.

        Raises:
            OutOfKeysError: There are not as many in one piece.
        """
        while self._stock and len(self._stock[0]) < size:
            self._stock.popleft().wipe()
        if not self._stock:
            raise OutOfKeysError(f"{size} bytes were asked for, and there are none")
        given, rest = self._stock.popleft().split(size)
        if len(rest):
            self._stock.appendleft(rest)
        return given

    def forget(self) -> None:
        """Overwrite all that is in stock."""
        while self._stock:
            self._stock.popleft().wipe()


class FailOver:
    """Moves a link when its light is gone, and stops it when somebody may listen.

    Args:
        receiver: The receiver of the link, whose alarms decide.
        move: Moves the link to a path.
        paths: Names of the paths, in the order in which they are taken.
    """

    def __init__(self, receiver: hal.Receiver, move: Callable[[str], None], paths: tuple[str, ...]) -> None:
        self._receiver = receiver
        self._move = move
        self._paths = paths
        self.path = paths[0]
        """The path in use."""

    def look(self) -> str:
        """Look at the alarms once, and return what was done: "nothing", "moved" or "stopped"."""
        alarms = {alarm.code for alarm in self._receiver.alarms()}
        if alarms & {"QBER_ABORT", "PHASE_ERROR_ABORT", "DETECTOR_BLINDING", "TROJAN_LIGHT", "TAMPER"}:
            return "stopped"  # another path would not help: somebody has to look
        if "LOS" not in alarms:
            return "nothing"
        following = self._paths.index(self.path) + 1
        if following == len(self._paths):
            return "stopped"
        self.path = self._paths[following]
        self._move(self.path)
        return "moved"
