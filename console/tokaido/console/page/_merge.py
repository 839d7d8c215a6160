"""The state of a page from what many nodes say of themselves and from the topology of their network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tokaido.console.page._places import places_of
from tokaido.console.page._state import (
    PageAlarm,
    PageDevice,
    PagePair,
    PageRelay,
    PageSite,
    PageSpan,
    PageState,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tokaido.node.operation import LinkLine, NodeStatus, PairLine
    from tokaido.node.topology import Topology, TopologyLink, TopologyNode

SILENT_S: Final = 30.0
"""After so long without an answer a device counts as silent."""


@dataclass(frozen=True, slots=True)
class SpanFacts:
    """What neither nodes nor the topology tell of a span."""

    vendor: str = ""
    path: str = ""
    """Which path its light takes now."""
    speed: float | None = None
    """Emulated seconds a second."""


def state_of(
    topology: Topology,
    statuses: Mapping[str, NodeStatus],
    *,
    utc_s: float,
    title: str = "",
    title_ja: str = "",
    titles_ja: Mapping[str, str] | None = None,
    spans: Mapping[str, SpanFacts] | None = None,
) -> PageState:
    """Return what a page shows of nodes as they tell of themselves now.

    Args:
        topology: Says which nodes and links there are, and where.
        statuses: By node. One that is not there counts as silent.
        utc_s: When this was so, in s since 1970-01-01 UTC.
        title: What people call the network; default: its name.
        title_ja: The same in Japanese.
        titles_ja: What people call its nodes in Japanese, by node.
        spans: What else is known of links, by link.
    """
    geography, places = places_of(topology)
    return PageState(
        network=topology.network,
        title=title or topology.network,
        title_ja=title_ja,
        utc_s=utc_s,
        emulation=any(status.emulation for status in statuses.values()),
        geography=geography,
        sites=tuple(
            _site(node, places[name], statuses.get(name), (titles_ja or {}).get(name, ""))
            for name, node in topology.nodes.items()
        ),
        spans=tuple(
            _span(link, _ends_of(link, statuses), (spans or {}).get(name, SpanFacts()))
            for name, link in topology.links.items()
        ),
        pairs=_pairs(topology, statuses),
    )


def relays_between(
    before: Mapping[str, NodeStatus], after: Mapping[str, NodeStatus], *, utc_s: float
) -> tuple[PageRelay, ...]:
    """Return the keys that went over routes between two looks at the same nodes: those that each of them started.

    A node that started again in between is passed over.
    """
    found: list[PageRelay] = []
    for name, status in after.items():
        earlier = {pair.neighbour: pair for pair in before[name].pairs} if name in before else {}
        for pair in status.pairs:
            if pair.neighbour not in earlier or not pair.route:
                continue
            keys = pair.counters.get("born", 0) - earlier[pair.neighbour].counters.get("born", 0)
            if keys > 0:
                found.append(PageRelay(route=pair.route, keys=keys, utc_s=utc_s))
    return tuple(found)


def _site(node: TopologyNode, place: tuple[float, float], status: NodeStatus | None, title_ja: str) -> PageSite:
    title, (latitude, longitude) = node.site or node.name, place
    if status is None:
        return PageSite(
            name=node.name, title=title, title_ja=title_ja, latitude=latitude, longitude=longitude, level="silent"
        )
    return PageSite(
        name=node.name,
        title=title,
        title_ja=title_ja,
        latitude=latitude,
        longitude=longitude,
        level=status.level,
        headline=status.headline,
        to_do=status.to_do,
        devices=(
            *(
                PageDevice(name=link.device, kind="unit", state=link.state, answers=_answers(link.answered_s))
                for link in status.links
                if link.device
            ),
            *(PageDevice(name=device.name, answers=_answers(device.answered_s)) for device in status.devices),
        ),
        alarms=tuple(
            PageAlarm(
                code=alarm.code,
                of=alarm.of,
                severity=alarm.severity,
                text=alarm.text,
                to_do=alarm.to_do,
                raised=alarm.raised,
                acknowledged=bool(alarm.acknowledged_by),
                cause=alarm.cause,
            )
            for alarm in status.alarms
        ),
        applications=tuple(one.name for one in status.applications if one.here),
    )


def _answers(answered_s: float | None) -> bool | None:
    return None if answered_s is None else answered_s <= SILENT_S


def _ends_of(link: TopologyLink, statuses: Mapping[str, NodeStatus]) -> list[LinkLine]:
    return [line for end in link.ends if end in statuses for line in statuses[end].links if line.name == link.name]


def _span(link: TopologyLink, ends: list[LinkLine], facts: SpanFacts) -> PageSpan:
    still = next((end for end in ends if not end.running), None)
    told = still or next(iter(ends), None)
    return PageSpan(
        name=link.name,
        ends=link.ends,
        length_km=link.length_km,
        vendor=facts.vendor,
        path=facts.path,
        state="" if told is None else told.state,
        running=bool(ends) and still is None,
        qber=_worst(max, (end.qber for end in ends)),
        secret_key_rate=_worst(min, (end.secret_key_rate for end in ends)),
        stock_bits=min((end.stock_bits for end in ends), default=None),
        reserve_s=_worst(min, (end.reserve_s for end in ends)),
        speed=facts.speed,
    )


def _worst(which: Callable[[list[float]], float], values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return which(known) if known else None


def _pairs(topology: Topology, statuses: Mapping[str, NodeStatus]) -> tuple[PagePair, ...]:
    told: dict[tuple[str, str], dict[str, PairLine]] = {}
    order = {name: number for number, name in enumerate(topology.nodes)}
    wanted = {frozenset(pair.ends): pair.ends for pair in topology.pairs}
    for name, status in statuses.items():
        for line in status.pairs:
            one, other = sorted((name, line.neighbour), key=lambda node: order.get(node, len(order)))
            if line.target:
                told.setdefault(wanted.get(frozenset((one, other)), (one, other)), {})[name] = line
    return tuple(_pair(ends, told[ends]) for ends in sorted(told, key=lambda ends: [order.get(end, 0) for end in ends]))


def _pair(ends: tuple[str, str], lines: Mapping[str, PairLine]) -> PagePair:
    turned = {
        name: (line.route if name == ends[0] else line.route[::-1],
               line.disjoint if name == ends[0] else tuple(route[::-1] for route in line.disjoint))
        for name, line in lines.items()
    }  # fmt: skip
    route, disjoint = turned.get(ends[0]) or next(iter(turned.values()))
    least = min(lines.values(), key=lambda line: line.ready)
    return PagePair(
        ends=ends,
        ready=least.ready,
        target=least.target,
        demand=sum(line.demand for line in lines.values()),
        reserve_s=_worst(min, (line.reserve_s for line in lines.values())),
        route=route,
        disjoint=disjoint,
    )
