"""What a person types while `emulate` runs: fibres are cut and mended."""

from __future__ import annotations

import os
import select
import sys
from typing import TYPE_CHECKING, Final

import tokaido.hal as hal
from tokaido.hal.driver import real_in

if TYPE_CHECKING:
    from tokaido.emulators import Bench

_LONGEST_LINE: Final = 1000


class Orders:
    """Takes orders from standard input, as long as there is one that is this command's own.

    Args:
        bench: The bench whose fibres are meant.
    """

    USAGE: Final = "cut FIBRE, mend FIBRE, bend FIBRE DB"

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._typed = b""
        try:
            self._input: int | None = sys.stdin.fileno()
        except (AttributeError, OSError, ValueError):  # there is none, or a test has it
            self._input = None

    def listen(self, seconds: float) -> None:
        """Wait for `seconds` s at most, and do what was typed meanwhile."""
        if self._input is None or not _is_ours(self._input):
            hal.SYSTEM_CLOCK.wait(seconds)
            return
        waiting = select.poll()  # `select.select` knows no descriptor above 1,023
        waiting.register(self._input, select.POLLIN)
        if not waiting.poll(seconds * 1000):
            return
        try:
            typed = os.read(self._input, _LONGEST_LINE)
        except OSError:  # the terminal is gone
            typed = b""
        if not typed or len(self._typed) > _LONGEST_LINE:
            self._input = None
        *lines, self._typed = (self._typed + typed).split(b"\n")
        for line in lines:
            if words := line.decode(errors="replace").split():
                print(self.obey(words), flush=True)

    def obey(self, words: list[str]) -> str:
        """Carry one order out and return what to tell of it."""
        fibres = self._bench.fibres
        match words:
            case ["cut" | "mend" | "bend", name, *_] if name not in fibres:
                return f"there is no fibre {name!r}; there are: {', '.join(fibres) or 'none'}"
            case ["cut", name]:
                fibres[name].add_cut()
                return f"fibre {name} is cut"
            case ["mend", name]:
                fibres[name].remove_cut()
                return f"fibre {name} is whole"
            case ["bend", name, loss]:
                try:
                    fibres[name].add_bend(real_in(loss))
                except ValueError as error:
                    return f"fibre {name} is as it was: {error}"
                return f"fibre {name} costs {fibres[name].loss_db:g} dB"
            case _:
                return f"orders are: {self.USAGE}"


def _is_ours(descriptor: int) -> bool:
    """Whether reading would not take what is typed for another program, nor stop this one (SIGTTIN)."""
    try:
        return not os.isatty(descriptor) or os.tcgetpgrp(descriptor) == os.getpgrp()
    except OSError:
        return False
