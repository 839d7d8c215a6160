"""The picture `session`: a day of an emulated link, its error rates, its rates and its alarms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tokaido.console._plot_style import COLOURS, GREY, house_look
from tokaido.console._rate import count, duration

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from tokaido.emulators.optics import DayOfLink

BINS: Final = 480
"""Points a line at most: 3 minutes of a day each."""
STATE_COLOURS: Final = {"RUN": "#cccccc", "DEGRADED": COLOURS[4], "REALIGN": COLOURS[0]}


def draw_session(day: DayOfLink, title: str) -> Figure:
    """Return three panels over one time axis: QBER, sifted and secret rate, states and alarms."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    with house_look():
        figure = Figure(figsize=(8, 6.4), layout="constrained")
        errors, rates, alarms = figure.subplots(3, 1, sharex=True, height_ratios=(3, 3, 1.6))
        width = max(-(-day.time_s.size // BINS), 1)
        hours = _binned(day.time_s, width) / 3600 + day.step_s / 7200
        errors.plot(hours, 100 * _binned(day.qber_z, width), color=COLOURS[0], label="key basis (Z)", lw=1)
        errors.plot(hours, 100 * _binned(day.qber_x, width), color=COLOURS[1], label="check basis (X)", lw=1, ls="--")
        errors.set_ylabel("QBER (%)")
        errors.set_ylim(bottom=0)
        _legend_above(errors)
        errors.set_title(title, loc="left", pad=20)
        rates.plot(hours, _binned(day.sifted_key_rate, width) / 1e3, color=COLOURS[2], label="sifted", lw=1)
        edges, secret = _blocks(day)
        block = f" in {duration(day.blocks[0].end_s - day.blocks[0].begin_s)}" if day.blocks else ""
        rates.stairs(
            secret,
            edges,
            color=COLOURS[0],
            baseline=None,
            lw=1.4,
            label=f"secret: {day.method}, {day.bound} bound, n = {count(day.pulses_per_block)} pulses{block}, "
            f"eps {day.eps:.3g}",
        )
        rates.set_ylabel("rate (kb/s)")
        rates.set_ylim(bottom=0)
        _legend_above(rates)
        _draw_alarms(alarms, day)
        alarms.set_xlabel("time of day (h)")
        alarms.set_xlim(0, day.seconds / 3600)
        if day.seconds == 86_400:
            alarms.set_xticks(range(0, 25, 3))
    return figure


def _draw_alarms(axes: Axes, day: DayOfLink) -> None:
    rows = ["state", *dict.fromkeys(alarm.code for alarm in day.alarms)]
    for state, colour in STATE_COLOURS.items():
        spans = [(begin / 3600, (end - begin) / 3600) for begin, end in _spells(day, state)]
        axes.broken_barh(spans, (-0.35, 0.7), facecolors=colour, edgecolors=colour, linewidth=0.8, label=state)
    for row, code in enumerate(rows[1:], start=1):
        spans = [(a.begin_s / 3600, (a.end_s - a.begin_s) / 3600) for a in day.alarms if a.code == code]
        axes.broken_barh(spans, (row - 0.35, 0.7), facecolors=COLOURS[1], edgecolors=COLOURS[1], linewidth=0.8)
    if len(rows) == 1:
        rows.append("alarms")
        axes.text(0.5, 1, "none", ha="center", va="center", color=GREY, transform=axes.get_yaxis_transform())
    axes.set_yticks(range(len(rows)), rows)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    _legend_above(axes)


def _legend_above(axes: Axes) -> None:
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0.1, handlelength=2.2)


def _spells(day: DayOfLink, state: str) -> list[tuple[float, float]]:
    """Return begin and end, in s, of each time that the link was in a state."""
    import numpy as np  # noqa: PLC0415

    inside = np.concatenate(([0], (day.state == state).astype(int), [0]))
    steps = np.flatnonzero(np.diff(inside))
    return [(first * day.step_s, last * day.step_s) for first, last in zip(steps[::2], steps[1::2], strict=True)]


def _blocks(day: DayOfLink) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the edges, in h, and the heights, in kb/s, of the stairs that the secret rate makes block by block."""
    import numpy as np  # noqa: PLC0415

    change = np.flatnonzero(np.diff(day.secret_key_rate)) + 1
    first = np.concatenate(([0], change))
    edges = np.concatenate((first * day.step_s, [day.seconds])) / 3600
    return edges, day.secret_key_rate[first] / 1e3


def _binned(values: NDArray[Any], width: int) -> NDArray[Any]:
    """Return means of `width` steps each, NaN left out; NaN where there is nothing else."""
    import numpy as np  # noqa: PLC0415

    padded = np.full(-(-values.size // width) * width, np.nan)
    padded[: values.size] = values
    rows = padded.reshape(-1, width)
    there = np.isfinite(rows)
    found = there.sum(axis=1)
    return np.where(found > 0, np.where(there, rows, 0.0).sum(axis=1) / np.maximum(found, 1), np.nan)
