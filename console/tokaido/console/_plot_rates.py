"""The pictures `rate-distance` and `qber`: what links give over the length of their fibre, by calculation."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import tokaido.hal as hal
from tokaido.console._plot_style import COLOURS, GREY, LINES, MARKERS, house_look
from tokaido.console._rate import RateRequest, calculate, count
from tokaido.console._rate_links import link_from_preset

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from tokaido.emulators.optics import LinkRate

POINTS: Final = 101
BEND: Final = 12
"""Points more for the bend at a curve's end."""
LOWEST_BPS: Final = 0.1
QBER_TOP: Final = 0.12


@dataclass(frozen=True, slots=True)
class Curve:
    """What one preset gives by one method, from 0 km on."""

    request: RateRequest
    km: tuple[float, ...]
    rates: tuple[LinkRate, ...]

    @property
    def reach_km(self) -> float | None:
        """The last distance with key; None where there is none."""
        return max((km for km, rate in zip(self.km, self.rates, strict=True) if rate.secret_bps > 0), default=None)


@dataclass(frozen=True, slots=True)
class PlacedPoint:
    """A published secret rate on the axis of lengths."""

    preset: str
    source: str
    km: float
    secret_bps: float
    moved: bool
    """It was measured over another length, of the loss that the preset's fibre has here."""


def curves(requests: Sequence[RateRequest], longest_km: float) -> list[Curve]:
    """Return one curve for each request, the end of its key found to 10 m."""
    if not 0 < longest_km < math.inf:
        raise hal.ConfigurationError(f"--longest {longest_km!r} is not possible", remedy="Give a length in km, > 0")
    return [_curve(request, longest_km) for request in requests]


def _curve(request: RateRequest, longest_km: float) -> Curve:
    def at(km: float) -> LinkRate:
        asked_for = replace(request, distance_km=km)
        return calculate(
            link_from_preset(
                asked_for.preset or "",
                settings=asked_for.settings,
                distance_km=km,
                loss_db=None,
                changes=asked_for.changes,
            ),
            asked_for,
        )

    found = {km: at(km) for km in (longest_km * step / (POINTS - 1) for step in range(POINTS))}
    last = max((km for km, rate in found.items() if rate.secret_bps > 0), default=longest_km)
    low, high = last, min((km for km in found if km > last), default=last)
    while high - low > 0.01:
        middle = (low + high) / 2
        found[middle] = at(middle)
        low, high = (middle, high) if found[middle].secret_bps > 0 else (low, middle)
    for step in range(1, BEND):  # rates fall ever faster towards the end
        km = low - 3 * longest_km / (POINTS - 1) * (step / BEND) ** 2
        if km > 0:
            found[km] = at(km)
    ordered = sorted(found)
    return Curve(request, tuple(ordered), tuple(found[km] for km in ordered))


def draw_rate_distance(drawn: Sequence[Curve], points: Sequence[PlacedPoint], title: str) -> Figure:
    """Return secret rate against distance on a logarithmic axis, with published points on it."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    with house_look():
        series = len(drawn) + len({(point.preset, point.moved) for point in points})
        figure = Figure(figsize=(8, 4.4 + 0.17 * series), layout="constrained")
        axes = figure.subplots()
        presets = list(dict.fromkeys(curve.request.preset for curve in drawn))
        ways = list(dict.fromkeys(curve.rates[0].method for curve in drawn))
        for curve in drawn:
            keyed = [
                (km, rate.secret_bps) for km, rate in zip(curve.km, curve.rates, strict=True) if rate.secret_bps > 0
            ]
            if keyed and curve.reach_km != curve.km[-1]:  # down to the axis, where the key ends
                keyed.append((keyed[-1][0], LOWEST_BPS / 100))
            axes.plot(
                [km for km, _ in keyed],
                [bps for _, bps in keyed],
                color=_colour(presets.index(curve.request.preset)),
                linestyle=LINES[ways.index(curve.rates[0].method) % len(LINES)],
                label=label(curve) + ("" if keyed else ", no key at any length"),
            )
        _draw_points(axes, points, presets)
        axes.set_yscale("log")
        axes.set_xlim(0, max(curve.km[-1] for curve in drawn))
        lowest = min([LOWEST_BPS, *(point.secret_bps / 2 for point in points)])
        highest = max((rate.secret_bps for curve in drawn for rate in curve.rates), default=LOWEST_BPS)
        axes.set_ylim(lowest, max(10 * highest, 10 * lowest) / 3)
        axes.set_xlabel("length of the fibre (km)")
        axes.set_ylabel("secret rate (bit/s)")
        axes.set_title(title)
        figure.legend(loc="outside lower center", ncols=1)
    return figure


def draw_qber(drawn: Sequence[Curve], title: str) -> Figure:
    """Return error rates of signal pulses against distance; a mark says where a link's key ends."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    with house_look():
        figure = Figure(figsize=(8, 4.4 + 0.17 * len(drawn)), layout="constrained")
        axes = figure.subplots()
        for index, curve in enumerate(drawn):
            _draw_errors(axes, curve, index)
        axes.set_xlim(0, max(curve.km[-1] for curve in drawn))
        axes.set_ylim(0, 100 * QBER_TOP)
        axes.set_xlabel("length of the fibre (km)")
        axes.set_ylabel("QBER (%)")
        axes.set_title(title)
        figure.legend(loc="outside lower center", ncols=1)
    return figure


def _draw_errors(axes: Axes, curve: Curve, index: int) -> None:
    """Draw Z solid, X dashed where it is another, and a mark where the key ends."""
    z, x = ([rate.qber_z for rate in curve.rates], [rate.qber_x for rate in curve.rates])
    marked = [] if curve.reach_km in (None, curve.km[-1]) else [curve.km.index(curve.reach_km or 0.0)]
    two = any(abs(first - second) > 1e-5 for first, second in zip(z, x, strict=True))
    bases = "Z solid, X dashed" if two else "one error rate" if math.isnan(x[0]) else "Z and X alike"
    axes.plot(
        curve.km,
        [100 * qber for qber in z],
        color=_colour(index),
        marker=MARKERS[index % len(MARKERS)],
        markevery=marked,
        label=f"{label(curve)}: {bases}, {_end(curve)}",
    )
    if two:
        axes.plot(curve.km, [100 * qber for qber in x], color=_colour(index), linestyle="--")


def _end(curve: Curve) -> str:
    if curve.reach_km is None:
        return "no key"
    return f"key beyond {curve.km[-1]:g} km" if curve.reach_km == curve.km[-1] else f"key to {curve.reach_km:.0f} km"


def label(curve: Curve) -> str:
    """Return what a legend says of a curve: preset, method, bound, n and eps."""
    keyed = [rate for rate in curve.rates if rate.secret_bps > 0] or list(curve.rates)
    first, last = keyed[0], keyed[-1]
    words = [f"{curve.request.preset} ({curve.request.settings}): {first.method}"]
    if not math.isfinite(first.pulses):
        words.append("n without end")
    else:
        same = math.isclose(first.pulses, last.pulses, rel_tol=1e-3)
        block = count(first.pulses) if same else f"{count(first.pulses)} to {count(last.pulses)}"
        words += [f"{first.bound} bound", f"n = {block} pulses", f"eps {first.eps:.3g}"]
    if curve.request.attack is not None:
        words.append(curve.request.attack)
    return ", ".join(words)


def _draw_points(axes: Axes, points: Sequence[PlacedPoint], presets: Sequence[str | None]) -> None:
    for preset, moved in dict.fromkeys((point.preset, point.moved) for point in points):
        index = presets.index(preset)
        mine = [point for point in points if (point.preset, point.moved) == (preset, moved)]
        sources = "; ".join(dict.fromkeys(point.source for point in mine))
        axes.plot(
            [point.km for point in mine],
            [point.secret_bps for point in mine],
            linestyle="none",
            marker=MARKERS[index % len(MARKERS)],
            markerfacecolor="white" if moved else _colour(index),
            markeredgecolor=_colour(index) if moved else GREY,
            label=f"{preset}, published: {sources}" + (", where this fibre has its loss" if moved else ""),
        )


def _colour(index: int) -> str:
    return COLOURS[index % len(COLOURS)]
