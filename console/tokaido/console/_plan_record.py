"""The plan of a line ready for JSON."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokaido.emulators.planning import Failure, Grant, LineDrift, LinePlan, LinkPlan, PathPlan, RepeaterPlan, Spread


def record(plan: LinePlan) -> dict[str, Any]:
    """Return all of a plan; rates of keys are in keys of 256 bits a second."""
    return {
        "line": plan.line.name,
        "title": plan.line.title,
        "note": plan.line.note,
        "links": [_link(plan, link) for link in plan.links.values()],
        "demands": [
            {
                "ends": list(one.demand.ends),
                "routes": one.demand.routes,
                "rate": one.demand.rate,
                "met": one.met,
                "granted": _grant(one.granted),
                "alone": _grant(one.alone),
                "cut_by": [_named(failure) for failure in plan.cuts(number)],
                "less_after": [_named(failure) for failure in plan.shortens(number)],
                "availability": plan.availability(number),
            }
            for number, one in enumerate(plan.demands)
        ],
        "failures": [
            {
                **_named(failure),
                "availability": failure.availability,
                "demands": [{"demand": number, **_grant(grant)} for number, grant in failure.effects.items()],
            }
            for failure in plan.failures
        ],
        "lacking": list(plan.lacking),
    }


def drift_record(drift: LineDrift) -> dict[str, Any]:
    """Return what days of drift come to."""
    return {
        "days": drift.days,
        "seed": drift.seed,
        "links": [
            {
                "name": link.name,
                "fibre": link.fibre,
                "secret_bps": _spread(link.secret_bps),
                "largest_qber": link.largest_qber,
                "realignments_per_day": link.realignments_per_day,
            }
            for link in drift.links
        ],
        "demands": [
            {
                "ends": list(one.plan.demand.ends),
                "routes": one.plan.demand.routes,
                "rate": one.plan.demand.rate,
                "keys_per_s": _spread(one.keys_per_s),
                "stock_s": one.stock_s,
            }
            for one in drift.demands
        ],
    }


def repeater_record(found: RepeaterPlan | None) -> dict[str, Any] | None:
    """Return where repeaters stand; None: no number of them would help."""
    if found is None:
        return None
    return {
        "units": found.units,
        "length_km": found.length_km,
        "repeaters": len(found.positions_km),
        "positions_km": list(found.positions_km),
        "span_db": found.span_db,
        "reach_db": found.reach_db,
        "secret_bps": found.secret_bps,
    }


def short(rate: float) -> str:
    """Return a rate or a time in three digits, without an exponent where that is readable."""
    return f"{rate:.0f}" if 100 <= rate < 1e6 else f"{rate:.3g}"


def _link(plan: LinePlan, link: LinkPlan) -> dict[str, Any]:
    units = plan.line.units[link.link.units]
    return {
        "name": link.link.name,
        "ends": list(link.link.ends),
        "units": {
            "name": units.name,
            "vendor": units.vendor or None,
            "preset": units.preset,
            "settings": units.settings,
            "sub_channels": units.sub_channels,
            "intensity_tolerance": units.intensity_tolerance,
        },
        "works": link.works,
        "fibre": link.path.fibre,
        "secret_bps": link.secret_bps,
        "keys_per_s": link.keys_per_s,
        "left_keys_per_s": plan.left_beside(link.link.name),
        "paths": [_path(path) for path in link.paths],
        "reach_db": link.reach_db,
        "repeaters": repeater_record(link.repeaters),
    }


def _path(path: PathPlan) -> dict[str, Any]:
    block = path.block
    return {
        "fibre": path.fibre,
        "length_km": path.length_km,
        "loss_db": path.loss_db,
        "works": path.works,
        "why": path.why or None,
        "secret_bps": block.secret_bps if path.works else 0.0,
        "block_s": _finite(block.block_s),
        "sifted_bits": _finite(block.sifted_bits),
        "qber": _finite(block.qber),
        "method": block.method,
        "bound": None if block.bound == "none" else block.bound,
        "eps": block.eps or None,
    }


def _grant(grant: Grant) -> dict[str, Any]:
    return {"keys_per_s": grant.rate, "by": [list(route) for route in grant.routes], "why": grant.why or None}


def _named(failure: Failure) -> dict[str, str]:
    return {"kind": failure.kind, "name": failure.name}


def _spread(rate: Spread) -> dict[str, float]:
    return {
        "mean": rate.mean,
        "p5": rate.p5,
        "p50": rate.p50,
        "p95": rate.p95,
        "without_key": rate.without_key,
        "longest_s": rate.longest_s,
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
