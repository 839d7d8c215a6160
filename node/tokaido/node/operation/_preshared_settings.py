"""The table `preshared_keys` of a node file: who may enter components, where, and how old a key may get."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tokaido.hal.tables import Check, Mistakes, number

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_DAYS: Final = Check(number(0, 36500), "a number of days, 0 to 36500")
_KEYS: Final = {
    "custodians": Check(
        lambda value: isinstance(value, list) and all(isinstance(one, str) and one for one in value),
        'a list of users of this machine, such as ["ann", "bob"]',
    ),
    "socket": Check(lambda value: isinstance(value, str) and bool(value), "text in quotes"),
    "wait_hours": Check(number(0.01, 720), "a number of hours, 0.01 to 720"),
    "days": _DAYS,
    "warn_days": _DAYS,
}


@dataclass(frozen=True, slots=True)
class PresharedSettings:
    """What a node file says of pre-shared keys."""

    custodians: frozenset[str] = frozenset()
    """Users who may enter components; none: nobody may."""
    socket: Path | None = None
    """Where; None: there is no such socket."""
    wait_hours: float = 24.0
    """How long the first component waits for the second."""
    days: float = 365.0
    """How old a key may get before it is told."""
    warn_days: float = 30.0
    """How long before that it is told as WARNING."""

    @classmethod
    def read(cls, mistakes: Mistakes, tables: Mapping[str, Any], base: Path, node: str) -> PresharedSettings:
        """Return what the table says, and note its mistakes."""
        entry = mistakes.checked("preshared_keys", mistakes.table((), tables, "preshared_keys"), _KEYS)
        custodians = frozenset(entry.pop("custodians", ()))
        socket = entry.pop("socket", f"{node}-custodians.sock")
        if len(custodians) == 1:
            mistakes.note(("preshared_keys", "custodians"), "must name two people at least, for each enters one half")
        return cls(custodians, base / socket if custodians else None, **entry)
