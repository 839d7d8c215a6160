"""The optics of a matrix switch: which input faces which output, since when, and what light is lost between them."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LOSS_DB: Final = (0.8, 1.5)
DARK_DBM: Final = -60.0
"""What a power monitor shows without light."""


class CrossConnect:
    """Collimators that face each other, one to one. Inputs and outputs are counted from 1, each on its own side.

    Args:
        inputs: How many inputs.
        outputs: How many outputs.
        seed: Decides the loss of each path.
        settling_ns: How long a path that was made is dark, in ns.
    """

    def __init__(self, inputs: int, outputs: int, *, seed: str, settling_ns: int) -> None:
        self.inputs = inputs
        self.outputs = outputs
        self.settling_ns = settling_ns
        self.disabled: set[tuple[str, int]] = set()
        """Ports whose shutter is closed, as ("in" or "out", number)."""
        self.failed: set[tuple[str, int]] = set()
        """Ports that are broken: nothing passes them."""
        self.light_dbm: dict[int, float] = {}
        """Power that comes in, in dBm, by input; the others are dark."""
        self._seed = seed
        self._losses_db: dict[tuple[int, int], float] = {}
        self._pairs: dict[int, int] = {}
        self._since_ns: dict[tuple[str, int], int] = {}

    @property
    def pairs(self) -> dict[int, int]:
        """The whole map: output by input, in the order of the inputs."""
        return dict(sorted(self._pairs.items()))

    def make(self, pairs: Mapping[int, int], now_ns: int) -> bool:
        """Make this the whole map; return whether anything moves. What stays as it was stays lit."""
        changed = dict(pairs) != self._pairs
        for i, o in pairs.items():
            if self._pairs.get(i) != o:
                self._since_ns["in", i] = now_ns
        self._pairs = dict(pairs)
        return changed

    def shut(self, ports: Iterable[tuple[str, int]]) -> None:
        """Close the shutters of these ports."""
        self.disabled.update(ports)

    def open(self, ports: Iterable[tuple[str, int]], now_ns: int) -> bool:
        """Open the shutters of these ports; return whether one was closed."""
        closed = self.disabled.intersection(ports)
        self.disabled -= closed
        self._since_ns.update(dict.fromkeys(closed, now_ns))
        return bool(closed)

    def loss_db(self, input: int, output: int) -> float:  # noqa: A002 - the word users type
        """Return the loss of a path in dB, the same at every time."""
        path = input, output
        if path not in self._losses_db:
            self._losses_db[path] = round(random.Random(f"{self._seed}/{input}/{output}").uniform(*LOSS_DB), 2)
        return self._losses_db[path]

    def light_path(self, input: int, now_ns: int) -> tuple[int, float] | None:  # noqa: A002 - the word users type
        """Return the output that an input's light leaves by and the loss in dB, or None while it is dark."""
        output = self._pairs.get(input)
        if output is None:
            return None
        for port in (("in", input), ("out", output)):
            settled_ns = self._since_ns.get(port, -self.settling_ns) + self.settling_ns
            if port in self.disabled or port in self.failed or now_ns < settled_ns:
                return None
        return output, self.loss_db(input, output)

    def power_dbm(self, side: str, number: int, now_ns: int) -> float:
        """Return what the monitor at a port shows, in dBm."""
        if side == "in":
            return max(self.light_dbm.get(number, DARK_DBM), DARK_DBM)
        for i, dbm in self.light_dbm.items():
            path = self.light_path(i, now_ns)
            if path is not None and path[0] == number:
                return max(dbm - path[1], DARK_DBM)
        return DARK_DBM
