"""Applications that go on while a drill runs: a key a second from one end to the other, and every one compared."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final, Self

import tokaido.hal as hal

if TYPE_CHECKING:
    from types import TracebackType

    from tokaido.console._demo_deliveries import Delivery
    from tokaido.console._line.shown import Shown

EVERY_S: Final = 1.0


class Traffic:
    """Has the application of one site ask for a key each second, and that of another one fetch it, as a context.

    Args:
        shown: The line.
        master: Site of who asks.
        slave: Site of who fetches.
    """

    def __init__(self, shown: Shown, master: str, slave: str) -> None:
        self._shown = shown
        self._ends = master, slave
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="traffic", daemon=True)
        self.served: list[Delivery] = []
        """Keys that both ends got."""
        self.refused: list[str] = []
        """Why each request got none."""

    @property
    def differing(self) -> int:
        """How many keys were not the same at both ends."""
        return sum(not delivery.agree for delivery in self.served)

    @property
    def told(self) -> str:
        """What came of it, in a line."""
        why = f" ({self.refused[-1]})" if self.refused else ""
        return f"{len(self.served)} keys served, {len(self.refused)} refused{why}, {self.differing} differ"

    @property
    def held(self) -> bool:
        """Whether every request was served, with the same key at both ends."""
        return bool(self.served) and not self.refused and not self.differing

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.is_set():
            due = hal.Deadline(hal.SYSTEM_CLOCK, EVERY_S)
            try:
                self.served += self._shown.fetch(*self._ends)
            except hal.TokaidoError as error:
                self.refused.append(str(error))
            self._ended.wait(max(due.remaining_s, 0.0))
