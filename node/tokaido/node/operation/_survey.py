"""Puts a node's status together from what its parts know."""

from __future__ import annotations

from datetime import UTC, datetime
from math import isfinite
from types import MappingProxyType
from typing import TYPE_CHECKING

from tokaido.node.operation._status import (
    BITS_A_KEY,
    KEYLESS,
    AlarmLine,
    ApplicationLine,
    DeviceLine,
    LinkLine,
    NeighbourLine,
    NodeStatus,
    PairLine,
    StoreLine,
    is_keyless,
    is_running,
    judged,
    reserve_s,
    value_of,
)
from tokaido.node.operation._to_do import to_do

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tokaido.node import core
    from tokaido.node.core import ApplicationSettings
    from tokaido.node.operation._alarm_book import NodeAlarm
    from tokaido.node.operation._availability import Availability
    from tokaido.node.supervision import LinkEnd


def survey(
    *,
    node: str,
    utc_s: float,
    age_s: float,
    up_s: float,
    keys: core.NodeStatus | None,
    store: StoreLine,
    ends: Iterable[LinkEnd],
    devices: Iterable[LinkEnd] = (),
    applications: Mapping[str, ApplicationSettings],
    alarms: Iterable[NodeAlarm],
    emulation: bool = False,
    maintained_until_s: Mapping[str, float] = MappingProxyType({}),
    availability: Mapping[str, Availability] = MappingProxyType({}),
    key_ages_s: Mapping[str, float] = MappingProxyType({}),
) -> NodeStatus:
    """Return the status of a node.

    Args:
        node: Its name.
        utc_s: The time of day, in s since 1970-01-01 UTC.
        age_s: The monotonic clock in s, on which `ends` and `alarms` count.
        up_s: For how long it has run, in s.
        keys: What the core says; None while none runs.
        store: How the store is.
        ends: Its ends of links.
        devices: The devices that are not ends of links.
        applications: Those of its file.
        alarms: Those that stand, the worst first.
        emulation: Whether it takes keys that protect nothing.
        maintained_until_s: When maintenance ends by itself, by link, in s since 1970-01-01 UTC.
        availability: For how long links gave keys, by link.
        key_ages_s: How old the pre-shared keys of units are, in s, by device.
    """
    demand = {} if keys is None else {name: pair.demand for name, pair in keys.pairs.items()}
    links = tuple(
        _link(
            end,
            keys,
            demand,
            age_s,
            until_s=maintained_until_s.get(end.name),
            measured=availability.get(end.name),
            key_age_s=key_ages_s.get(end.supervisor.unit),
        )
        for end in ends
    )
    pairs = () if keys is None else tuple(_pair(pair) for pair in keys.pairs.values())
    neighbours = (
        ()
        if keys is None
        else tuple(
            NeighbourLine(name=one.name, up=one.up, known=one.known, silent_s=_finite(one.silent_s) or 0.0)
            for one in keys.neighbours.values()
        )
    )
    if keys is None and store.open:
        store = StoreLine(open=False, why=store.why or "the core does not run", restarts=store.restarts)
    elif keys is not None and keys.failed:
        store = StoreLine(open=False, why=store.why or "the store failed", restarts=store.restarts)
    lines = tuple(_alarm(alarm, age_s) for alarm in alarms)
    draining = keys is not None and keys.draining
    relaying = keys is None or keys.relaying
    level, headline, first = judged(
        store=store,
        draining=draining,
        links=links,
        pairs=pairs,
        neighbours=neighbours,
        alarms=lines,
        relaying=relaying,
    )
    return NodeStatus(
        node=node,
        utc=iso(utc_s),
        up_s=up_s,
        level=level,
        headline=headline,
        to_do=first,
        draining=draining,
        emulation=emulation,
        store=store,
        links=links,
        pairs=pairs,
        neighbours=neighbours,
        applications=tuple(
            ApplicationLine(name=one.name, node=one.node, here=one.node == node) for one in applications.values()
        ),
        devices=tuple(DeviceLine(name=end.name, answered_s=_since(end.answered_s, age_s)) for end in devices),
        alarms=lines,
        relaying=relaying,
    )


def iso(utc_s: float) -> str:
    """Return a time of day as ISO 8601 has it: `2026-11-27T22:55:23Z`."""
    return datetime.fromtimestamp(utc_s, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _link(
    end: LinkEnd,
    keys: core.NodeStatus | None,
    demand: Mapping[str, float],
    age_s: float,
    *,
    until_s: float | None,
    measured: Availability | None,
    key_age_s: float | None,
) -> LinkLine:
    supervised, read = end.supervisor.status(age_s), end.supervisor.reading
    found = None if keys is None else keys.links.get(end.name)
    readings = None if read is None else read.readings
    stock = 0 if found is None else found.stored + found.leased
    counters = (
        {}
        if found is None
        else {
            "drawn": found.drawn,
            "stored": found.stored,
            "leased": found.leased,
            "spent_pad": found.spent_pad,
            "spent_tag": found.spent_tag,
            **{f"discarded_{reason}": bits for reason, bits in sorted(found.discarded.items())},
        }
    )
    neighbour = "" if found is None else found.neighbour
    return LinkLine(
        name=end.name,
        neighbour=neighbour,
        device=end.supervisor.unit,
        state="" if supervised.state is None else supervised.state.value,
        phase=supervised.phase.value,
        why=supervised.why or (KEYLESS if is_keyless(supervised.state, readings) else ""),
        next_attempt_in_s=None if supervised.until_s is None else max(supervised.until_s - age_s, 0.0),
        attempts_within_an_hour=supervised.attempts_within_an_hour,
        failures=supervised.failures,
        running=is_running(supervised.state, readings, drawing=supervised.drawing),
        drawing=supervised.drawing,
        qber=value_of(readings, "qber"),
        secret_key_rate=value_of(readings, "secret_key_rate"),
        authentication_bits=None if read is None else read.authentication_bits,
        stock_bits=stock,
        reserve_s=reserve_s(stock / 2, BITS_A_KEY * demand.get(neighbour, 0.0)),
        since_block_s=_since(end.last_block_s, age_s),
        answered_s=_since(end.answered_s, age_s),
        counters=counters,
        maintained_until_s=until_s,
        availability=None if measured is None else measured.ratio,
        up_s=0.0 if measured is None else measured.up_s,
        down_s=0.0 if measured is None else measured.down_s,
        maintenance_s=0.0 if measured is None else measured.maintenance_s,
        move=end.move,
        preshared_key_age_s=key_age_s,
    )


def _pair(pair: core.PairStatus) -> PairLine:
    return PairLine(
        neighbour=pair.neighbour,
        ready=pair.supplied_ready,
        target=pair.target,
        in_flight=pair.in_flight,
        held=pair.held,
        demand=pair.demand,
        reserve_s=reserve_s(pair.supplied_ready, pair.demand),
        integrity=pair.integrity,
        counters=dict(pair.counters),
        route=pair.route,
        routes=pair.routes,
        disjoint=pair.disjoint,
        cut_nodes=pair.cut_nodes,
    )


def _alarm(alarm: NodeAlarm, age_s: float) -> AlarmLine:
    return AlarmLine(
        code=alarm.code,
        of=alarm.of,
        severity=alarm.severity.value,
        text=alarm.text,
        to_do=to_do(alarm.code),
        raised=iso(alarm.raised_s),
        age_s=max(age_s - alarm.began_s, 0.0),
        lasts=alarm.cleared_s is None,
        latched=alarm.latched,
        acknowledged_by=alarm.acknowledged_by,
        note=alarm.note,
        cause="" if alarm.cause is None else alarm.cause[0],
        cause_of="" if alarm.cause is None else alarm.cause[1],
    )


def _since(at_s: float, age_s: float) -> float | None:
    return age_s - at_s if isfinite(at_s) else None


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None
