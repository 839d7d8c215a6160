"""The bench as a graph: elements, joins of their ports, and tracing light through them."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Final, NamedTuple

from tokaido.emulators.bench._elements import BANDS, Element, Stop
from tokaido.emulators.bench._path import Hop, LightPath
from tokaido.hal import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokaido.emulators._light import Band

CONNECTOR_LOSS_DB: Final = 0.3
"""Loss of a join unless another is given: a mated pair of connectors, 0.1 to 0.5 dB (an estimate)."""


class Join(NamedTuple):
    """Two ports that a connector joins."""

    one: str
    other: str
    loss_db: float
    number: int
    """Counts the joins that were ever made."""

    def across(self, port: str) -> str:
        """Return the port on the other side."""
        return self.other if port == self.one else self.one


class Graph:
    """Elements by name, and which of their ports are joined. Light may go either way through each of them."""

    def __init__(self) -> None:
        self._elements: dict[str, Element] = {}
        self._owners: dict[str, Element] = {}
        self._joins: dict[str, Join] = {}
        self._made = 0

    @property
    def elements(self) -> Mapping[str, Element]:
        """The elements by name."""
        return self._elements

    @property
    def joins(self) -> tuple[Join, ...]:
        """The joins that there are, in the order in which they were made."""
        return tuple(
            sorted({join.number: join for join in self._joins.values()}.values(), key=lambda join: join.number)
        )

    def add(self, element: Element) -> None:
        """Take an element.

        Raises:
            ConfigurationError: There is one of this name.
        """
        if element.name in self._elements:
            raise ConfigurationError(
                f"there is a {element.name!r} on the bench already", remedy="Give everything a name of its own"
            )
        self._elements[element.name] = element
        self._owners |= dict.fromkeys(element.ports, element)

    def join(self, one: str, other: str, loss_db: float = CONNECTOR_LOSS_DB) -> None:
        """Join two ports with a connector of `loss_db` dB, 0 to 100.

        Raises:
            ConfigurationError: There is no such port, or it is joined, or cannot be while another one is.
        """
        if not 0 <= loss_db <= 100:
            raise ConfigurationError(f"the join of {one} and {other} must cost 0 to 100 dB, not {loss_db!r}")
        if one == other:
            raise ConfigurationError(f"{one} cannot be joined to itself", remedy="Name two ports")
        for port in (one, other):
            self._ensure_free(port)
        if other in self._owner(one).excludes(one):
            raise ConfigurationError(f"{one} and {other} are two ways to join one unit", remedy="Take one of them")
        self._made += 1
        self._joins[one] = self._joins[other] = Join(one, other, loss_db, self._made)
        for port in (one, other):
            self._owners[port].note_join(port, joined=True)

    def unjoin(self, port: str) -> str:
        """Pull the connector at a port and return the port that it was joined to.

        Raises:
            ConfigurationError: There is no such port, or it is not joined.
        """
        self._owner(port)
        join = self._joins.get(port)
        if join is None:
            raise ConfigurationError(f"{port} is not joined", remedy="See `joins` for what is")
        del self._joins[join.one], self._joins[join.other]
        for end in (join.one, join.other):
            self._owners[end].note_join(end, joined=False)
        return join.across(port)

    def trace(self, start: str, band: Band = "quantum") -> LightPath:
        """Follow light of a band that leaves a port to where it ends, as the switches stood at their last look.

        `start` may be a unit: light then leaves by its line, or by its port for this band if that one is joined.

        Raises:
            ConfigurationError: There is no such port or band.
        """
        if band not in BANDS:
            raise ConfigurationError(f"there is no band {band!r}", remedy=f"Choose one of: {', '.join(BANDS)}")
        start = self._owner(start).leaves_by(start, band, self._joins)
        here, reason = start, ""
        hops: list[Hop] = []
        fibres: list[str] = []
        marks: list[object] = []
        diversions: list[int] = []
        left: set[str] = set()
        while not reason:
            if here in left:
                reason = f"light goes round in a loop at {here}"
                break
            left.add(here)
            join = self._joins.get(here)
            if join is None:
                reason = f"{here} is not joined"
                break
            there = join.across(here)
            hops.append(Hop("join", here, there, join.loss_db))
            marks.append(join.number)
            element = self._owners[there]
            way = element.follow(there, band)
            here = there
            if isinstance(way, Stop):
                reason = way.reason
                break
            if element.names_path:
                fibres.append(element.name)
            hops.append(Hop(element.name, there, way.port, way.loss_db, element.length_km))
            marks.append((element.name, way.mark))
            diversions.append(way.diversions)
            here = way.port
        return LightPath(start, band, here, reason, tuple(hops), tuple(fibres), tuple(marks), tuple(diversions))

    def _owner(self, port: str) -> Element:
        if port in self._owners:
            return self._owners[port]
        name = port.partition(".")[0]
        if name in self._elements:
            remedy = f"{name} has {self._elements[name].described}"
        else:
            near = difflib.get_close_matches(name, self._elements, 3)
            remedy = f"Did you mean {' or '.join(near)}?" if near else f"On the bench are: {', '.join(self._elements)}"
        raise ConfigurationError(f"there is no port {port!r}", remedy=remedy)

    def _ensure_free(self, port: str) -> None:
        for taken in (port, *self._owner(port).excludes(port)):
            join = self._joins.get(taken)
            if join is None:
                continue
            what = f"{taken} is joined to {join.across(taken)}"
            remedy = f"Call unjoin({taken!r}) first"
            if taken != port:
                what, remedy = f"{port} cannot be joined while {what}", f"{remedy}, or leave {port} as it is"
            raise ConfigurationError(what, remedy=remedy)
