"""Faults on the wire: named, seeded, directional, and removable while everything runs; the same on every wire end.

`FAULT_KINDS` in `_fault_kinds` says what each kind does, on which ways and at which ports.
"""

from __future__ import annotations

import math
import random
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tokaido.emulators._fault_kinds import BOTH_WAYS, FAULT_KINDS, Direction, Fate, FaultPort
from tokaido.hal import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokaido.emulators._fault_kinds import FaultKind

KINDS: Final = tuple(FAULT_KINDS)
"""Names of every kind of fault on the wire."""


@dataclass(eq=False, slots=True)
class Fault:
    """One fault that was added to a wire. `remove` ends it; it also ends by itself after `count` pieces."""

    of: FaultKind
    direction: Direction
    port: FaultPort | None
    """The port that it sits at, or None for every port."""
    probability: float
    count: int | None
    match: bytes
    """Only pieces that contain this are struck."""
    seconds: float
    size: int
    provokes: str
    fired: int = 0
    """How many pieces it has struck."""
    removed: bool = False
    last_met: dict[FaultPort, list[list[bytes]]] = field(default_factory=dict, repr=False)
    """What it met last at each port, if its kind repeats that."""
    _owner: Faults | None = field(default=None, repr=False)

    @property
    def kind(self) -> str:
        """Name of its kind."""
        return self.of.name

    def remove(self) -> None:
        """End this fault; may be called again."""
        self.removed = True
        self.last_met.clear()
        if self._owner is not None:
            self._owner.discard(self)


class Faults:
    """The faults of one emulator's wires. Safe to use from any thread.

    Args:
        seed: Decides which pieces are struck, and what happens to them.
        provocable: Names of the model faults that an `alarm` may begin.
    """

    def __init__(self, seed: int, provocable: Sequence[str] = ()) -> None:
        self._provocable = tuple(provocable)
        self.random = random.Random(f"faults/{seed}")
        self._lock = threading.Lock()
        self._present: list[Fault] = []

    def __len__(self) -> int:
        return len(self._present)

    def add(
        self,
        kind: str,
        *,
        direction: Direction = "from_unit",
        port: FaultPort | None = None,
        probability: float = 1.0,
        count: int | None = None,
        match: bytes = b"",
        seconds: float = 0.1,
        size: int = 100_000,
        provokes: str = "cover_opened",
    ) -> Fault:
        """Add a fault of one of the `KINDS`, and return it so that it can be removed.

        `seconds` is a time on the wall, in s: how long to hold back, wait, stay unplugged or hang (`math.inf`: until
        the fault is removed). Without `count` it strikes until it is removed.

        Raises:
            ConfigurationError: There is no such kind, or it cannot be at that port or in that direction.
        """
        known = FAULT_KINDS.get(kind)
        if known is None:
            raise ConfigurationError(f"no fault is called {kind!r}", remedy=f"Choose one of: {', '.join(KINDS)}")
        if direction not in BOTH_WAYS:
            raise ConfigurationError(f"there is no direction {direction!r}", remedy="Choose to_unit or from_unit")
        if direction not in known.directions:
            (only,) = known.directions
            raise ConfigurationError(f"{kind} never strikes {direction}", remedy=f"Give direction={only!r}")
        if port is not None and port not in known.ports:
            raise ConfigurationError(f"{kind} never strikes at the port {port}", remedy=f"Give port={known.ports[0]!r}")
        if known.in_model and provokes not in self._provocable:
            own = ", ".join(self._provocable) or "none"
            raise ConfigurationError(f"the model has no fault {provokes!r}", remedy=f"Choose one of: {own}")
        if not 0 <= probability <= 1 or math.isnan(seconds) or seconds < 0:
            raise ConfigurationError("a probability lies in 0 to 1, and a time is not negative")
        fault = Fault(known, direction, port, probability, count, match, seconds, size, provokes, _owner=self)
        with self._lock:
            self._present.append(fault)
        return fault

    def discard(self, fault: Fault) -> None:
        """Take a fault out; one that is gone is not an error."""
        with self._lock:
            if fault in self._present:
                self._present.remove(fault)

    def clear(self, kind: str = "") -> None:
        """Take every fault out, or every one of a kind."""
        with self._lock:
            faults = [fault for fault in self._present if kind in ("", fault.kind)]
            self._present = [fault for fault in self._present if fault not in faults]
        for fault in faults:
            fault.removed = True

    def strike(self, port: FaultPort, direction: Direction, content: bytes) -> list[Fault]:
        """Return the faults that this piece meets, in the order in which they were added."""
        struck: list[Fault] = []
        with self._lock:
            for fault in list(self._present):
                if fault.direction != direction or fault.port not in (None, port) or fault.match not in content:
                    continue
                if port not in fault.of.ports:
                    continue
                if self.random.random() >= fault.probability:
                    continue
                fault.fired += 1
                struck.append(fault)
                if fault.count is not None and fault.fired >= fault.count:
                    self._present.remove(fault)
        return struck


def fate(piece: list[bytes], faults: list[Fault], chance: random.Random, port: FaultPort = "control") -> Fate:
    """Return what the faults make of a piece: a stream's chunk as one frame, or the frames of a message."""
    result = Fate([(0.0, piece)], port)
    for fault in faults:
        fault.of.strike(result, fault, chance)
    return result
