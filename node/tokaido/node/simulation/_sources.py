"""The units of simulated links: they offer blocks, at both ends, until they are told that a block is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokaido.hal import KeyBlockInfo, KeyMaterial
from tokaido.node.core import Drawn

if TYPE_CHECKING:
    import random

    from tokaido.node.core import BlockName
    from tokaido.node.simulation._scenario import Chances, Scenario


class Source:
    """The units of one node."""

    def __init__(self) -> None:
        self.offered: dict[BlockName, bytes] = {}
        """What was not committed yet."""
        self._draw = 0
        self._draws: dict[int, BlockName] = {}

    def draw(self, name: BlockName) -> Drawn:
        """Return a block as it is handed to the node."""
        self._draw += 1
        self._draws[self._draw] = name
        key = self.offered[name]
        link, session, number = name
        info = KeyBlockInfo(
            session, number, 8 * len(key), "lim2014", "chernoff", 1e-10, False, True, serial_number=f"of {link}"
        )
        return Drawn(self._draw, name[0], info, KeyMaterial(key))

    def name_of(self, draw: int) -> BlockName:
        """Return which block a draw was of."""
        return self._draws[draw]

    def committed(self, draw: int) -> None:
        """Erase a block."""
        self.offered.pop(self._draws[draw], None)


def made(
    random_: random.Random, scenario: Scenario, chances: Chances, link: str, number: int
) -> tuple[BlockName, bytes | None, bytes | None]:
    """Return a new block of a link: its name and its key at either end; None where it is not offered."""
    name = (link, f"session-{number // 50}", number % 50)
    size = random_.randint(*scenario.block_sizes)
    key = random_.randbytes(size)
    ends: list[bytes | None] = [key, key]
    end = random_.randrange(2)
    if random_.random() < chances.one_sided:
        ends[end] = None
    elif random_.random() < chances.different:
        other = random_.randbytes(size)
        ends[end] = other if random_.random() < 0.5 else other + b"+"
    return name, ends[0], ends[1]
