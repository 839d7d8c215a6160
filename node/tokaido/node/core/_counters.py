"""Counters: of links in bits, of pairs of nodes in keys. They are durable with what they count."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokaido.node.core._writes import Count

if TYPE_CHECKING:
    from collections.abc import Mapping


def link(name: str) -> str:
    """Return under which name the bits of a link are counted."""
    return f"link:{name}"


def pair(neighbour: str) -> str:
    """Return under which name the keys of a pair are counted."""
    return f"pair:{neighbour}"


class Counters:
    """All counters of a node.

    Of a link, in bits: `drawn` = stored + `leased` + `spent_pad` + `spent_tag` + all `discarded:REASON`, where stored
    is what the marks of its blocks leave.

    Of a pair, in keys. Of those that this node started: `born` = in stock or on their way + `taken` + all
    `burned:REASON`. Of those that the neighbour started: `held` = in stock + `supplied` + all `dropped:REASON`;
    `skipped` are those in stock that lie before one that was supplied.
    """

    def __init__(self, counters: Mapping[str, Mapping[str, int]]) -> None:
        self._of = {of: dict(amounts) for of, amounts in counters.items()}

    def add(self, of: str, amounts: Mapping[str, int]) -> Count:
        """Count at once, and return the write that makes it durable."""
        changed = {name: amount for name, amount in amounts.items() if amount}
        now = self._of.setdefault(of, {})
        for name, amount in changed.items():
            now[name] = now.get(name, 0) + amount
        return Count(of, changed)

    def get(self, of: str, name: str) -> int:
        """Return one counter."""
        return self._of.get(of, {}).get(name, 0)

    def leased(self) -> list[tuple[str, int]]:
        """Return the links of which something is leased, and how many bits."""
        prefix = link("")
        of_links = [(of.removeprefix(prefix), self.get(of, "leased")) for of in self._of if of.startswith(prefix)]
        return [(name, bits) for name, bits in of_links if bits]

    def of(self, of: str) -> dict[str, int]:
        """Return all counters of a link or pair."""
        return dict(self._of.get(of, {}))
