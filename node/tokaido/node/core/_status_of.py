"""What a core tells of one link, and of one pair of nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokaido.node.core import _counters
from tokaido.node.core._status import LinkStatus, PairStatus

if TYPE_CHECKING:
    from tokaido.node.core._blocks import Blocks
    from tokaido.node.core._context import Context
    from tokaido.node.core._state import LinkState, Neighbour
    from tokaido.node.core._stocks import Stocks
    from tokaido.node.core._ways import Ways


def link_status(context: Context, blocks: Blocks, neighbour: Neighbour, name: str, link: LinkState) -> LinkStatus:
    """Return what may be known of a link."""
    counted = context.counters.of(_counters.link(name))
    there = [block for block in blocks.held.values() if block.name[0] == name]
    prefix = "discarded:"
    return LinkStatus(
        name,
        neighbour.name,
        counted.get("drawn", 0),
        8 * sum(block.stored for block in there),
        counted.get("leased", 0),
        counted.get("spent_pad", 0),
        counted.get("spent_tag", 0),
        {key.removeprefix(prefix): bits for key, bits in counted.items() if key.startswith(prefix)},
        len(there),
        sum(block.name in link.had for block in there),
        link.asking,
    )


def pair_status(context: Context, stocks: Stocks, ways: Ways, neighbour: Neighbour, demand: float) -> PairStatus:
    """Return what may be known of the keys of a pair."""
    stock, found, settings = stocks.of(neighbour.name), ways.to(neighbour), neighbour.settings
    wants_two = settings.routes == 2 or context.now_s < neighbour.two_routes_until_s
    two = ways.two(neighbour) if wants_two else None
    return PairStatus(
        neighbour.name,
        stock.own.ready(insecure=True),
        stock.own.coming(),
        stock.held.keys,
        context.counters.of(_counters.pair(neighbour.name)),
        demand,
        settings.stock,
        "relays trusted" if settings.confirm_key is None else "confirmed end to end",
        () if found is None else found.route,
        settings.routes,
        stocks.ready(neighbour, 2) if wants_two else 0,
        () if two is None else two.routes,
        () if two is None else two.cut_nodes,
    )
