"""The way that light took: hop by hop, with what each one cost, and where it ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokaido.emulators._light import Band

DIRECT = "direct"
"""Id of a path without a fibre."""


@dataclass(frozen=True, slots=True)
class Hop:
    """One join or one element that light passed."""

    element: str
    """Name of the element, or "join"."""
    entered: str
    """Port that light came in by; of a join, the port that it left."""
    left: str
    """Port that light left by; of a join, the port that it came to."""
    loss_db: float
    length_km: float = 0.0

    def __str__(self) -> str:
        return f"{self.entered} > {self.left} ({self.loss_db:g} dB)"


@dataclass(frozen=True, slots=True)
class LightPath:
    """Where light of one band goes that leaves a port."""

    start: str
    """Port that it leaves."""
    band: Band
    end: str
    """Port at which it ends: of a unit if it arrived, else the last one that it came to."""
    reason: str
    """Why it ends there; empty if it arrived at a unit."""
    hops: tuple[Hop, ...]
    """Joins and elements in the order in which it passed them."""
    fibres: tuple[str, ...]
    """Names of the fibres that it passed, in this order."""
    marks: tuple[object, ...] = field(default=(), repr=False)
    """Equal for two traces of one path only if nothing on it was moved or interrupted between them."""
    diversions: tuple[int, ...] = field(default=(), repr=False)
    """Equal for two traces of one path only if light at no switch on it went another way between them."""

    @property
    def arrives(self) -> bool:
        """Whether it ends in a unit that takes it."""
        return not self.reason

    @property
    def unit(self) -> str:
        """Name of the unit that it arrives at; empty if it does not arrive."""
        return self.end.partition(".")[0] if self.arrives else ""

    @property
    def id(self) -> str:
        """Names of the fibres joined by "+", or "direct" without one: the path that a QKD link is named by."""
        return "+".join(self.fibres) or DIRECT

    @property
    def loss_db(self) -> float:
        """Loss of all hops, in dB."""
        return sum(hop.loss_db for hop in self.hops)

    @property
    def length_km(self) -> float:
        """Length of all fibres, in km; patch cords count nothing."""
        return sum(hop.length_km for hop in self.hops)

    def __str__(self) -> str:
        passed = [hop.element for hop in self.hops if hop.element != "join"]
        way = " > ".join([self.start, *passed, self.end if self.arrives else f"({self.reason})"])
        return f"{way}: {self.length_km:g} km, {self.loss_db:.2f} dB"
