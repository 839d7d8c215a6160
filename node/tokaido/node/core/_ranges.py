"""Sets of whole numbers that mostly follow each other, as ranges from first to last."""

from __future__ import annotations

from typing import TypeAlias

Ranges: TypeAlias = tuple[tuple[int, int], ...]


def within(ranges: Ranges, number: int) -> bool:
    """Whether a number is in one of the ranges."""
    return any(first <= number <= last for first, last in ranges)


def added(ranges: Ranges, number: int) -> Ranges:
    """Return the ranges with one number more, joined where they meet."""
    if within(ranges, number):
        return ranges
    joined: list[tuple[int, int]] = []
    for first, last in sorted((*ranges, (number, number))):
        if joined and joined[-1][1] + 1 == first:
            joined[-1] = joined[-1][0], last
        else:
            joined.append((first, last))
    return tuple(joined)
