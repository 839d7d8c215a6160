"""Which messages a reader has had: numbers of each run, as ranges."""

from __future__ import annotations

from bisect import bisect_right


class Seen:
    """Remembers ids of messages, for ever and in little room: the numbers of one run lie close together."""

    def __init__(self) -> None:
        self._runs: dict[str, list[list[int]]] = {}

    def take(self, identifier: str) -> bool:
        """Return whether an id, `RUN-NUMBER`, is new, and remember it."""
        run, _, digits = identifier.partition("-")
        number = int(digits)
        ranges = self._runs.setdefault(run, [])
        at = bisect_right(ranges, number, key=lambda one: one[0])
        before = ranges[at - 1] if at else None
        after = ranges[at] if at < len(ranges) else None
        if before is not None and number <= before[1]:
            return False
        joins_before = before is not None and number == before[1] + 1
        joins_after = after is not None and number == after[0] - 1
        if before is not None and after is not None and joins_before and joins_after:
            before[1] = after[1]
            del ranges[at]
        elif before is not None and joins_before:
            before[1] = number
        elif after is not None and joins_after:
            after[0] = number
        else:
            ranges.insert(at, [number, number])
        return True

    def missing(self, run: str) -> int:
        """Return how many numbers of a run lie between those that came."""
        ranges = self._runs.get(run, [])
        return 0 if not ranges else ranges[-1][1] - ranges[0][0] + 1 - sum(last - first + 1 for first, last in ranges)

    @property
    def count(self) -> int:
        """How many ids are remembered."""
        return sum(last - first + 1 for ranges in self._runs.values() for first, last in ranges)
