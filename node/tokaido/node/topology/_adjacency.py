"""Which nodes are joined by links: made once for a topology, and looked up by every search for a route."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokaido.hal import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Adjacency:
    """Nodes by number, in the order of their names, and who is next to whom.

    Args:
        names: Of the nodes.
        ends: Names of the two nodes of each link, by its name.

    Raises:
        ConfigurationError: A link ends at a node that is not there, or twice at one.
    """

    def __init__(self, names: Iterable[str], ends: Mapping[str, tuple[str, str]]) -> None:
        self.names = tuple(sorted(names))
        """Names of the nodes, by number."""
        self.numbers = {name: number for number, name in enumerate(self.names)}
        """Numbers of the nodes, by name."""
        links: dict[tuple[int, int], list[str]] = {}
        for link, (one, other) in ends.items():
            if one == other or one not in self.numbers or other not in self.numbers:
                raise ConfigurationError(
                    f"link {link} from {one!r} to {other!r} does not join two nodes of the topology"
                )
            a, b = self.numbers[one], self.numbers[other]
            links.setdefault((a, b), []).append(link)
            links.setdefault((b, a), []).append(link)
        self.links = {pair: tuple(found) for pair, found in links.items()}
        """Names of the links between two adjacent nodes, in both directions."""
        beside: list[list[int]] = [[] for _ in self.names]
        for a, b in sorted(self.links):
            beside[a].append(b)
        self.beside = tuple(map(tuple, beside))
        """Numbers of the nodes next to each node, rising."""

    def number(self, name: str) -> int:
        """Return the number of a node.

        Raises:
            ConfigurationError: There is no such node.
        """
        try:
            return self.numbers[name]
        except (KeyError, TypeError):
            raise ConfigurationError(f"the topology has no node {name!r}") from None
