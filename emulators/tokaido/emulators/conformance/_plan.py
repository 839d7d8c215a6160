"""What a suite is run on: a driver, its emulator, wire ends, faults; and what it counted."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tokaido.emulators._fault_kinds import FAULT_KINDS, Direction, FaultKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from tokaido.hal import Device

    Through = Callable[[Mapping[str, str]], AbstractContextManager[Mapping[str, str]]]


@dataclass(frozen=True, slots=True)
class WireFault:
    """One kind of fault on the wire, and the way on which it strikes."""

    kind: str
    direction: Direction

    def __str__(self) -> str:
        return f"{self.kind}-{self.direction}"

    @property
    def of(self) -> FaultKind:
        """All that is known of its kind."""
        return FAULT_KINDS[self.kind]

    @property
    def believed(self) -> bool:
        """Whether plain text gives no way to see it."""
        return self.direction in self.of.believed

    @property
    def unended(self) -> bool:
        """Whether it leaves a line without its end in a device that speaks plain text."""
        return self.direction in self.of.unended


FAULTS: Final = tuple(
    WireFault(kind.name, direction)
    for kind in FAULT_KINDS.values()
    if not kind.same_as
    for direction in kind.directions
)
"""The fault matrix: every kind that is not another's second name, on both ways where both are possible."""


class Summary:
    """What one suite counted in this process. Safe to use from any thread."""

    def __init__(self, driver: str) -> None:
        self.driver = driver
        self.exchanges = 0
        """Outcomes compared with the truth: values that came, settings that were confirmed, key blocks handed out."""
        self.errors = 0
        """Calls that ended with a `TokaidoError`, as they may under a fault."""
        self.wrong = 0
        """Values and settings that were not the truth."""
        self.undetectable = 0
        """Wrong values under faults that the driver's protocol gives no way to see: text garbled without a checksum."""
        self.foreign = 0
        """Exceptions that are not a `TokaidoError`."""
        self._lock = threading.Lock()

    def count(self, name: str, by: int = 1) -> None:
        """Count one of the above."""
        with self._lock:
            setattr(self, name, getattr(self, name) + by)

    def __str__(self) -> str:
        return (
            f"{self.driver}: {self.exchanges} outcomes compared: {self.wrong} wrong, {self.foreign} foreign exceptions,"
            f" {self.errors} typed errors, {self.undetectable} wrong in a way that the protocol cannot show"
        )


@dataclass(frozen=True)
class Plan:
    """What a suite runs on. See `suite` for the meaning of each field."""

    driver: str
    emulator: str
    options: Mapping[str, Any]
    wire_ends: tuple[str, ...]
    faults: tuple[WireFault, ...]
    timeout: float
    seed: int
    alarm: str
    is_query: Callable[[str], bool]
    summary: Summary = field(repr=False)
    prepare: tuple[Callable[[Device, float], None], ...] = ()
    """What the contracts do to every driver once it is open; each is told the deadline of an exchange in s."""
    slowness: Callable[[], float] = lambda: 1.0
    through: Through | None = None
    virtual_time: bool = False

    @property
    def lasts_s(self) -> dict[str, float]:
        """How long each kind of fault holds things back, in s."""
        return {name: kind.lasts_s + kind.lasts_deadlines * self.timeout for name, kind in FAULT_KINDS.items()}


def ends_of(model: Any, kinds: Mapping[str, frozenset[str]]) -> tuple[str, ...]:
    """Return the wire ends of a model that carry a kind of resource which a driver takes as `control`."""
    ends: Sequence[str] = model.wire_ends
    return tuple(end for end in ends if RESOURCE_KINDS.get(end, "visa") in kinds.get("control", ()))


SERIAL_ENDS: Final = ("pty", "emu", "asrl")
"""Wire ends that are serial lines."""
RESOURCE_KINDS: Final = {"pty": "serial", "emu": "serial", "https": "https", "zmq": "zmq"}
"""Kind of resource that leads to a wire end, where it is not VISA."""
