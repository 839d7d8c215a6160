"""The state of a page from what nodes tell on the bus of their network."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tokaido.console.page._merge import state_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokaido.console.page._state import PageState
    from tokaido.node.events import Alarm, LinkState, NetworkView, PairState, Telemetry
    from tokaido.node.operation import AlarmLine, LinkLine, NodeStatus, PairLine
    from tokaido.node.topology import Topology

Route = tuple[str, ...]


def state_of_view(
    view: NetworkView,
    topology: Topology | None,
    *,
    utc_s: float,
    title: str = "",
    routes: Mapping[frozenset[str], Route] | None = None,
) -> PageState:
    """Return what a page shows of a network that is watched on its bus.

    Args:
        view: What its nodes told.
        topology: Says which nodes and links there are, and where; None: those that were heard, in a diagram.
        utc_s: When this was so, in s since 1970-01-01 UTC.
        title: What people call the network; default: its name.
        routes: The last route that keys of two nodes went, by these.
    """
    statuses = {}
    for name, node in view.nodes.items():
        if node.telemetry is not None and not view.silent(name):
            alarms = [alarm for (of, _, _), alarm in view.alarms.items() if of == name]
            statuses[name] = _status(node.telemetry, alarms, routes or {})
    return state_of(topology or _heard(view), statuses, utc_s=utc_s, title=title)


def _heard(view: NetworkView) -> Topology:
    """Return the topology that nodes tell by the links that they have."""
    from tokaido.node.topology import Topology, TopologyLink, TopologyNode  # noqa: PLC0415 - when first needed

    told = {name: node.telemetry for name, node in view.nodes.items()}
    ends = {
        link.name: (name, link.neighbour)
        for name, telemetry in sorted(told.items())
        if telemetry is not None
        for link in telemetry.links
    }
    names = sorted({*told, *(name for pair in ends.values() for name in pair)})
    return Topology(
        network=view.network,
        serial=1,
        valid_from=datetime.fromtimestamp(0, UTC),
        valid_until=None,
        nodes={name: TopologyNode(name, "") for name in names},
        links={name: TopologyLink(name, pair) for name, pair in ends.items() if len(set(pair)) == 2},
    )


def _status(told: Telemetry, alarms: list[Alarm], routes: Mapping[frozenset[str], Route]) -> NodeStatus:
    from tokaido.node.operation import NodeStatus, StoreLine  # noqa: PLC0415 - when first needed

    return NodeStatus(
        node=told.node,
        utc=_iso(told.utc_s),
        up_s=told.up_s,
        level=told.level if told.level in {"fine", "degraded"} else "not serving",  # type: ignore[arg-type]
        headline=told.headline,
        to_do="",
        draining=False,
        emulation=told.emulation,
        store=StoreLine(open=True),
        links=tuple(_link(link) for link in told.links),
        pairs=tuple(_pair(told.node, pair, routes) for pair in told.pairs),
        alarms=_alarms(told, alarms),
        relaying=told.relaying,
    )


def _link(link: LinkState) -> LinkLine:
    from tokaido.node.operation import LinkLine  # noqa: PLC0415 - when first needed

    return LinkLine(
        name=link.name,
        neighbour=link.neighbour,
        device="",
        state=link.state,
        phase=link.phase,
        why="",
        next_attempt_in_s=None,
        attempts_within_an_hour=0,
        failures=0,
        running=link.running,
        drawing=link.running,
        qber=link.qber,
        secret_key_rate=link.secret_key_rate,
        authentication_bits=None,
        stock_bits=link.stock_bits,
        reserve_s=None,
        since_block_s=None,
        answered_s=None,
        counters={},
    )


def _pair(node: str, pair: PairState, routes: Mapping[frozenset[str], Route]) -> PairLine:
    from tokaido.node.operation import PairLine  # noqa: PLC0415 - when first needed

    route = routes.get(frozenset((node, pair.neighbour)), ())
    return PairLine(
        neighbour=pair.neighbour,
        ready=pair.ready,
        target=pair.target,
        in_flight=pair.in_flight,
        held=pair.held,
        demand=pair.demand,
        reserve_s=pair.ready / pair.demand if pair.demand > 0 else None,
        integrity="",
        counters={},
        route=route if route[:1] == (node,) else route[::-1],
    )


def _alarms(told: Telemetry, alarms: list[Alarm]) -> tuple[AlarmLine, ...]:
    """Return the alarms that were heard; of those that were raised before, the worst as the node tells it."""
    from tokaido.node.operation import AlarmLine  # noqa: PLC0415 - when first needed

    def line(code: str, of: str, severity: str, text: str, raised: str) -> AlarmLine:
        return AlarmLine(
            code=code,
            of=of,
            severity=severity,
            text=text,
            to_do="",
            raised=raised,
            age_s=0.0,
            lasts=True,
            latched=False,
        )

    found = [line(one.code, one.of, one.severity, one.text, _iso(one.utc_s)) for one in alarms]
    if told.worst and told.alarms and not any(one.code == told.worst for one in alarms):
        found.insert(0, line(told.worst, "", "MAJOR", told.headline, ""))
    return tuple(found)


def _iso(utc_s: float) -> str:
    return datetime.fromtimestamp(utc_s, UTC).isoformat(timespec="seconds")
