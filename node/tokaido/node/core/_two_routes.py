"""Keys of two routes: which keys in stock may be added, and their sum (TNP1, section 8)."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from tokaido.hal import KeyMaterial

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from tokaido.node.core._shelf import Route, StockBatch


def apart(ones: Collection[Route], others: Collection[Route]) -> bool:
    """Whether no route is on both sides, and no node in the middle of one side is in the middle of the other.

    All of them have the same start and the same end.
    """
    return set(ones).isdisjoint(others) and _middle(ones).isdisjoint(_middle(others))


def most_keys(keys: Mapping[Route, int]) -> int:
    """Return how many keys of two routes can be made of so many keys by route, all over the same two."""
    there = [(route, amount) for route, amount in keys.items() if amount > 0]
    return max(
        (min(amount, other) for (one, amount), (two, other) in combinations(there, 2) if apart([one], [two])), default=0
    )


def two_sides(batches: Iterable[StockBatch], wanted: int) -> tuple[list[StockBatch], ...]:
    """Return the oldest batches of two routes that are apart, each side with so many keys; none if there are not."""
    by_route: dict[Route, list[StockBatch]] = {}
    for batch in batches:
        by_route.setdefault(batch.route, []).append(batch)
    for one, two in combinations(by_route, 2):
        found = enough(by_route[one], wanted), enough(by_route[two], wanted)
        if all(found) and apart([one], [two]):
            return found
    return ()


def enough(batches: Iterable[StockBatch], wanted: int) -> list[StockBatch]:
    """Return the first batches that have so many keys together; none if all have fewer."""
    found: list[StockBatch] = []
    for batch in batches:
        found.append(batch)
        wanted -= batch.free
        if wanted <= 0:
            return found
    return []


def added(one: KeyMaterial, other: KeyMaterial) -> KeyMaterial:
    """Return the sum of two keys of the same length, modulo 2. Both are wiped."""
    with one, other, one.reveal() as first, other.reveal() as second:
        whole = bytearray(a ^ b for a, b in zip(first, second, strict=True))
        key = KeyMaterial(whole, insecure=one.insecure or other.insecure)
    whole[:] = bytes(len(whole))
    return key


def _middle(routes: Iterable[Route]) -> set[str]:
    return {node for route in routes for node in route[1:-1]}
