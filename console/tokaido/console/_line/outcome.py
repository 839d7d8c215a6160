"""What a drill saw, and whether that is what it expected."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one drill."""

    seen: str
    held: bool


def outcome(seen: str, *holds: bool) -> Outcome:
    """Return an outcome that holds if all of it does."""
    return Outcome(seen, held=all(holds))
