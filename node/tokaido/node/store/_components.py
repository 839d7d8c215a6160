"""Components of pre-shared keys that wait for the second one: sealed, with who entered them, and until when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tokaido.hal import KeyMaterial

if TYPE_CHECKING:
    from tokaido.node.store._rows import Rows
    from tokaido.node.store._seals import Seal, Seals


@dataclass(frozen=True, slots=True)
class ComponentRow:
    """What is said of a component that waits."""

    link: str
    path: str
    """Empty: the path that the unit is set to."""
    peer: str
    """Serial number of the unit at the other end; empty: that of the link that the unit is set to."""
    uid: int
    """Of who entered it."""
    by: str
    at_s: float
    """When, in s since 1970-01-01 UTC."""
    until_s: float
    """Until when it waits."""
    check_value: str


class Components:
    """Keeps them, within transactions of their owner."""

    def __init__(self, rows: Rows, seals: Seals) -> None:
        self._rows = rows
        self._seals = seals

    def put(self, row: ComponentRow, component: KeyMaterial) -> None:
        """Keep a component, in place of the one that waited for this link and path."""
        sealed = self._seal(row).seal(component.reveal())
        values = row.peer, row.uid, row.by, float(row.at_s), float(row.until_s), row.check_value, sealed
        self._rows.put("component", (row.link, row.path), values)

    def all(self) -> tuple[ComponentRow, ...]:
        """Return what waits, by link and path.

        Raises:
            Damage: A row was altered.
        """
        found: list[Any] = sorted(self._rows.all("component"))
        return tuple(ComponentRow(*row[:-1]) for row in found)

    def open(self, link: str, path: str) -> KeyMaterial | None:
        """Return the component that waits; None: none does.

        Raises:
            Damage: It was altered.
        """
        values: Any = self._rows.get("component", link, path)
        if values is None:
            return None
        *said, sealed = values
        return KeyMaterial(self._seal(ComponentRow(link, path, *said)).open(sealed))

    def drop(self, link: str, path: str) -> bool:
        """Destroy a component, and return whether one waited."""
        waited = self._rows.get("component", link, path) is not None
        self._rows.drop("component", link, path)
        return waited

    def _seal(self, row: ComponentRow) -> Seal:
        """Who entered it, and when, are under the seal."""
        return self._seals.of("component", row.link, row.path, row.peer, row.uid, row.by, row.at_s, row.until_s)
