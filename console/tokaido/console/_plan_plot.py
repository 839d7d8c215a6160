"""The plan of a line as a picture: where its sites and links are, and what each link gives."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from tokaido.console._plan_record import short
from tokaido.console._plot_style import COLOURS, GREY, house_look

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

    from tokaido.emulators.planning import LineDrift, LinePlan, Site, Spread

NEAR: Final = 0.03
"""Share of the map's width within which the second of two sites is not named,"""
BESIDE: Final = 0.08
"""and within which its name stands below."""
LEAST: Final = 0.1
"""Keys a second at which the axis of rates begins at the latest."""


def draw_plan(plan: LinePlan, drift: LineDrift | None = None) -> Figure:
    """Return a figure: a map of the sites with coordinates, if there are some, and the rates of all links.

    With days of drift, a line on the bar of a link goes from the rate that it exceeds 95 % of the time to that of 5 %.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415

    placed = {name: site for name, site in plan.line.sites.items() if site.latitude is not None}
    rows = max(len(plan.links), 1)
    with house_look():
        figure = Figure(figsize=(8.0, (3.2 if placed else 0.6) + 0.26 * rows + 0.8), layout="constrained")
        if placed:
            above, below = figure.subplots(2, 1, height_ratios=(3.2, 0.26 * rows + 0.8))
            _map(above, plan, placed)
        else:
            below = figure.subplots()
        _bars(below, plan, drift)
        figure.suptitle(plan.line.title, x=0.01, ha="left", fontsize=12)
    return figure


def _map(axes: Any, plan: LinePlan, placed: dict[str, Site]) -> None:
    from matplotlib.patheffects import withStroke  # noqa: PLC0415

    where = {name: (site.longitude or 0.0, site.latitude or 0.0) for name, site in placed.items()}
    used = {frozenset(hop) for one in plan.demands for route in one.granted.routes for hop in pairwise(route)}
    for link in plan.links.values():
        if not all(end in where for end in link.link.ends):
            continue
        (x0, y0), (x1, y1) = (where[end] for end in link.link.ends)
        busy = frozenset(link.link.ends) in used
        colour = COLOURS[1] if not link.works else COLOURS[0] if busy else GREY
        axes.plot(
            [x0, x1], [y0, y1], "-" if link.works else ":", color=colour, linewidth=2.2 if busy else 1.4, zorder=1
        )
    axes.scatter(*zip(*where.values(), strict=True), s=26, color="white", edgecolors="black", zorder=2)
    longitudes = [x for x, _ in where.values()]
    span = max(max(longitudes) - min(longitudes), 1e-6)
    named: list[tuple[float, float]] = []
    for name, point in where.items():
        nearest = min((math.dist(point, other) / span for other in named), default=1.0)
        if nearest < NEAR:
            continue
        text = axes.annotate(
            placed[name].title,
            point,
            xytext=(0, -8 if nearest < BESIDE else 8),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=8,
            zorder=3,
        )
        text.set_path_effects([withStroke(linewidth=2.5, foreground="white")])
        named.append(point)
    middle = sum(y for _, y in where.values()) / len(where)
    axes.set_aspect(1 / max(math.cos(math.radians(middle)), 0.1), adjustable="datalim")
    axes.margins(0.06, 0.25)
    axes.set_xlabel("longitude, degrees")
    axes.set_ylabel("latitude, degrees")
    axes.set_title("Links: blue carry demands, grey are spare, red and dotted make no key", fontsize=9)


def _bars(axes: Any, plan: LinePlan, drift: LineDrift | None) -> None:
    from tokaido.emulators.planning import RELAY_BITS  # noqa: PLC0415 - numpy, when first needed

    links = list(plan.links.values())
    rates = [link.keys_per_s for link in links]
    left = [plan.left_beside(link.link.name) for link in links]
    least = min([LEAST, *(rate for rate in rates if rate > 0)])
    places = range(len(links))
    axes.barh(places, rates, color="#bcd9ec", height=0.7, label="can relay")
    taken = [max(rate - rest, 0.0) for rate, rest in zip(rates, left, strict=True)]
    axes.barh(places, taken, color=COLOURS[0], height=0.35, label="taken by demands")
    if drift is not None:
        spreads = [link.secret_bps for link in drift.links]
        low, high = ([max(rate / RELAY_BITS, least) for rate in rates] for rates in _outer(spreads))
        axes.hlines(places, low, high, color="black", linewidth=1.2, label="90 % of the time")
    for place, link in zip(places, links, strict=True):
        if link.works:
            text, colour = f"{link.path.loss_db:.1f} dB, {short(link.keys_per_s)}", GREY
        else:
            text, colour = link.path.why, COLOURS[1]
        axes.annotate(
            text,
            (max(link.keys_per_s, least), place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            color=colour,
            fontsize=7,
        )
    axes.set_xscale("log")
    axes.set_xlim(least, max([*rates, 10 * least]) * 8)
    axes.set_yticks(list(places), [link.link.name for link in links])
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("keys of 256 bits a second")
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3, borderaxespad=0.0)


def _outer(spreads: Sequence[Spread]) -> tuple[list[float], list[float]]:
    return [spread.p5 for spread in spreads], [spread.p95 for spread in spreads]
