"""Commits that share a transaction, without the writes of which later ones make the same row again."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from tokaido.node.core._writes import Count, PutBatch, SetBatch, SetNeighbour

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokaido.node.core._writes import Write


class Merged:
    """Counts, marks of neighbours and keys that leave a batch: each row of these is written once, at the end."""

    def __init__(self) -> None:
        self._counts: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
        self._neighbours: dict[str, SetNeighbour] = {}
        self._batches: dict[bytes, SetBatch] = {}

    def take(self, write: Write) -> bool:
        """Keep a write for the end, and say so; one that is to be carried out now is not kept."""
        match write:
            case Count(of, amounts):
                for name, amount in amounts.items():
                    self._counts[of][name] += amount
            case SetNeighbour(name):
                before = self._neighbours.get(name, SetNeighbour(name))
                mark, told = _higher(before.mark, write.mark), _higher(before.told, write.told)
                self._neighbours[name] = SetNeighbour(name, mark=mark, told=told)
            case SetBatch(relay, ready):
                former = self._batches.get(relay, SetBatch(relay))
                ready = former.ready if ready is None else ready
                self._batches[relay] = SetBatch(relay, ready=ready, taken=_higher(former.taken, write.taken))
            case _:
                return False
        return True

    def before(self, write: Write) -> Iterator[Write]:
        """Yield what has to be carried out before a write that is not kept."""
        if isinstance(write, PutBatch) and write.batch.relay in self._batches:
            yield self._batches.pop(write.batch.relay)

    def rest(self) -> Iterator[Write]:
        """Yield what was kept."""
        yield from self._batches.values()
        for of, amounts in self._counts.items():
            yield Count(of, amounts)
        yield from self._neighbours.values()


def _higher(one: int | None, other: int | None) -> int | None:
    return max((value for value in (one, other) if value is not None), default=None)
