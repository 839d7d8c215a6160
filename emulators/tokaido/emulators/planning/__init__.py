"""Planning of a line: its file, what each link gives, where repeaters must stand, and who gets how many keys."""

from __future__ import annotations

from tokaido.emulators.planning._blocks import LEAST_SHARE, Block, expected_block, reach_db
from tokaido.emulators.planning._cluster import dask_workers
from tokaido.emulators.planning._demands import DemandPlan, Failure, FailureKind, Grant
from tokaido.emulators.planning._drift_report import DemandDrift, LineDrift, LinkDrift, Spread, sweep_drift
from tokaido.emulators.planning._file import MOST_SITES, line_from_text, read_line
from tokaido.emulators.planning._line import Demand, Line, LineFibre, LineLink, LineSwitch, Site, UnitClass
from tokaido.emulators.planning._plan import LinePlan, plan_line
from tokaido.emulators.planning._spans import RELAY_BITS, LinkPlan, PathPlan, RepeaterPlan, plan_links, repeaters

__all__ = [
    "LEAST_SHARE",
    "MOST_SITES",
    "RELAY_BITS",
    "Block",
    "Demand",
    "DemandDrift",
    "DemandPlan",
    "Failure",
    "FailureKind",
    "Grant",
    "Line",
    "LineDrift",
    "LineFibre",
    "LineLink",
    "LinePlan",
    "LineSwitch",
    "LinkDrift",
    "LinkPlan",
    "PathPlan",
    "RepeaterPlan",
    "Site",
    "Spread",
    "UnitClass",
    "dask_workers",
    "expected_block",
    "line_from_text",
    "plan_line",
    "plan_links",
    "reach_db",
    "read_line",
    "repeaters",
    "sweep_drift",
]
