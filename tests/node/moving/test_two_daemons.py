"""Two daemons move a link on an emulated bench, whose light follows the switches of both sites."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

import tokaido.hal as hal
from tokaido_testing.moving_nodes import NODES, MovingNodes

if TYPE_CHECKING:
    from pathlib import Path

    from tokaido.node.operation import LinkLine


def drawn(line: LinkLine) -> int:
    return line.counters.get("drawn", 0)


@pytest.mark.timeout(120)
def test_two_nodes_move_their_link_and_exchange_keys_over_the_other_path(tmp_path: Path, certificates: Path) -> None:
    async def live() -> None:
        async with MovingNodes(tmp_path, certificates) as nodes:
            await nodes.until(lambda line: drawn(line) > 0)
            with pytest.raises(hal.RefusedError, match="Order it at otemachi"):
                await asyncio.to_thread(nodes.client("koganei").move, "field", "B")
            with pytest.raises(hal.RefusedError, match="no path 'C'"):
                await asyncio.to_thread(nodes.client("otemachi").move, "field", "C")
            await asyncio.to_thread(nodes.client("otemachi").move, "field", "B")
            await nodes.until(lambda line: line.move == "moved to B")
            assert nodes.joined() == {"otemachi": {1: 2}, "koganei": {2: 1}}
            before = {node: drawn(await nodes.line(node)) for node in NODES}
            for node in NODES:
                await nodes.until(lambda line, node=node: drawn(line) > before[node], node)  # type: ignore[misc]

    asyncio.run(live())
