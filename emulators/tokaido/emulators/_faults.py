"""Faults on the wire: named, seeded, directional, and removable while everything runs; the same on every wire end.

| kind | stream | messages | what it does to a piece (a line or a chunk; a message) |
|---|---|---|---|
| `latency` | yes | yes | holds it back for `seconds` |
| `drop` | yes | yes | loses it |
| `duplicate` | yes | yes | carries it twice |
| `garble` | yes | yes | alters one byte, never the end of a line |
| `truncate` | yes | yes | carries only its beginning; a message loses frames or the end of one |
| `split` | yes | no | carries it in parts, `seconds` apart |
| `unplug` | yes | yes | loses it, pulls the plug and puts it back after `seconds`; `disconnect` is the same |
| `hang` | yes | yes | carries nothing more until `seconds` are over or the fault is removed |
| `wrong_id` | yes | yes | lets another box answer: same kind, another serial number (direction `to_unit`) |
| `endless` | yes | yes | puts `size` bytes without an end in its place |
| `alarm` | yes | yes | begins the model fault `provokes` just before it (direction `to_unit`) |

On HiSLIP and on VISA within the process a reply ends with an END; one that has lost the end of its line has none.
"""

from __future__ import annotations

import math
import random
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from tokaido.hal import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Direction = Literal["to_unit", "from_unit"]
FaultPort = Literal["control", "keys"]

KINDS = (
    "latency",
    "drop",
    "duplicate",
    "garble",
    "truncate",
    "split",
    "unplug",
    "disconnect",
    "hang",
    "wrong_id",
    "endless",
    "alarm",
)
"""Every kind of fault on the wire."""
_INWARD_ONLY = ("wrong_id", "alarm")


@dataclass(eq=False, slots=True)
class Fault:
    """One fault that was added to a wire. `remove` ends it; it also ends by itself after `count` pieces."""

    kind: str
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
    _owner: Faults | None = field(default=None, repr=False)

    def remove(self) -> None:
        """End this fault; may be called again."""
        self.removed = True
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
        if kind not in KINDS:
            raise ConfigurationError(f"there is no fault {kind!r}", remedy=f"Choose one of: {', '.join(KINDS)}")
        if direction not in ("to_unit", "from_unit"):
            raise ConfigurationError(f"there is no direction {direction!r}", remedy="Choose to_unit or from_unit")
        if kind in _INWARD_ONLY and direction != "to_unit":
            raise ConfigurationError(f"{kind} happens on the way to the unit", remedy="Give direction='to_unit'")
        if kind == "split" and port == "keys":
            raise ConfigurationError("a message is never split", remedy="Take truncate, or port='control'")
        if kind == "alarm" and provokes not in self._provocable:
            known = ", ".join(self._provocable) or "none"
            raise ConfigurationError(f"the model has no fault {provokes!r}", remedy=f"Choose one of: {known}")
        if not 0 <= probability <= 1 or math.isnan(seconds) or seconds < 0:
            raise ConfigurationError("a probability lies in 0 to 1, and a time is not negative")
        fault = Fault(kind, direction, port, probability, count, match, seconds, size, provokes, _owner=self)
        with self._lock:
            self._present.append(fault)
        return fault

    def discard(self, fault: Fault) -> None:
        """Take a fault out; one that is gone is not an error."""
        with self._lock:
            if fault in self._present:
                self._present.remove(fault)

    def clear(self) -> None:
        """Take every fault out."""
        with self._lock:
            faults, self._present = self._present, []
        for fault in faults:
            fault.removed = True

    def strike(self, port: FaultPort, direction: Direction, content: bytes) -> list[Fault]:
        """Return the faults that this piece meets, in the order in which they were added."""
        struck: list[Fault] = []
        with self._lock:
            for fault in list(self._present):
                if fault.direction != direction or fault.port not in (None, port) or fault.match not in content:
                    continue
                if fault.kind == "split" and port == "keys":
                    continue
                if self.random.random() >= fault.probability:
                    continue
                fault.fired += 1
                struck.append(fault)
                if fault.count is not None and fault.fired >= fault.count:
                    self._present.remove(fault)
        return struck


@dataclass(slots=True)
class Fate:
    """What becomes of one piece: its parts with their delay in s, and what happens besides."""

    parts: list[tuple[float, list[bytes]]]
    unplug_s: float | None = None
    hang: Fault | None = None
    wrong_id: bool = False
    provokes: list[str] = field(default_factory=list)


def fate(piece: list[bytes], faults: list[Fault], chance: random.Random) -> Fate:
    """Return what the faults make of a piece: a stream's chunk as one frame, or the frames of a message."""
    result = Fate([(0.0, piece)])
    for fault in faults:
        if fault.kind in _ALTERATIONS:
            alter = _ALTERATIONS[fault.kind]
            result.parts = [part for delay, frames in result.parts for part in alter(delay, frames, fault, chance)]
        elif fault.kind in ("unplug", "disconnect"):
            result.parts = []
            result.unplug_s = fault.seconds
        elif fault.kind == "hang":
            result.hang = fault
        elif fault.kind == "wrong_id":
            result.wrong_id = True
        else:
            result.provokes.append(fault.provokes)
    return result


_Parts = list[tuple[float, list[bytes]]]


def _latency(delay: float, frames: list[bytes], fault: Fault, _: random.Random) -> _Parts:
    return [(delay + fault.seconds, frames)]


def _drop(_delay: float, _frames: list[bytes], _fault: Fault, _: random.Random) -> _Parts:
    return []


def _duplicate(delay: float, frames: list[bytes], _fault: Fault, _: random.Random) -> _Parts:
    return [(delay, frames), (delay, frames)]


def _garble(delay: float, frames: list[bytes], _fault: Fault, chance: random.Random) -> _Parts:
    places = [(i, j) for i, frame in enumerate(frames) for j in range(len(frame.rstrip(b"\r\n")))]
    if not places:
        return [(delay, frames)]
    i, j = chance.choice(places)
    altered = bytearray(frames[i])
    altered[j] ^= chance.choice([1 << bit for bit in range(7) if altered[j] ^ (1 << bit) not in b"\r\n"])
    return [(delay, [*frames[:i], bytes(altered), *frames[i + 1 :]])]


def _truncate(delay: float, frames: list[bytes], _fault: Fault, chance: random.Random) -> _Parts:
    if len(frames) == 1:
        return [(delay, [frames[0][: chance.randrange(len(frames[0]) or 1)]])]
    keep = chance.randrange(1, len(frames))
    cut = frames[keep][: chance.randrange(len(frames[keep]) or 1)]
    return [(delay, [*frames[:keep], cut])]


def _split(delay: float, frames: list[bytes], fault: Fault, chance: random.Random) -> _Parts:
    data = frames[0]
    cuts = sorted(chance.sample(range(1, len(data)), min(3, len(data) - 1))) if len(data) > 1 else []
    bounds = [0, *cuts, len(data)]
    return [(delay + fault.seconds * i, [data[bounds[i] : bounds[i + 1]]]) for i in range(len(bounds) - 1)]


def _endless(delay: float, frames: list[bytes], fault: Fault, _: random.Random) -> _Parts:
    return [(delay, [*frames[:1], b"A" * fault.size] if len(frames) > 1 else [b"A" * fault.size])]


_ALTERATIONS: dict[str, Callable[[float, list[bytes], Fault, random.Random], _Parts]] = {
    "latency": _latency,
    "drop": _drop,
    "duplicate": _duplicate,
    "garble": _garble,
    "truncate": _truncate,
    "split": _split,
    "endless": _endless,
}
