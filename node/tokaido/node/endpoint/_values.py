"""A node's status as the values of TRN1: docs/protocols/repeater.md, section 3."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, TypeAlias

from tokaido.hal import LinkStatus, UnitState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokaido.node.operation import LinkLine, NodeStatus, PairLine

Value: TypeAlias = bool | int | float | str | None
KEY_BITS = 256


def values_of(status: NodeStatus) -> dict[str, Value]:
    """Return all values but the times, which go on between two looks."""
    found: dict[str, Value] = {
        "state": state_of(status),
        "serving": status.level != "not serving",
        "relaying": status.relaying,
        "headline": status.headline,
        "alarms": len(status.alarms),
    }
    for neighbour in status.neighbours:
        found[f"neighbours/{neighbour.name}/name"] = neighbour.name
        found[f"neighbours/{neighbour.name}/up"] = neighbour.up
        found[f"neighbours/{neighbour.name}/silent_s"] = _finite(neighbour.silent_s)
    for link in status.links:
        found |= {f"links/{link.name}/{name}": value for name, value in _of_link(link).items()}
    for pair in status.pairs:
        found |= {f"pairs/{pair.neighbour}/{name}": value for name, value in _of_pair(pair).items()}
    return found


def state_of(status: NodeStatus) -> str:
    """Return the state of a node in one word."""
    if not status.store.open:
        return "FAILED"
    if status.draining:
        return "DRAINING"
    return "RELAYING" if status.relaying else "PAUSED"


def _of_link(link: LinkLine) -> dict[str, Value]:
    counted = link.counters
    return {
        "name": link.name,
        "neighbour": link.neighbour,
        "status": _link_status(link).value,
        "phase": link.phase,
        "move": link.move,
        "maintained_until_utc_s": link.maintained_until_s or 0.0,
        "qber": _finite(link.qber),
        "secret_key_rate": _finite(link.secret_key_rate),
        "availability": _finite(link.availability),
        "stock": link.stock_bits,
        "reserve_s": _finite(link.reserve_s),
        "drawn": counted.get("drawn", 0),
        "spent": counted.get("spent_pad", 0) + counted.get("spent_tag", 0),
        "discarded": _with_prefix(counted, "discarded_"),
    }


def _link_status(link: LinkLine) -> LinkStatus:
    left = link.stock_bits > 0
    if link.state:
        return LinkStatus.seen_from(UnitState(link.state), keys_left=left)
    if link.running:  # a source without states that can be drawn
        return LinkStatus.ACTIVE
    return LinkStatus.PASSIVE if left else LinkStatus.PENDING


def _of_pair(pair: PairLine) -> dict[str, Value]:
    counted = pair.counters
    return {
        "name": pair.neighbour,
        "ready": pair.ready,
        "target": pair.target,
        "in_flight": pair.in_flight,
        "held": pair.held,
        "stock": KEY_BITS * pair.ready,
        "demand": _finite(pair.demand),
        "reserve_s": _finite(pair.reserve_s),
        "relayed": counted.get("born", 0),
        "received": counted.get("held", 0),
        "supplied": counted.get("taken", 0) + counted.get("supplied", 0),
        "burned": _with_prefix(counted, "burned:"),
        "integrity": pair.integrity,
    }


def _with_prefix(counted: Mapping[str, int], prefix: str) -> int:
    return sum(amount for name, amount in counted.items() if name.startswith(prefix))


def _finite(value: float | None) -> float | None:
    return value if value is not None and isfinite(value) else None
